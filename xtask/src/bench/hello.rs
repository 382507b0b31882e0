//! From a machine's making to its guest's first process, for few CPUs and for many, against QEMU's way from its start to
//! the same point; and how long it takes the first process, our agent, to look at the machine and say hello.

use super::bare::{Boot, DETERMINISTIC, PLAIN_CMDLINE};
use super::row::{Budget, Row};
use super::steady::Bed;
use super::{guest, kvm};
use anyhow::Result;
use ktstr::{Record, Topology};
use ktstr_cache::Cache;
use ktstr_cli::setup::{self, Group};
use ktstr_vmm::qemu::Qemu;
use std::path::PathBuf;
use std::time::Duration;

/// The test program. Its tests are called `cpus_1` and so on.
pub(super) const PROGRAM: &str = "hello";

/// Sizes of guests that are measured, and in the lab, where each guest is emulated twice over, against QEMU's.
pub(super) const CPUS: [u32; 4] = [1, 8, 64, 252];
pub(super) const CPUS_IN_LAB: [u32; 3] = [1, 8, 64];

/// Guests of this many CPUs are booted once, however many rounds there are.
pub(super) const ONCE_FROM: u32 = 200;

/// QEMU is stopped when it has taken this many times as long as ours.
const PATIENCE: u32 = 3;

/// The budgets: under emulation half of QEMU's time where there are many CPUs, on KVM never more than QEMU.
const HALF: Budget = Budget::Ratio(0.5);
const AHEAD: Budget = Budget::Ratio(1.0);
const MANY: u32 = 64;

/// What is compared.
struct Side<'a> {
    accel: &'static str,
    /// QEMU's name in the rows, and its options.
    reference: &'static str,
    options: &'static str,
    /// The CPUs, as the option `-smp` takes them.
    smp: fn(Topology) -> String,
    cmdline: String,
    bed: &'a Bed,
    qemu: PathBuf,
    kernel: PathBuf,
    initramfs: PathBuf,
}

/// Measures under emulation.
///
/// # Errors
/// When a machine does not run.
pub(super) fn tcg(rounds: u32) -> Result<Vec<Row>> {
    setup::ensure(&[Group::Emulator])?;
    let bed = Bed::prepare(PROGRAM)?;
    let side = Side {
        accel: "tcg",
        reference: "bare QEMU -icount",
        options: DETERMINISTIC,
        smp: |topology| topology.cpus().to_string(),
        cmdline: PLAIN_CMDLINE.to_owned(),
        bed: &bed,
        qemu: Qemu::find()?.program,
        kernel: bed.kernel.vmlinux(),
        initramfs: guest::initramfs(&Cache::open_default()?)?,
    };
    let mut rows = Vec::new();
    for cpus in CPUS {
        rows.extend(side.rows(cpus, rounds, (cpus >= MANY).then_some(HALF))?);
    }
    Ok(rows)
}

/// Measures inside the lab.
///
/// # Errors
/// As [`tcg`].
pub(super) fn kvm(bed: &Bed, rounds: u32) -> Result<Vec<Row>> {
    let initramfs = guest::initramfs(&Cache::open_default()?)?;
    let side = Side {
        accel: "kvm",
        reference: "QEMU microvm",
        // Without a clock the kernel looks for one for seconds.
        options: "-M microvm,rtc=on -accel kvm -cpu host",
        smp: in_sockets,
        // The words of our own machine, but for what ours adds where vCPUs share host CPUs: QEMU leaves that to people.
        cmdline: Boot::of(&kvm::config(bed, &initramfs))?.cmdline,
        bed,
        qemu: Qemu::find()?.program,
        kernel: bed.kernel.vmlinux(),
        initramfs,
    };
    let mut rows = Vec::new();
    for cpus in CPUS_IN_LAB {
        rows.extend(side.rows(cpus, rounds, Some(AHEAD))?);
    }
    Ok(rows)
}

impl Side<'_> {
    /// Boots guests of that many CPUs, by turns.
    fn rows(&self, cpus: u32, rounds: u32, budget: Option<Budget>) -> Result<[Row; 2]> {
        let rounds = if cpus >= ONCE_FROM { 1 } else { rounds };
        let (mut ours_s, mut theirs_s, mut hello_s, mut stopped) = (Vec::new(), Vec::new(), Vec::new(), "");
        // The first run fills the caches.
        self.bed.run("cpus_1", self.accel)?;
        for _ in 0..rounds {
            let (_, record) = self.bed.run(&format!("cpus_{cpus}"), self.accel)?;
            let time = record.host.time;
            let ours = Duration::from_secs_f64(time.up_ms / 1e3);
            ours_s.push(ours.as_secs_f64());
            hello_s.push((time.boot_ms - time.up_ms) / 1e3);
            let limit = ours * PATIENCE;
            let boot = self.reference(&record);
            let theirs = boot.to_first_process(&self.qemu, self.options, limit)?.unwrap_or_else(|| {
                stopped = ", stopped before its first process,";
                limit
            });
            theirs_s.push(theirs.as_secs_f64());
        }
        let reference = format!("{}{stopped}", self.reference);
        let up = Row::new(format!("{}: first process of {cpus} CPUs", self.accel), "s", &ours_s);
        let up = up.against(&reference, &theirs_s);
        let hello = Row::new(format!("{}: from there to hello", self.accel), "s", &hello_s);
        Ok([if let Some(budget) = budget { up.within(budget) } else { up }, hello])
    }

    /// QEMU with a guest of the same size.
    fn reference(&self, record: &Record) -> Boot<'_> {
        Boot {
            kernel: &self.kernel,
            initramfs: &self.initramfs,
            cmdline: self.cmdline.clone(),
            smp: (self.smp)(record.machine.topology),
            ram_bytes: record.machine.memory_bytes(),
        }
    }
}

/// A socket for each LLC, as our machine has them.
fn in_sockets(topology: Topology) -> String {
    let Topology { llcs, cores_per_llc, threads_per_core, .. } = topology;
    format!("{},sockets={llcs},cores={cores_per_llc},threads={threads_per_core}", topology.cpus())
}
