//! A lock file that exists only while it is held.

use crate::{Error, interrupt, io_context};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// An exclusive lock on a path, held until dropped. The kernel drops it when the process dies.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Waits for the lock.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be created or locked.
    pub fn acquire(path: &Path) -> Result<Self, Error> {
        loop {
            let file = open(path)?;
            io_context(file.lock(), "lock", path)?;
            if is_current(&file, path) {
                return Ok(Self::held(path, file));
            }
        }
    }

    /// The lock, if nobody holds it.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn try_acquire(path: &Path) -> Result<Option<Self>, Error> {
        loop {
            let file = open(path)?;
            match file.try_lock() {
                Ok(()) if is_current(&file, path) => return Ok(Some(Self::held(path, file))),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return io_context(Err(error), "lock", path),
            }
        }
    }

    fn held(path: &Path, file: File) -> Self {
        interrupt::remove_on_signal(path);
        Self { path: path.to_owned(), file }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Unlinked while still locked: a waiter that then gets this inode sees that the path has moved on.
        let _ = fs::remove_file(&self.path);
        interrupt::forget(&self.path);
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> Result<File, Error> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    io_context(opened, "open the lock file", path)
}

/// Whether `file` is what `path` names now; a holder that finished has unlinked it.
fn is_current(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}
