//! What a machine knows of a kernel's timers, so that the kernel need not find it out or wait for it.
//!
//! Measuring a timer means to wait for another one with PAUSE, and each PAUSE of one emulated CPU is a turn for all others.

use std::num::NonZeroU32;

/// A kernel's timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelTimers {
    /// Timer ticks a second (`CONFIG_HZ`).
    pub hz: NonZeroU32,
    /// Where its code keeps them, if its symbols tell. For software emulation.
    pub code: Option<TimerCode>,
    /// How it comes to use its clock, if its symbols tell. For KVM, where vCPUs share host CPUs.
    pub clock: Option<ClockCode>,
}

/// Guest-virtual addresses, as in [`TimerCode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockCode {
    /// The function `smp_init` (kernel/smp.c), with which the boot CPU starts the others.
    pub smp_init: u64,
    /// The function `clocksource_done_booting` (kernel/time/clocksource.c), with which the kernel takes the best clock that it
    /// has and will use a better one as soon as it is registered; calling it twice is as good as once.
    pub clocksource_done_booting: u64,
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

/// Where a kernel's image is mapped (arch/x86/include/asm/page_64_types.h, `__START_KERNEL_map`): its first byte stands for
/// guest-physical address 0 as long as the image is where its ELF file says.
const KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;

/// Where `bytes` of a kernel's image are in the RAM that starts at address 0 and has `ram_bytes`; `None` when they are not
/// there.
pub(crate) fn image_gpa(gva: u64, bytes: u64, ram_bytes: u64) -> Option<u64> {
    gva.checked_sub(KERNEL_MAP).filter(|gpa| gpa + bytes <= ram_bytes)
}
