//! The scheduler's life: load, attach, wait, report.

use crate::args::{Args, Policy};
use crate::exit::{self, Report};
use crate::load::load;
use crate::skel::KtstrSkel;
use anyhow::{Context, Result, anyhow};
use libbpf_rs::{ErrorKind, RingBuffer, RingBufferBuilder};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::Write;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// `EVENT_CRASH` of `src/bpf/exit.bpf.h`.
const CRASH: u32 = 1;

/// How long to wait for an event at a time: a signal that comes just before is seen after this.
const PATIENCE: Duration = Duration::from_millis(100);

/// Runs the scheduler until a signal or the kernel ends it, and reports the end.
///
/// # Errors
/// When it cannot be loaded or attached, or not be watched.
pub(crate) fn run(args: &Args) -> Result<()> {
    let signalled = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&signalled)).context("cannot wait for signals")?;
    }
    let mut object = MaybeUninit::uninit();
    let mut loaded = load(args, &mut object)?;
    let link = loaded.maps.ktstr_ops.attach_struct_ops().context("the kernel refused to enable the scheduler")?;
    announce(args, &loaded);
    wait(&loaded, &signalled)?;
    // Enabled or not any more: the kernel is done with the scheduler, and its report is there, when this returns.
    drop(link);
    let bss = loaded.maps.bss_data.as_deref().context("the BPF object has no variables")?;
    match exit::is_there(bss) {
        true => eprintln!("{}", Report::read(bss)),
        false => eprintln!("EXIT: the kernel has not said why"),
    }
    Ok(())
}

fn announce(args: &Args, loaded: &KtstrSkel<'_>) {
    let policy = match args.policy {
        Policy::Fifo => "fifo",
        Policy::Vtime => "vtime",
    };
    let (cpus, llcs) = loaded.maps.rodata_data.map_or((0, 0), |constants| (constants.nr_cpus, constants.nr_llcs));
    let slice_us = args.slice_us;
    // Nobody may be listening; that is no reason not to schedule.
    let mut out = std::io::stdout();
    let _ = writeln!(out, "ktstr: enabled, policy {policy}, slice {slice_us} us, CPUs {cpus}, LLCs {llcs}");
    let _ = out.flush();
}

fn wait(loaded: &KtstrSkel<'_>, signalled: &AtomicBool) -> Result<()> {
    let events = events(loaded)?;
    let bss = loaded.maps.bss_data.as_deref().context("the BPF object has no variables")?;
    while !signalled.load(Ordering::Relaxed) && !exit::is_there(bss) {
        match events.poll(PATIENCE) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return Err(anyhow!(error).context("cannot wait for events of the BPF side"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn events<'a>(loaded: &'a KtstrSkel<'_>) -> Result<RingBuffer<'a>> {
    let mut builder = RingBufferBuilder::new();
    let on_event = |event: &[u8]| {
        if event == CRASH.to_ne_bytes() {
            eprintln!("scx-ktstr: fault crash-after-dispatches");
            std::process::abort();
        }
        0
    };
    builder.add(&loaded.maps.events, on_event).context("cannot read events of the BPF side")?;
    builder.build().context("cannot read events of the BPF side")
}
