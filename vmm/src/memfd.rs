//! Anonymous files: nothing to leave behind, whatever ends the process.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;

/// An empty file without a path, closed on exec (memfd_create(2)). The name is for people who look at `/proc/PID/fd`.
///
/// # Errors
/// What the system call returns.
pub(crate) fn create(name: &CStr) -> io::Result<File> {
    // SAFETY: the name is a C string; the call has no other requirement.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nothing else owns.
    Ok(unsafe { File::from_raw_fd(fd) })
}
