//! Records as runs leave them.

use ktstr::{
    Chosen, GuestPart, HostPart, KernelPart, Machine, RECORD_VERSION, Record, SchedulerPart, TimeSplit, Topology,
    Verdict,
};

/// A record of a test on two CPUs.
pub(crate) fn record(test: &str, verdict: Verdict) -> Record {
    let time = TimeSplit { boot_ms: 1500.0, run_ms: 2004.0, ..TimeSplit::default() };
    let accel_reason = "tcg: asked for; QEMU 7.2".to_owned();
    Record {
        version: RECORD_VERSION,
        test: test.to_owned(),
        preset: None,
        profile: None,
        replica: 0,
        verdict,
        failed_with: Vec::new(),
        machine: Machine::new(Topology::new(1, 2, 1), 512 << 20),
        accel: Some(Chosen::Tcg),
        kernel: Some(KernelPart { id: "7.3.4-1".into(), release: "7.3.4".into(), config_hash: None }),
        scheduler: SchedulerPart::default(),
        images: None,
        seed: 1,
        duration_ns: 2_000_000_000,
        guest: GuestPart::default(),
        repro: None,
        host: HostPart { accel_reason, time, ..HostPart::default() },
    }
}
