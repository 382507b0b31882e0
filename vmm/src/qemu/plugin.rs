//! Our plugin inside QEMU: fair turns for vCPUs where QEMU itself gives none, and the rates of the emulated timers for a
//! kernel that would measure them.

use super::Version;
use super::args::ICOUNT_SHIFT;
use crate::memfd;
use crate::timers::{KernelTimers, TimerCode, variable_gpa};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::RawFd;

/// The shared object, made by the build script from `vmm/plugin`.
const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ktstr-plugin.so"));

/// The first release that shares the time up to the next timer out among all vCPUs. It also tells plugins the wrong vCPU
/// when all run on one thread.
const FAIR_SINCE: Version = Version { major: 8, minor: 1 };

/// A vCPU's turn in nanoseconds of guest time: half the shortest tick that Linux has, so that whoever waits for another
/// vCPU has it soon, and long enough that going round costs little.
const TURN_NS: u64 = 500_000;

/// Counts a second of the emulated TSC under `-icount` and of the local APIC's timer (hw/intc/apic.c): nanoseconds.
pub(super) const TIMER_HZ: u64 = 1_000_000_000;

/// The plugin as a file without a path, if this release needs it.
///
/// # Errors
/// What the host returned.
pub(super) fn file(version: Version) -> io::Result<Option<File>> {
    if version >= FAIR_SINCE {
        return Ok(None);
    }
    let mut file = memfd::create(c"ktstr-plugin")?;
    file.write_all(OBJECT)?;
    Ok(Some(file))
}

/// The value of QEMU's option `-plugin`, given the plugin's descriptor, and descriptor and size in bytes of the RAM that
/// starts at address 0.
pub(super) fn option(fd: RawFd, ram: (RawFd, u64), timers: Option<&KernelTimers>) -> String {
    let mut option = format!("/proc/self/fd/{fd},turn={}", TURN_NS >> ICOUNT_SHIFT);
    if let Some(KernelTimers { hz, code: Some(code) }) = timers {
        stores(&mut option, ram, hz.get().into(), code);
    }
    option
}

/// Adds what to write into the kernel's variables, and when. A variable that cannot be where it is said to be is left out.
fn stores(option: &mut String, (ram, ram_bytes): (RawFd, u64), hz: u64, code: &TimerCode) {
    let _ = write!(option, ",ram={ram},place={}", code.tsc_init.cast_signed());
    for (variable, value) in [(code.lapic_timer_period, TIMER_HZ / hz), (code.finished_booting, 1)] {
        if let Some(gpa) = variable_gpa(variable, ram_bytes) {
            let _ = write!(option, ",offset={gpa},value={value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_qemu_without_fair_turns_gets_it() {
        let has = |major, minor| file(Version { major, minor }).unwrap().is_some();
        assert!(has(7, 2) && has(8, 0));
        assert!(!has(8, 1) && !has(10, 0));
    }

    const CODE: TimerCode = TimerCode {
        tsc_init: 0xffff_ffff_838c_6030,
        lapic_timer_period: 0xffff_ffff_83d4_8b24,
        finished_booting: 0xffff_ffff_83d8_f6d8,
    };

    fn check(timers: Option<KernelTimers>, ram_bytes: u64, expected: &str) {
        assert_eq!(option(9, (5, ram_bytes), timers.as_ref()), format!("/proc/self/fd/9,turn=62500{expected}"));
    }

    #[test]
    fn the_kernel_is_told_what_is_known() {
        let place = ",ram=5,place=-2087952336";
        let timers = |code| Some(KernelTimers { hz: 250.try_into().unwrap(), code });
        let period = ",offset=64260900,value=4000000";
        check(timers(Some(CODE)), 64 << 20, &format!("{place}{period},offset=64550616,value=1"));
        check(timers(None), 64 << 20, "");
        check(None, 64 << 20, "");
        // Not in this RAM, or nowhere at all.
        check(timers(Some(TimerCode { finished_booting: 0, ..CODE })), 64 << 20, &format!("{place}{period}"));
        check(timers(Some(CODE)), 16 << 20, place);
    }
}
