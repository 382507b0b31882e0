//! Progress of a long step: a bar on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use ktstr_kernels::Progress;
use std::cell::RefCell;
use std::time::Duration;

/// A spinner that becomes a bar once the size of a step is known.
#[derive(Default)]
pub(crate) struct Bar {
    current: RefCell<Option<ProgressBar>>,
}

impl Progress for Bar {
    fn step(&self, what: &str) {
        self.clear();
        let bar = ProgressBar::no_length().with_message(what.to_owned());
        if bar.is_hidden() {
            eprintln!("{what}");
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        self.current.replace(Some(bar));
    }

    fn bytes(&self, done: u64, total: Option<u64>) {
        let current = self.current.borrow();
        let Some(bar) = current.as_ref() else { return };
        if let (Some(total), None) = (total, bar.length()) {
            bar.set_length(total);
            if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {percent}% {eta}") {
                bar.set_style(style);
            }
        }
        bar.set_position(done);
    }

    fn warn(&self, what: &str) {
        match self.current.borrow().as_ref() {
            Some(bar) => bar.suspend(|| eprintln!("warning: {what}")),
            None => eprintln!("warning: {what}"),
        }
    }
}

impl Bar {
    fn clear(&self) {
        if let Some(bar) = self.current.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}
