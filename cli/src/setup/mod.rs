//! `setup`: what the machine must have, and how it gets it.
//!
//! Looking costs a few stats of files, so that every verb can afford to look before it starts. Installing is apt-get's
//! work, on a system that has it and for root; anyone else is told the command.

mod install;
mod needs;
mod probe;

use anyhow::{Result, bail};
use ktstr::Accel;
use needs::{NEEDS, Need};
use probe::{Machine, Probe};
use std::path::PathBuf;
use std::process::ExitCode;

/// Find what this machine lacks for building and running tests, and install it (as root, on a Debian-like system)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only look: list what there is and what is missing, and fail when something is
    #[arg(long)]
    check: bool,
    /// What to set up for; everything when nothing is named
    groups: Vec<Group>,
}

/// Things that are needed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Group {
    /// Software emulation: QEMU
    Emulator,
    /// Kernels from the distribution's archive
    Packages,
    /// BPF schedulers: compiler and libraries
    Bpf,
    /// The kernel's own sched_ext schedulers and selftests
    SchedExt,
    /// `kvm-lab`: an emulated machine with a genuine /dev/kvm
    Lab,
    /// `kernel build`
    KernelBuild,
    /// Fuzzing: a C++ compiler for libFuzzer
    Fuzz,
    /// Programs that this project's own tests run in their guests
    Programs,
    /// The test of the report: a browser
    Browser,
}

/// Sets up as the command line says.
///
/// # Errors
/// When something is missing and cannot be installed.
pub fn run(args: &Args) -> Result<ExitCode> {
    let wanted = |need: &&Need| args.groups.is_empty() || need.serves(&args.groups);
    let needs: Vec<&Need> = NEEDS.iter().filter(wanted).collect();
    let machine = Machine::this();
    if !args.check {
        provide(&machine, &needs)?;
    }
    let mut missing = false;
    for need in needs {
        let state = match machine.has(&need.probe) {
            Some(path) => path.display().to_string(),
            None => {
                missing = true;
                "MISSING".to_owned()
            }
        };
        println!("{:<24} {:<18} {state}", need.probe.to_string(), need.package);
    }
    Ok(if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Makes sure that the machine has what these groups need, and says nothing when it has.
///
/// # Errors
/// When something is missing and cannot be installed: the error has the command that would.
pub fn ensure(groups: &[Group]) -> Result<()> {
    let needs: Vec<&Need> = NEEDS.iter().filter(|need| need.serves(groups)).collect();
    provide(&Machine::this(), &needs)
}

/// Makes sure that what runs machines by `accel` is there. With a KVM that works nothing else is needed.
///
/// # Errors
/// As [`ensure`].
pub fn for_accelerator(accel: Accel) -> Result<()> {
    let own_emulator = std::env::var_os("KTSTR_QEMU").is_some_and(|program| !program.is_empty());
    let kvm_works = || Accel::Kvm.choose().is_ok();
    match accel {
        _ if own_emulator => Ok(()),
        Accel::Kvm => Ok(()),
        Accel::Auto if kvm_works() => Ok(()),
        Accel::Auto | Accel::Tcg => ensure(&[Group::Emulator]),
    }
}

/// Where a program is on the search path.
pub(crate) fn program(name: &'static str) -> Option<PathBuf> {
    Machine::this().has(&Probe::Program(name))
}

fn provide(machine: &Machine, needs: &[&Need]) -> Result<()> {
    let missing = machine.lacks(needs);
    if missing.is_empty() {
        return Ok(());
    }
    install::install(&missing)?;
    let still = machine.lacks(&missing);
    if !still.is_empty() {
        let names: Vec<String> = still.iter().map(|need| format!("{} (of {})", need.probe, need.package)).collect();
        bail!("apt-get succeeded, and yet there is no {}: look at the search path", names.join(", "));
    }
    Ok(())
}
