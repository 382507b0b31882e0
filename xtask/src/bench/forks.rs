//! What it saves to go on from where another machine said hello: time to hello, whole tests in a minute, and memory.

use super::hello::{CPUS, ONCE_FROM, PROGRAM};
use super::row::{Budget, Row};
use super::rss;
use super::steady::{Bed, Boots};
use anyhow::{Result, ensure};
use ktstr::BootPart;
use ktstr_cli::setup::{self, Group};

/// The budget: a tenth of the time of a boot.
const TENTH: Budget = Budget::Ratio(0.1);

const MINUTE_S: f64 = 60.0;

/// Measures under emulation.
///
/// # Errors
/// When a machine does not run, or is no fork.
pub(super) fn tcg(rounds: u32) -> Result<Vec<Row>> {
    setup::ensure(&[Group::Emulator])?;
    rows(&Bed::prepare(PROGRAM)?, "tcg", rounds)
}

/// Measures inside the lab.
///
/// # Errors
/// As [`tcg`].
pub(super) fn kvm(bed: &Bed, rounds: u32) -> Result<Vec<Row>> {
    rows(bed, "kvm", rounds)
}

fn rows(bed: &Bed, accel: &str, rounds: u32) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for cpus in CPUS {
        let rounds = if cpus >= ONCE_FROM { 1 } else { rounds };
        rows.extend(rows_of(bed, accel, cpus, rounds)?);
    }
    Ok(rows)
}

fn rows_of(bed: &Bed, accel: &str, cpus: u32, rounds: u32) -> Result<Vec<Row>> {
    let test = format!("cpus_{cpus}");
    // The first one is kept, if none was before, and the first fork on a host that was just started checks what was kept.
    for _ in 0..2 {
        bed.run_as(&test, accel, Boots::Forked)?;
    }
    let (mut hello, mut whole) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..rounds {
        for (side, boots) in [Boots::Forked, Boots::Cold].into_iter().enumerate() {
            let (measured, record) = bed.run_as(&test, accel, boots)?;
            let is_fork = record.host.boot == BootPart::Forked;
            ensure!(is_fork == (boots == Boots::Forked), "{test} was {:?} with {boots:?}", record.host.boot);
            hello[side].push(record.host.time.boot_ms);
            whole[side].push(MINUTE_S / measured.wall_s);
        }
    }
    let memory = [Boots::Forked, Boots::Cold].map(|boots| rss::added(bed, &test, accel, boots));
    let [forked_mib, booted_mib] = memory;
    let row = |what: &str, unit: &str, [ours, theirs]: &[Vec<f64>; 2]| {
        Row::new(format!("{accel}: {what} of {cpus} CPUs, forked"), unit, ours).against("booted", theirs)
    };
    let memory = [vec![forked_mib?], vec![booted_mib?]];
    Ok(vec![
        row("hello", "ms", &hello).within(TENTH),
        row("tests a minute, one by one,", "", &whole),
        row("memory of a test", "MiB", &memory),
    ])
}
