//! What an emulator knows of a kernel's timers, so that the kernel need not find it out.
//!
//! Measuring a timer means to wait for another one with PAUSE, and each PAUSE of one emulated CPU is a turn for all others.

use std::num::NonZeroU32;

/// A kernel's timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelTimers {
    /// Timer ticks a second (`CONFIG_HZ`).
    pub hz: NonZeroU32,
    /// Where its code keeps them, if its symbols tell.
    pub code: Option<TimerCode>,
}

/// Guest-virtual addresses in a kernel that has not been moved by KASLR, as in a direct boot of its ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerCode {
    /// The function `tsc_init` (arch/x86/kernel/tsc.c), which the boot CPU runs once, before it looks at the variables.
    pub tsc_init: u64,
    /// The variable `lapic_timer_period` (arch/x86/kernel/apic/apic.c): rate of the local APIC's timer per tick, 0 where that
    /// must be measured. Four bytes.
    pub lapic_timer_period: u64,
    /// The variable `finished_booting` (kernel/time/clocksource.c): whether a clock is used once it is registered, rather than
    /// at the end of the boot. Until then all CPUs tick, idle ones too. Four bytes.
    pub finished_booting: u64,
}
