//! A whole test under software emulation against bare boots of the same kernel.

use super::bare::{Boot, DETERMINISTIC, PLAIN_CMDLINE};
use super::guest;
use super::row::{Budget, Row};
use super::steady::{Bed, PROGRAM, SCENARIO_S, STEADY};
use anyhow::Result;
use ktstr::{Record, TimeSplit};
use ktstr_cache::Cache;
use ktstr_cli::setup::{self, Group};
use ktstr_vmm::qemu::Qemu;

/// As a person starts it; a thread for each CPU.
const DEFAULT: &str = "-accel tcg -cpu max";

const BUDGET: Budget = Budget::Ratio(1.3);

/// A phase's name, and its milliseconds.
type Phase = (&'static str, fn(&TimeSplit) -> f64);

/// Wall and processor time of each round.
struct Series {
    wall_s: Vec<f64>,
    cpu_s: Vec<f64>,
}

impl Series {
    const NONE: Self = Self { wall_s: Vec::new(), cpu_s: Vec::new() };

    fn push(&mut self, measured: &super::process::Measured, less_s: f64) {
        self.wall_s.push(measured.wall_s - less_s);
        self.cpu_s.push(measured.cpu_s - less_s);
    }
}

/// Measures.
///
/// # Errors
/// When a machine or a test does not run.
pub(super) fn measure(rounds: u32) -> Result<Vec<Row>> {
    setup::ensure(&[Group::Emulator])?;
    let bed = Bed::prepare(PROGRAM)?;
    let initramfs = guest::initramfs(&Cache::open_default()?)?;
    let qemu = Qemu::find()?.program;
    // The first run fills the caches.
    let (_, warm) = bed.run(STEADY, "tcg")?;
    let boot = Boot {
        kernel: &bed.kernel.vmlinux(),
        initramfs: &initramfs,
        cmdline: PLAIN_CMDLINE.to_owned(),
        smp: warm.machine.topology.cpus().to_string(),
        ram_bytes: warm.machine.memory_bytes(),
    };
    let [mut ours, mut around, mut default, mut deterministic] = [const { Series::NONE }; 4];
    let mut records = Vec::new();
    for _ in 0..rounds {
        let (measured, record) = bed.run(STEADY, "tcg")?;
        ours.push(&measured, SCENARIO_S);
        // Guest time may pass faster than the host's: what the scenario really took is another figure.
        around.push(&measured, record.host.time.run_ms / 1e3);
        records.push(record);
        default.push(&boot.run(&qemu, DEFAULT)?, 0.0);
        deterministic.push(&boot.run(&qemu, DETERMINISTIC)?, 0.0);
    }
    let mut rows = Vec::new();
    for (name, bare) in [("bare QEMU", &default), ("bare QEMU -icount", &deterministic)] {
        let row = |what: &str, ours: &[f64], theirs: &[f64]| Row::new(what, "s", ours).against(name, theirs);
        rows.extend([
            row("tcg: steady less its 2 s", &ours.wall_s, &bare.wall_s).within(BUDGET),
            row("tcg: steady less its 2 s, CPU time", &ours.cpu_s, &bare.cpu_s),
            row("tcg: steady less its run phase", &around.wall_s, &bare.wall_s),
            row("tcg: steady less its run phase, CPU time", &around.cpu_s, &bare.cpu_s),
        ]);
    }
    rows.extend(split("tcg", &records));
    Ok(rows)
}

/// Where the time of these runs went.
pub(super) fn split(name: &str, records: &[Record]) -> Vec<Row> {
    const PHASES: [Phase; 6] = [
        ("resolve", |time| time.resolve_ms),
        ("pack", |time| time.pack_ms),
        ("boot", |time| time.boot_ms),
        ("ready", |time| time.ready_ms),
        ("run", |time| time.run_ms),
        ("teardown", |time| time.teardown_ms),
    ];
    let row = |(phase, of): Phase| {
        let values: Vec<f64> = records.iter().map(|record| of(&record.host.time)).collect();
        Row::new(format!("{name}: of which {phase}"), "ms", &values)
    };
    PHASES.into_iter().map(row).collect()
}
