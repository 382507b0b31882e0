//! Removal of scratch directories and lock files when a signal ends the process.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

/// A maker does not make files as fast as that.
const ATTEMPTS: u32 = 3;

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
            pending().iter().for_each(|path| remove(path));
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    });
    drop(spawned);
}

/// Its maker goes on meanwhile: what it puts into a directory that has just been emptied keeps that from being removed.
fn remove(path: &Path) {
    let _ = (0..ATTEMPTS).any(|_| fs::remove_dir_all(path).or_else(|_| fs::remove_file(path)).is_ok());
}
