//! Progress of what takes long once, such as fetching a kernel. Plain, because it is in every test's build; the command
//! line tools have bars.

use ktstr_kernels::Progress;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};

/// Width of the bar in characters.
const WIDTH: u64 = 40;

/// A bar on a terminal, and a line for each step anywhere.
#[derive(Default)]
pub(crate) struct Bar {
    /// Characters of the bar that are drawn.
    drawn: AtomicU64,
}

impl Progress for Bar {
    fn step(&self, what: &str) {
        self.clear();
        eprintln!("ktstr: {what}");
    }

    fn bytes(&self, done: u64, total: Option<u64>) {
        let Some(total) = total.filter(|total| *total > 0) else { return };
        let full = (done.min(total) * WIDTH / total).max(1);
        if std::io::stderr().is_terminal() && self.drawn.swap(full, Ordering::Relaxed) != full {
            let (bar, mib) = ("#".repeat(full as usize), total >> 20);
            let _ = write!(std::io::stderr(), "\r[{bar:<width$}] of {mib} MiB", width = WIDTH as usize);
        }
    }

    fn warn(&self, what: &str) {
        self.clear();
        eprintln!("ktstr: warning: {what}");
    }
}

impl Bar {
    fn clear(&self) {
        if self.drawn.swap(0, Ordering::Relaxed) != 0 {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}
