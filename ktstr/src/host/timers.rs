//! What the emulator may tell a kernel about its timers.

use ktstr_kernels::Kernel;
use ktstr_vmm::{KernelTimers, TimerCode};

/// The kernel's timers, as far as its configuration and symbols tell. What they don't tell the kernel measures.
pub(crate) fn of(kernel: &Kernel) -> Option<KernelTimers> {
    let hz = kernel.option_value("HZ")?.parse().ok()?;
    Some(KernelTimers { hz, code: code(kernel) })
}

fn code(kernel: &Kernel) -> Option<TimerCode> {
    let symbols = kernel.symbols().ok()?;
    Some(TimerCode {
        tsc_init: symbols.address("tsc_init")?,
        lapic_timer_period: symbols.address("lapic_timer_period")?,
        finished_booting: symbols.address("finished_booting")?,
    })
}
