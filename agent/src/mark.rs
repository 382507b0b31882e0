//! Where the guest can be stopped, to go on at any other time.

use ktstr_wire::MARK;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Tells whoever emulates this machine that the moment has come.
///
/// It is told on the last CPU: an emulator whose CPUs take turns begins with the first one when it goes on, and then that is
/// its turn whether it was stopped here or made anew of what was saved here. Without that CPU it is told all the same.
pub(crate) fn here() {
    let allowed = sched_getaffinity(None);
    if let Some(last) = last_cpu() {
        let mut only = CpuSet::new();
        only.set(last);
        let _ = sched_setaffinity(None, &only);
    }
    execute();
    if let Ok(allowed) = allowed {
        let _ = sched_setaffinity(None, &allowed);
    }
}

/// The last of all CPUs, by the kernel's numbers.
fn last_cpu() -> Option<usize> {
    let possible = std::fs::read_to_string("/sys/devices/system/cpu/possible").ok()?;
    possible.trim().rsplit([',', '-']).next()?.parse().ok()
}

fn execute() {
    // SAFETY: an instruction that does nothing.
    unsafe {
        std::arch::asm!(
            ".byte {}, {}, {}, {}, {}, {}, {}, {}",
            const MARK[0], const MARK[1], const MARK[2], const MARK[3],
            const MARK[4], const MARK[5], const MARK[6], const MARK[7],
            options(nomem, nostack, preserves_flags)
        );
    }
}
