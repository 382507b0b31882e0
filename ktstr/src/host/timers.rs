//! What a machine may tell a kernel about its timers.

use ktstr_kernels::{Kernel, Symbols};
use ktstr_vmm::{ClockCode, KernelTimers, TimerCode};

/// The kernel's timers, as far as its configuration and symbols tell. What they don't tell the kernel measures or waits for.
pub fn kernel_timers(kernel: &Kernel) -> Option<KernelTimers> {
    let hz = kernel.option_value("HZ")?.parse().ok()?;
    let symbols = kernel.symbols().ok();
    let (code, clock) = symbols.map_or((None, None), |symbols| (code(&symbols), clock(&symbols)));
    Some(KernelTimers { hz, code, clock })
}

fn code(symbols: &Symbols) -> Option<TimerCode> {
    Some(TimerCode {
        tsc_init: symbols.address("tsc_init")?,
        lapic_timer_period: symbols.address("lapic_timer_period")?,
        finished_booting: symbols.address("finished_booting")?,
    })
}

fn clock(symbols: &Symbols) -> Option<ClockCode> {
    Some(ClockCode {
        smp_init: symbols.address("smp_init")?,
        clocksource_done_booting: symbols.address("clocksource_done_booting")?,
    })
}
