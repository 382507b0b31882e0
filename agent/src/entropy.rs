//! The kernel's random numbers: from now on others than those of each machine that was the same up to here.

use anyhow::{Context, Result};
use ktstr_wire::message::ENTROPY_BYTES;
use std::fs::File;
use std::os::fd::AsRawFd;

const DEVICE: &str = "/dev/urandom";

/// Requests of drivers/char/random.c (include/uapi/linux/random.h).
const RNDADDENTROPY: libc::Ioctl = 0x4008_5203;
const RNDRESEEDCRNG: libc::Ioctl = 0x5207;

/// `struct rand_pool_info` with room for the bytes.
#[repr(C)]
struct PoolInfo {
    entropy_bits: i32,
    bytes: i32,
    content: [u8; ENTROPY_BYTES],
}

/// Mixes the bytes in and makes a new key of all that there is, on every CPU.
pub(crate) fn begin_with(bytes: &[u8; ENTROPY_BYTES]) -> Result<()> {
    let device = File::options().write(true).open(DEVICE).with_context(|| format!("cannot open {DEVICE}"))?;
    let info = PoolInfo { entropy_bits: ENTROPY_BYTES as i32 * 8, bytes: ENTROPY_BYTES as i32, content: *bytes };
    // SAFETY: the structure is what the request reads, and lives as long as the call.
    let added = unsafe { libc::ioctl(device.as_raw_fd(), RNDADDENTROPY, &raw const info) };
    // SAFETY: this request has no argument.
    if added != 0 || unsafe { libc::ioctl(device.as_raw_fd(), RNDRESEEDCRNG) } != 0 {
        return Err(std::io::Error::last_os_error()).context("cannot give the kernel other random numbers");
    }
    Ok(())
}
