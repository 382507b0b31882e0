//! What a machine holds in memory besides the guest's RAM: our process in the lab, ours and QEMU's under emulation.

use super::row::{Budget, Row};
use super::steady::{Bed, Boots, PROGRAM, TWO_CGROUPS};
use anyhow::{Context, Result, ensure};
use ktstr_cli::setup::{self, Group};
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

/// What guest RAM is mapped from, on either backend.
const GUEST_RAM: [&str; 2] = ["/dev/zero", "/memfd:ktstr-ram"];

const BUDGET: Budget = Budget::Value(8.0);
const MIB: f64 = 1024.0;
/// Mappings that get a row of their own: the largest.
const SHOWN: usize = 6;
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOK_OFTEN: Duration = Duration::from_millis(50);

/// Resident KiB by the name of what is mapped.
type Resident = BTreeMap<String, u64>;

/// Measures, inside the lab.
///
/// # Errors
/// When the test never had a guest.
pub(super) fn kvm(bed: &Bed) -> Result<Vec<Row>> {
    let (all, parts) = rows("kvm", &watch(bed, "kvm")?);
    Ok([vec![all.within(BUDGET)], parts].concat())
}

/// Measures under emulation, where QEMU's translated code is most of it.
///
/// # Errors
/// As [`kvm`].
pub(super) fn tcg() -> Result<Vec<Row>> {
    setup::ensure(&[Group::Emulator])?;
    let (all, parts) = rows("tcg", &watch(&Bed::prepare(PROGRAM)?, "tcg")?);
    Ok([vec![all], parts].concat())
}

/// The sum, and the largest parts.
fn rows(accel: &str, most: &Resident) -> (Row, Vec<Row>) {
    let row = |what: String, kib: u64| Row::new(format!("rss: {accel}: {what}"), "MiB", &[kib as f64 / MIB]);
    let mut parts: Vec<(&String, &u64)> = most.iter().collect();
    parts.sort_by_key(|(_, kib)| std::cmp::Reverse(**kib));
    let parts = parts.into_iter().take(SHOWN).map(|(name, kib)| row(format!("of which {name}"), *kib));
    (row("besides guest RAM, at most".to_owned(), total(most)), parts.collect())
}

/// What was resident besides guest RAM when it was most, while there was guest RAM.
fn watch(bed: &Bed, accel: &str) -> Result<Resident> {
    let run_id = format!("bench-{}", std::process::id());
    let mut command = bed.command(TWO_CGROUPS, accel, &run_id, Boots::Cold);
    let mut child = command.stdout(Stdio::null()).spawn().context("cannot start the test program")?;
    let mut most = Resident::new();
    let status = loop {
        if let Some(status) = child.try_wait().context("cannot wait for the test program")? {
            break status;
        }
        let mut resident = resident(child.id());
        if resident.remove("guest RAM").is_some() && total(&resident) > total(&most) {
            most = resident;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    if !status.success() {
        eprintln!("bench: the test ended with {status}");
    }
    ensure!(!most.is_empty(), "the test was never seen with a guest's memory");
    Ok(most)
}

/// The most that a test's processes take of the host's memory, in MiB: pages that they share with others count by their parts.
///
/// # Errors
/// When the test fails, or nothing was seen.
pub(super) fn added(bed: &Bed, test: &str, accel: &str, boots: Boots) -> Result<f64> {
    let run_id = format!("bench-{}", std::process::id());
    let mut command = bed.command(test, accel, &run_id, boots);
    let mut child = command.stdout(Stdio::null()).spawn().context("cannot start the test program")?;
    let mut most_kib = 0;
    while child.try_wait().context("cannot wait for the test program")?.is_none() {
        let processes = children(child.id()).into_iter().chain([child.id().to_string()]);
        most_kib = most_kib.max(processes.filter_map(|pid| proportional_kib(&pid)).sum());
        std::thread::sleep(LOOK_OFTEN);
    }
    ensure!(most_kib > 0, "{test} was never seen");
    Ok(most_kib as f64 / MIB)
}

/// `Pss` of a process (proc_pid_smaps(5)); none once it is gone.
fn proportional_kib(pid: &str) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// What a process and its children hold. One that ended a moment ago has nothing to read, which is seen in the next round.
fn resident(pid: u32) -> Resident {
    let mut sums = Resident::new();
    for pid in children(pid).into_iter().chain([pid.to_string()]) {
        for (name, kib) in parse(&std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_default()) {
            *sums.entry(name).or_default() += kib;
        }
    }
    sums
}

/// Children of any thread of a process (proc_tid_children(5)).
fn children(pid: u32) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn total(resident: &Resident) -> u64 {
    resident.values().sum()
}

/// Sums `Rss` of smaps (proc_pid_smaps(5)) by name.
fn parse(smaps: &str) -> Resident {
    let mut sums = Resident::new();
    let mut name = String::new();
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        if !first.ends_with(':') {
            name = name_of(words.nth(4));
        } else if first == "Rss:" {
            let kib: u64 = words.next().and_then(|text| text.parse().ok()).unwrap_or(0);
            *sums.entry(name.clone()).or_default() += kib;
        }
    }
    sums
}

fn name_of(path: Option<&str>) -> String {
    match path {
        None => "anonymous memory".to_owned(),
        Some(path) if GUEST_RAM.contains(&path) => "guest RAM".to_owned(),
        Some(path) => path.rsplit('/').next().unwrap_or(path).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_by_name() {
        let smaps = "7f00-7f10 rw-p 00000000 00:06 4 /dev/zero\nSize: 64 kB\nRss:  48 kB\n\
                     7f20-7f30 rw-p 00000000 00:00 0 \nRss: 4 kB\nVmFlags: rd wr\n\
                     7f30-7f40 rw-p 00000000 00:00 0 \nRss: 8 kB\n55-56 r-xp 0 08:01 9 /t/steady-1\nRss: 16 kB\n";
        let sums = parse(smaps);
        let expected = [("anonymous memory", 12), ("guest RAM", 48), ("steady-1", 16)];
        assert_eq!(sums, expected.map(|(name, kib)| (name.to_owned(), kib)).into());
    }
}
