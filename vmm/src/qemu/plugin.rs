//! Our plugin inside QEMU: fair turns for vCPUs where QEMU itself gives none, the rates of the emulated timers for a kernel
//! that would measure them, and stop points.

use super::args::ICOUNT_SHIFT;
use super::{Version, interface};
use crate::memfd;
use crate::timers::{KernelTimers, TimerCode, image_gpa};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::RawFd;

/// The first release that shares the time up to the next timer out among all vCPUs. It also tells plugins the wrong vCPU
/// when all run on one thread.
const FAIR_SINCE: Version = Version { major: 8, minor: 1 };

/// A vCPU's turn in nanoseconds of guest time: half the shortest tick that Linux has, so that whoever waits for another
/// vCPU has it soon, and long enough that going round costs little.
const TURN_NS: u64 = 500_000;

/// Counts a second of the emulated TSC under `-icount` and of the local APIC's timer (hw/intc/apic.c): nanoseconds.
pub(super) const TIMER_HZ: u64 = 1_000_000_000;

/// Size of each of the kernel's variables.
const VARIABLE_BYTES: u64 = 4;

/// What the plugin is to do in a QEMU of some release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tasks<'a> {
    version: Version,
    /// To give vCPUs fair turns, without which a guest does not get far.
    turns: bool,
    /// To tell the kernel its timers' rates. Without that guests of many CPUs boot slowly or never.
    timers: Option<(u64, &'a TimerCode)>,
}

impl<'a> Tasks<'a> {
    /// With that release and that kernel.
    pub(super) fn new(version: Version, timers: Option<&'a KernelTimers>) -> Self {
        let timers = timers.and_then(|timers| Some((timers.hz.get().into(), timers.code.as_ref()?)));
        Self { version, turns: version < FAIR_SINCE, timers }
    }

    /// The plugin as a file without a path.
    ///
    /// # Errors
    /// What the host returned.
    pub(super) fn file(&self) -> io::Result<File> {
        let mut file = memfd::create(c"ktstr-plugin")?;
        file.write_all(&interface::object(interface::of(self.version)))?;
        Ok(file)
    }

    /// The value of QEMU's option `-plugin`, given the descriptors of the plugin and of what it tells of stop points, and
    /// descriptor and size in bytes of the RAM that starts at address 0.
    pub(super) fn option(&self, fd: RawFd, stops: RawFd, ram: (RawFd, u64)) -> String {
        let mut option = format!("/proc/self/fd/{fd},stops={stops}");
        if self.turns {
            let _ = write!(option, ",turn={}", TURN_NS >> ICOUNT_SHIFT);
        }
        if let Some((hz, code)) = self.timers {
            stores(&mut option, ram, hz, code);
        }
        option
    }

    /// Whether a QEMU that ended with these messages ended because of the plugin, and would do without. Releases that are
    /// not known here may refuse its interface ("Could not load plugin", plugins/loader.c), and a QEMU can be built without
    /// plugins ("plugin interface not enabled in this build", include/qemu/plugin.h).
    pub(super) fn can_do_without(&self, stderr: &str) -> bool {
        !self.turns && stderr.contains("plugin")
    }
}

/// Adds what to write into the kernel's variables, and when. A variable that cannot be where it is said to be is left out.
fn stores(option: &mut String, (ram, ram_bytes): (RawFd, u64), hz: u64, code: &TimerCode) {
    let _ = write!(option, ",ram={ram},place={}", code.tsc_init.cast_signed());
    for (variable, value) in [(code.lapic_timer_period, TIMER_HZ / hz), (code.finished_booting, 1)] {
        if let Some(gpa) = image_gpa(variable, VARIABLE_BYTES, ram_bytes) {
            let _ = write!(option, ",offset={gpa},value={value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Version = Version { major: 8, minor: 0 };
    const NEW: Version = Version { major: 8, minor: 1 };

    const CODE: TimerCode = TimerCode {
        tsc_init: 0xffff_ffff_838c_6030,
        lapic_timer_period: 0xffff_ffff_83d4_8b24,
        finished_booting: 0xffff_ffff_83d8_f6d8,
    };

    fn timers(code: Option<TimerCode>) -> KernelTimers {
        KernelTimers { hz: 250.try_into().unwrap(), code, clock: None }
    }

    fn check(code: Option<TimerCode>, ram_bytes: u64, expected: &str) {
        let timers = timers(code);
        let option = |version| Tasks::new(version, Some(&timers)).option(9, 4, (5, ram_bytes));
        assert_eq!(option(OLD), format!("/proc/self/fd/9,stops=4,turn=62500{expected}"));
        assert_eq!(option(NEW), format!("/proc/self/fd/9,stops=4{expected}"));
    }

    #[test]
    fn the_kernel_is_told_what_is_known() {
        let place = ",ram=5,place=-2087952336";
        let period = ",offset=64260900,value=4000000";
        check(Some(CODE), 64 << 20, &format!("{place}{period},offset=64550616,value=1"));
        check(None, 64 << 20, "");
        // Not in this RAM, or nowhere at all.
        check(Some(TimerCode { finished_booting: 0, ..CODE }), 64 << 20, &format!("{place}{period}"));
        check(Some(CODE), 16 << 20, place);
    }

    #[test]
    fn fair_turns_are_not_gone_without() {
        let timers = timers(Some(CODE));
        let can = |version, stderr| Tasks::new(version, Some(&timers)).can_do_without(stderr);
        let refused = "qemu-system-x86_64: Could not load plugin /proc/self/fd/9: plugin requires API version 7, but this QEMU \
                       supports only a minimum version of 8\n";
        assert!(can(NEW, refused) && !can(OLD, refused));
        assert!(!can(NEW, "qemu-system-x86_64: unable to map backing store for guest RAM: Cannot allocate memory\n"));
    }
}
