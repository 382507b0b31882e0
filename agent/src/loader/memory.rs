//! The memory of another process.

use anyhow::{Context, Result, ensure};
use libc::{c_void, iovec};
use rustix::process::Pid;
use std::io;

/// Reads from an address of a process.
pub(super) fn read(pid: Pid, address: u64, into: &mut [u8]) -> Result<()> {
    let local = iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = iovec { iov_base: address as *mut c_void, iov_len: into.len() };
    // SAFETY: the local range is `into`; the kernel checks the remote one.
    let count = unsafe { libc::process_vm_readv(pid.as_raw_nonzero().get(), &local, 1, &remote, 1, 0) };
    whole(count, into.len())
        .with_context(|| format!("cannot read {} bytes at {address:#x} of the scheduler", into.len()))
}

/// Writes to an address of a process.
pub(super) fn write(pid: Pid, address: u64, bytes: &[u8]) -> Result<()> {
    let local = iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = iovec { iov_base: address as *mut c_void, iov_len: bytes.len() };
    // SAFETY: the local range is `bytes`, which is only read; the kernel checks the remote one.
    let count = unsafe { libc::process_vm_writev(pid.as_raw_nonzero().get(), &local, 1, &remote, 1, 0) };
    whole(count, bytes.len())
        .with_context(|| format!("cannot write {} bytes at {address:#x} of the scheduler", bytes.len()))
}

fn whole(count: isize, wanted: usize) -> Result<()> {
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    ensure!(count == wanted, "only {count} of them are there");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpid;

    #[test]
    fn what_is_written_is_read() {
        let mut place = [1u8, 2, 3, 4];
        write(getpid(), place.as_mut_ptr() as u64, &[9, 8]).unwrap();
        let mut seen = [0; 4];
        read(getpid(), place.as_ptr() as u64, &mut seen).unwrap();
        assert_eq!(seen, [9, 8, 3, 4]);
    }

    #[test]
    fn an_address_that_is_not_there_is_an_error() {
        assert!(read(getpid(), 8, &mut [0; 4]).unwrap_err().to_string().contains("0x8"));
        assert!(write(getpid(), 8, &[0; 4]).is_err());
    }
}
