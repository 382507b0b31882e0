//! Progress of what takes long once, such as fetching a kernel.

use indicatif::{ProgressBar, ProgressStyle};
use ktstr_kernels::Progress;
use std::sync::{Mutex, PoisonError};

/// A bar on the terminal; plain lines on standard error where there is none.
#[derive(Default)]
pub(crate) struct Bar {
    current: Mutex<Option<ProgressBar>>,
}

impl Progress for Bar {
    fn step(&self, what: &str) {
        let bar = ProgressBar::no_length().with_message(what.to_owned());
        if bar.is_hidden() {
            eprintln!("ktstr: {what}");
        }
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    fn bytes(&self, done: u64, total: Option<u64>) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bar) = current.as_ref() else { return };
        if let (Some(total), None) = (total, bar.length()) {
            bar.set_length(total);
            if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {bytes}/{total_bytes} {eta}") {
                bar.set_style(style);
            }
        }
        bar.set_position(done);
    }

    fn warn(&self, what: &str) {
        eprintln!("ktstr: warning: {what}");
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = self.current.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}
