//! The directory of the lock files. All users of the host share it, so nothing in it is trusted: no link is followed, no
//! file is written or truncated, and all that is done to one is to lock it.

use super::Error;
use std::ffi::{CString, OsStr};
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Everyone may make files, and none may remove another's.
const SHARED_FOLDER: u32 = 0o1777;

/// Everyone may lock.
const SHARED_FILE: u32 = 0o666;

/// How long a file of another user may be closed to us: from its making to its opening to all.
const OPENING_LIMIT: Duration = Duration::from_secs(1);

/// The lock of one CPU; the kernel drops it when the last descriptor of the file is closed.
pub(super) type SlotLock = File;

/// Where the directory is on this host: the same for every user, so that they meet.
pub(super) fn of_host() -> PathBuf {
    let is_shared =
        |path: &Path| path.metadata().is_ok_and(|meta| meta.is_dir() && meta.mode() & 0o7777 == SHARED_FOLDER);
    let parent = Some(Path::new("/run/lock")).filter(|path| is_shared(path)).unwrap_or(Path::new("/tmp"));
    parent.join("ktstr-vcpus")
}

/// The directory, held open: what it is called later does not matter.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    handle: File,
}

impl Folder {
    /// Opens the directory, and makes it where there is none.
    ///
    /// # Errors
    /// [`Error::Folder`].
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let made = std::fs::DirBuilder::new().mode(SHARED_FOLDER).create(path);
        let handle = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path);
        // The user's mask has taken something from the mode.
        let handle = handle.and_then(|handle| {
            if made.is_ok() {
                handle.set_permissions(Permissions::from_mode(SHARED_FOLDER))?;
            }
            Ok(handle)
        });
        handle.map(|handle| Self { path: path.to_owned(), handle }).map_err(|source| {
            // One that is there and cannot be used is one thing, one that cannot be made another.
            let not_made = made.err().filter(|error| error.kind() != io::ErrorKind::AlreadyExists);
            Error::Folder { path: path.to_owned(), source: not_made.unwrap_or(source) }
        })
    }

    /// The lock of a CPU, if nobody has it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn try_lock(&self, cpu: usize) -> Result<Option<SlotLock>, Error> {
        let name = slot_name(cpu);
        let file = self.open_file(&name, libc::O_RDONLY)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(self.error(&name, source)),
        }
    }

    /// The inode of a CPU's lock file, by which the kernel lists its locks; `None` while there is no such file.
    pub(super) fn inode(&self, cpu: usize) -> Option<u64> {
        let file = self.open_existing(&slot_name(cpu), libc::O_RDONLY).ok()?;
        file.metadata().ok().map(|meta| meta.ino())
    }

    /// A file of the directory, made where there is none.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn open_file(&self, name: &str, access: i32) -> Result<File, Error> {
        let began = Instant::now();
        loop {
            // Opened before it is made: with O_CREAT the kernel refuses another user's file (fs.protected_regular).
            let opened = match self.open_existing(name, access) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.make(name, access),
                other => other,
            };
            match opened {
                Ok(file) => return Ok(file),
                Err(error) if is_no_race(&error) || began.elapsed() > OPENING_LIMIT => {
                    return Err(self.error(name, error));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// What a failed call on one of the files means.
    pub(super) fn error(&self, name: &str, source: io::Error) -> Error {
        Error::File { path: self.path.join(name), source }
    }

    fn open_existing(&self, name: &str, access: i32) -> io::Result<File> {
        let file = self.open_at(name, access)?;
        // Anybody may have put a pipe or a device here.
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
    }

    fn make(&self, name: &str, access: i32) -> io::Result<File> {
        let file = self.open_at(name, access | libc::O_CREAT | libc::O_EXCL)?;
        file.set_permissions(Permissions::from_mode(SHARED_FILE))?;
        Ok(file)
    }

    fn open_at(&self, name: &str, flags: i32) -> io::Result<File> {
        let name = CString::new(OsStr::new(name).as_bytes())?;
        // Without O_NONBLOCK a pipe would keep us.
        let flags = flags | libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
        // SAFETY: the name is a C string and the directory is open; the call has no other requirement.
        let fd = unsafe { libc::openat(self.handle.as_raw_fd(), name.as_ptr(), flags, SHARED_FILE) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor that nothing else owns.
        Ok(unsafe { File::from_raw_fd(fd) })
    }
}

fn slot_name(cpu: usize) -> String {
    format!("cpu{cpu}")
}

/// Whether an error is not one that another process causes by making the same thing at the same moment.
fn is_no_race(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::PermissionDenied)
}
