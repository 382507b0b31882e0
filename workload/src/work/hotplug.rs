//! CPUs that go offline and come back.

use super::pin::allowed;
use super::system::sleep_until;
use crate::meter::Meter;
use std::io::{self, Write};
use std::time::Duration;

/// Takes one of the allowed CPUs after the other offline and back. CPU 0 stays.
pub(super) fn toggle(meter: &mut Meter<'_>, offline: Duration, online: Duration) -> io::Result<()> {
    let all = allowed()?;
    let has = |cpu: &usize| all[cpu / 8] >> (cpu % 8) & 1 != 0;
    let cpus = || (1..all.len() * 8).filter(has);
    if cpus().next().is_none() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    while meter.goes_on() {
        for cpu in cpus() {
            if !meter.goes_on() {
                break;
            }
            meter.unit();
            // Somebody else may be at it, or it may be the last one.
            match meter.wait(|| set(cpu, b'0')) {
                Err(error) if error.raw_os_error() != Some(libc::EBUSY) => return Err(error),
                _ => {}
            }
            sleep(meter, offline);
            meter.wait(|| set(cpu, b'1'))?;
            meter.iteration();
            sleep(meter, online);
        }
    }
    Ok(())
}

fn sleep(meter: &mut Meter<'_>, length: Duration) {
    let due_ns = meter.last_ns() + u64::try_from(length.as_nanos()).unwrap_or(u64::MAX / 4);
    meter.wait_until(due_ns, || sleep_until(due_ns));
}

/// Writes to `/sys/devices/system/cpu/cpuN/online` (Documentation/core-api/cpu_hotplug.rst).
fn set(cpu: usize, state: u8) -> io::Result<()> {
    let mut path = [0_u8; 64];
    write!(&mut path[..], "/sys/devices/system/cpu/cpu{cpu}/online\0")?;
    // SAFETY: a path that ends in zero, a live byte, and our own descriptor.
    unsafe {
        let file = libc::open(path.as_ptr().cast(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        let written = libc::write(file, (&raw const state).cast(), 1);
        let result = if written < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
        libc::close(file);
        result
    }
}
