//! Removal of scratch directories and lock files when a signal ends the process.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

static PENDING: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static WATCH: Once = Once::new();

/// From now on, SIGINT, SIGTERM and SIGHUP remove `path` before they end the process as they would have.
pub(crate) fn remove_on_signal(path: &Path) {
    WATCH.call_once(watch);
    pending().insert(path.to_owned());
}

/// `path` needs no removal any more.
pub(crate) fn forget(path: &Path) {
    pending().remove(path);
}

fn pending() -> std::sync::MutexGuard<'static, BTreeSet<PathBuf>> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch() {
    // Without the handler the next maker sweeps; nothing else depends on it.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
    let spawned = std::thread::Builder::new().name("cache-interrupt".into()).spawn(move || {
        for signal in signals.forever() {
            for path in pending().iter() {
                let _ = std::fs::remove_dir_all(path).or_else(|_| std::fs::remove_file(path));
            }
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    });
    drop(spawned);
}
