//! The machine in which a scheduler loads.

use super::Args;
use super::loads::Loads;
use super::runs::Run;
use crate::kernel;
use crate::setup;
use crate::shell::guest::{Guest, News};
use crate::shell::include;
use crate::shell::machine::{self, Shape};
use crate::shell::tools::{self, Userland};
use anyhow::{Context, Result, ensure};
use ktstr::{Settings, Topology};
use ktstr_cache::Cache;
use ktstr_wire::scheduler::{SchedulerOrder, SchedulerStart};
use ktstr_wire::{HostMessage, Run as Order, Streams};
use signal_hook::consts::SIGINT;
use std::path::Path;
use std::time::{Duration, Instant};

/// Where the scheduler is in the guest.
const GUEST_DIR: &str = "/ktstr/scheduler";

/// CPUs of the machine, in one LLC.
const CPUS: u32 = 2;

/// `BPF_LOG_STATS` (include/linux/bpf_verifier.h): time and stack depths.
const STATS: u32 = 4;

/// What ending may take, in the guest's time, with a kernel that waits for stalled tasks.
const ENDING: Duration = Duration::from_secs(60);
/// What all may take besides loading, in ours: the boot, on a loaded host, and logs that are sent.
const REST: Duration = Duration::from_secs(1800);

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Boots the kernel, and loads the scheduler there.
pub(super) fn load(run: &Run, program: &Path, args: &Args) -> Result<Loads> {
    let name = program.file_name().and_then(|name| name.to_str()).context("the scheduler's name is no text")?;
    let path = format!("{GUEST_DIR}/{name}");
    let image = include::add(Userland::find()?.image, program, path.clone())?;
    let (settings, cache) = (Settings::from_env()?, Cache::open_default()?);
    let accel = args.accel.unwrap_or(settings.accel);
    setup::for_accelerator(accel)?;
    let kernel = kernel::resolve(&run.kernel)?;
    let payload = ktstr::with_kernel_config(image, &kernel).build(&cache)?;
    let shape = Shape { topology: Topology::new(1, CPUS, 1), memory_bytes: None, accel };
    let (config, _why) = machine::configure(shape, &kernel, &payload, &cache, &settings)?;
    watch(Guest::boot(&config, &payload, &order(run, path, args))?, args.timeout)
}

/// The scheduler, and a program that does nothing once it is enabled.
fn order(run: &Run, path: String, args: &Args) -> Order {
    let argv = std::iter::once(path).chain(run.profile.args.iter().cloned()).collect();
    let scheduler = SchedulerOrder {
        name: run.scheduler.name(),
        start: SchedulerStart::Program { argv, env: tools::environment() },
        cgroup_parent: None,
        watchdog_timeout_ms: None,
        verifier_log_level: args.level | STATS,
        load_deadline_ns: u64::try_from(args.timeout.as_nanos()).unwrap_or(u64::MAX),
        stop_signal: SIGINT,
        stop_deadline_ns: ENDING.as_nanos() as u64,
    };
    Order {
        entropy: None,
        argv: ["/bin/sh", "-c", "exit 0"].map(str::to_owned).to_vec(),
        env: tools::environment(),
        dir: tools::HOME.to_owned(),
        streams: Streams::Piped,
        context: Vec::new(),
        deadline_ns: u64::MAX,
        schedulers: vec![scheduler],
        begin_scheduled: true,
        map_writes: Vec::new(),
        trace: None,
    }
}

/// Takes what the guest tells, until it is over.
fn watch(mut guest: Guest, timeout: Duration) -> Result<Loads> {
    guest.tell(&HostMessage::InputEnd);
    let began = Instant::now();
    let mut loads = Loads::default();
    loop {
        for news in guest.look()? {
            match news {
                News::Scheduler(event) => loads.take(event),
                News::Fault(what) => loads.fault(what),
                News::Console(bytes) => loads.console(&bytes),
                News::Exited(_) | News::Over(_) => {
                    guest.stop()?;
                    return Ok(loads);
                }
                News::Hello | News::Output(..) => {}
            }
        }
        let limit = timeout.saturating_add(REST);
        ensure!(began.elapsed() < limit, "the machine has not come to an end within {} s", limit.as_secs());
        guest.keep_telling()?;
        std::thread::sleep(LOOK_EVERY);
    }
}
