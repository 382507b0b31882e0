//! From arguments to a loaded object.

use crate::args::{Args, Policy};
use crate::faults::Fault;
use crate::skel::types::{data, rodata};
use crate::skel::{KtstrSkel, KtstrSkelBuilder, OpenKtstrSkel};
use crate::topology::Llcs;
use anyhow::{Context, Result, ensure};
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{AsRawLibbpf, OpenObject, PrintLevel};
use std::mem::MaybeUninit;

/// `SCX_OPS_SWITCH_PARTIAL`, as it has been since sched_ext is there (kernel/sched/ext/internal.h).
const SWITCH_PARTIAL: u64 = 1 << 3;

/// Loads the scheduler; it does nothing before it is attached. When the verifier refuses it, libbpf writes the verifier's
/// log to standard error, whole.
///
/// # Errors
/// What libbpf and the kernel refuse.
pub(crate) fn load<'a>(args: &Args, object: &'a mut MaybeUninit<OpenObject>) -> Result<KtstrSkel<'a>> {
    // Without its remarks on what the kernel does not have and this does not use.
    libbpf_rs::set_print(Some((PrintLevel::Warn, |_, message| eprint!("{message}"))));
    let mut open = KtstrSkelBuilder::default().open(object).context("cannot read the BPF object of this program")?;
    let cpus = libbpf_rs::num_possible_cpus().context("cannot tell how many CPUs there are")?;
    constants(args, cpus, open.maps.rodata_data.as_deref_mut().context("the BPF object has no constants")?)?;
    switches(args, open.maps.data_data.as_deref_mut().context("the BPF object has no switches")?)?;
    operations(args, &mut open);
    open.load().context("the kernel refused to load the scheduler: libbpf's messages are above")
}

fn constants(args: &Args, cpus: usize, constants: &mut rodata) -> Result<()> {
    let llcs = Llcs::of_this_machine(cpus);
    let most = constants.cpu_llc.len();
    ensure!(cpus <= most, "this machine has {cpus} CPUs; {most} is what this scheduler knows of");
    constants.cpu_llc[..cpus].copy_from_slice(&llcs.of_cpu);
    constants.nr_cpus = u32::try_from(cpus)?;
    constants.nr_llcs = llcs.count.into();
    constants.by_vtime = args.policy == Policy::Vtime;
    constants.slice_ns = u64::from(args.slice_us) * 1000;
    constants.own_tgid = i32::try_from(std::process::id())?;
    Ok(())
}

fn switches(args: &Args, switches: &mut data) -> Result<()> {
    for (to, from) in switches.victim_comm.iter_mut().zip(args.victim.bytes()) {
        *to = from as i8;
    }
    switches.victim_min_runtime_ns = u64::from(args.victim_min_ms) * 1_000_000;
    for fault in &args.faults {
        match *fault {
            Fault::StallTask(pid) => {
                switches.fault_stall_task = 1;
                switches.fault_stalled_pid = pid.unwrap_or(0);
            }
            Fault::StallCpu(cpu) => switches.fault_stall_cpu = cpu,
            Fault::DropEnqueue(times) => switches.fault_drop_enqueue = times,
            Fault::IgnoreAffinity => switches.fault_ignore_affinity = 1,
            Fault::WrongDsq => switches.fault_wrong_dsq = 1,
            Fault::ErrorExit(dispatches) => switches.fault_error_exit = dispatches,
            Fault::SlowDispatchUs(us) => switches.fault_slow_dispatch_us = us,
            Fault::UnfairWeights(factor) => switches.fault_unfair_weights = factor,
            Fault::CrashAfterDispatches(dispatches) => switches.fault_crash_after_dispatches = dispatches,
            Fault::VerifierReject => {}
        }
    }
    Ok(())
}

fn operations(args: &Args, open: &mut OpenKtstrSkel<'_>) {
    let rejected = args.faults.contains(&Fault::VerifierReject);
    let tick = rejected.then(|| open.progs.ktstr_rejected_tick.as_libbpf_object().as_ptr());
    let operations = open.struct_ops.ktstr_ops_mut();
    if let Some(tick) = tick {
        operations.tick = tick;
    }
    if let Some(timeout_ms) = args.watchdog_timeout_ms {
        operations.timeout_ms = timeout_ms;
    }
    if args.partial {
        operations.flags |= SWITCH_PARTIAL;
    }
}
