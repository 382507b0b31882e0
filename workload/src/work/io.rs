//! Work that writes to files.

use super::system::done;
use crate::meter::Meter;
use std::io;

/// Bytes that are written in a round.
const BYTES: usize = 64 << 10;

pub(super) fn sync(meter: &mut Meter<'_>) -> io::Result<()> {
    static CONTENT: [u8; BYTES] = [b'.'; BYTES];
    // SAFETY: a terminated string. The file ends with the process.
    let file = done(unsafe { libc::memfd_create(c"io_sync".as_ptr(), libc::MFD_CLOEXEC) }.into())? as i32;
    while meter.goes_on() {
        // SAFETY: a live buffer of this size.
        done(unsafe { libc::pwrite(file, CONTENT.as_ptr().cast(), BYTES, 0) } as i64)?;
        // SAFETY: no pointers.
        done(unsafe { libc::fsync(file) }.into())?;
        meter.unit();
        meter.iteration();
    }
    // SAFETY: our own descriptor. A sequence comes here again.
    unsafe { libc::close(file) };
    Ok(())
}
