//! Room on the disk for what apt fetches, and patience with an apt that has none.

use super::{Error, io_context};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// Refuses to begin what will not fit: on a full disk `apt-get update` waits for ever instead of failing.
pub(super) fn require(dir: &Path, bytes: u64) -> Result<(), Error> {
    let free = io_context(free_bytes(dir), "find out how much room there is in", dir)?;
    let full = || io::Error::new(io::ErrorKind::StorageFull, format!("{free} bytes are free, {bytes} are needed"));
    if free < bytes { io_context(Err(full()), "fetch packages into", dir) } else { Ok(()) }
}

/// Gives up on an apt-get that has gone silent. On a disk that fills up under it, it would wait for ever.
pub(super) fn worth_waiting(dir: &Path, silence: Duration) -> io::Result<()> {
    const SUSPICIOUS: Duration = Duration::from_secs(5);
    const HOPELESS: Duration = Duration::from_secs(600);
    const LEAST_BYTES: u64 = 4 << 20;
    if silence >= HOPELESS {
        let said = format!("it has said nothing for {} s: check the network and try again", silence.as_secs());
        return Err(io::Error::new(io::ErrorKind::TimedOut, said));
    }
    if silence >= SUSPICIOUS && free_bytes(dir)? < LEAST_BYTES {
        return Err(io::Error::from_raw_os_error(libc::ENOSPC));
    }
    Ok(())
}

/// Bytes that an ordinary user may still write to a file system. Source: statvfs(3).
fn free_bytes(dir: &Path) -> io::Result<u64> {
    let path = CString::new(dir.as_os_str().as_bytes())?;
    // SAFETY: a struct of integers, for which all zeroes is a value.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends in NUL and the struct is writable; the call keeps neither.
    match unsafe { libc::statvfs(path.as_ptr(), &raw mut found) } {
        0 => Ok(found.f_bavail.saturating_mul(found.f_frsize)),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_borne_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        worth_waiting(dir.path(), Duration::from_secs(599)).unwrap();
        let error = worth_waiting(dir.path(), Duration::from_secs(600)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn what_does_not_fit_is_not_begun() {
        let dir = tempfile::tempdir().unwrap();
        require(dir.path(), 1).unwrap();
        let error = require(dir.path(), u64::MAX).unwrap_err();
        assert!(error.to_string().contains("cannot fetch packages into"), "{error}");
        assert!(error.to_string().contains("point KTSTR_CACHE_DIR at another file system"), "{error}");
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("are needed"));
    }
}
