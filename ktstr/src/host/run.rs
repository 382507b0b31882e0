//! One test on the host, from its declaration to its record.

use crate::assert::Assert;
use crate::ctx::RunContext;
use crate::guest::{Known, Named, Outcome};
use crate::host::budget;
use crate::host::conform;
use crate::host::console::Log;
use crate::host::expected::expect;
use crate::host::judge::judge;
use crate::host::limits;
use crate::host::observations::Observations;
use crate::host::phases::{Deadlines, body_limit};
use crate::host::prepare::{self, GUEST_PROGRAM, PrepareError};
use crate::host::programs::GUEST_SEARCH_PATH;
use crate::host::schedule::{self, Watch};
use crate::host::schedulers::{self, Patience, Ready};
use crate::host::session::{self, SessionError};
use crate::host::symbols;
use crate::host::timers::kernel_timers;
use crate::record::{GuestPart, HostPart, KernelPart, RECORD_VERSION, Record, SchedulePart, TimeSplit};
use crate::scheduler::{BpfMapWrite, Scheduler, SchedulerSpec};
use crate::settings::{Settings, runs_dir};
use crate::spec::TestSpec;
use crate::verdict::Verdict;
use ktstr_cache::Cache;
use ktstr_initramfs::Image;
use ktstr_kernels::Kernel;
use ktstr_monitor::schedule::Schedule;
use ktstr_vmm::layout::MIN_NODE_RAM_BYTES;
use ktstr_vmm::placement::Report;
use ktstr_vmm::{Chosen, Pace, VmConfig};
use ktstr_wire::{Reserved, Run, Streams};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// The reserved range grows in these steps, so that the machine stays the same when a payload grows a little.
const RESERVED_STEP_BYTES: u64 = 64 << 20;

/// RAM by default: this much, and some for each CPU.
const BASE_RAM_BYTES: u64 = 448 << 20;
const RAM_PER_CPU_BYTES: u64 = 16 << 20;

/// Everything that can keep a test from having a machine.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetupError {
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error(transparent)]
    KernelLimit(#[from] limits::KernelLimit),
    #[error(transparent)]
    Vm(#[from] ktstr_vmm::Error),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("cannot make a file for the console in {}", dir.display())]
    Log { dir: PathBuf, source: std::io::Error },
    #[error("cannot tell which program this is")]
    Program(#[source] std::io::Error),
}

/// What is known of a run before it begins.
pub(super) fn blank_record(spec: &TestSpec, replica: u32, seed: u64) -> Record {
    Record {
        version: RECORD_VERSION,
        test: spec.test().to_owned(),
        preset: spec.preset.map(str::to_owned),
        profile: spec.profile.clone(),
        replica,
        verdict: Verdict::Inconclusive { reason: "the test did not end".to_owned() },
        failed_with: Vec::new(),
        machine: spec.machine(default_memory_bytes(spec, 0)),
        accel: None,
        kernel: None,
        scheduler: schedulers::part(spec, &spec.scheduler),
        images: None,
        seed,
        duration_ns: (spec.duration_s * 1e9) as u64,
        guest: GuestPart::default(),
        host: HostPart {
            started_unix_s: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            load_1m: load_1m(),
            ..HostPart::default()
        },
    }
}

/// What a machine is made of, besides what the test declares.
struct Parts {
    kernel: Kernel,
    accel: Chosen,
    boot: Image,
    payload: Image,
    schedulers: Vec<Ready>,
}

/// Runs it, and says in the record what came of it.
///
/// # Errors
/// When it has no machine.
pub(super) fn fill_record(spec: &TestSpec, settings: &Settings, record: &mut Record) -> Result<(), SetupError> {
    give_back_large_blocks();
    let program = std::env::current_exe().map_err(SetupError::Program)?;
    let parts = gather(spec, settings, &program, record)?;
    run_machine(spec, settings, &program, &parts, record)
}

/// Gets what is needed, and says in the record what that is.
fn gather(spec: &TestSpec, settings: &Settings, program: &Path, record: &mut Record) -> Result<Parts, SetupError> {
    let began = Instant::now();
    let cache = Cache::open_default().map_err(PrepareError::from)?;
    let kernel = prepare::kernel(&cache, &settings.kernel, spec)?;
    record.kernel = Some(KernelPart {
        id: kernel.id.clone(),
        release: kernel.meta.release.clone(),
        config_hash: kernel.meta.config_hash.clone(),
    });
    limits::check(&kernel, &record.machine)?;
    let (accel, reason) = settings.accel.choose()?;
    record.accel = Some(accel);
    record.host.accel_reason = reason;
    record.host.time.resolve_ms = ms_since(began);

    let began = Instant::now();
    let boot = prepare::boot_image(&cache)?;
    let schedulers = schedulers::ready(spec).map_err(PrepareError::from)?;
    if let Some(own) = schedulers.first() {
        record.scheduler = own.part.clone();
    }
    let payload = prepare::payload(&cache, program, spec.programs, &schedulers, &kernel)?;
    record.images = Some((boot.id.clone(), payload.id.clone()));
    record.host.time.pack_ms = ms_since(began);
    Ok(Parts { kernel, accel, boot, payload, schedulers })
}

/// Makes the machine, runs it when the host has CPUs for it, and judges what is seen.
fn run_machine(
    spec: &TestSpec,
    settings: &Settings,
    program: &Path,
    parts: &Parts,
    record: &mut Record,
) -> Result<(), SetupError> {
    let Parts { kernel, accel, boot, payload, schedulers } = parts;
    let opened = File::open(&payload.path);
    let mut archive = opened.map_err(|source| PrepareError::Read { path: payload.path.clone(), source })?;
    let archive_bytes = payload.len_bytes as usize;
    let reserved_bytes = reserved_bytes(archive_bytes);
    let mut config = VmConfig {
        kernel: kernel.vmlinux(),
        initramfs: boot.path.clone(),
        machine: spec.machine(default_memory_bytes(spec, reserved_bytes)),
        reserved_bytes,
        timers: kernel_timers(kernel),
        kargs: kargs(spec, settings),
        seed: settings.seed,
        accel: *accel,
        placement: None,
        pace: Pace::Instructions,
    };
    record.machine = config.machine.clone();
    // Before the wait: a machine that cannot be had is refused at once.
    config.validate()?;
    let order = order(spec, settings, &config, schedulers);
    let (log, log_name) = console_log(spec, settings, program, &record.file_stem())?;
    record.host.console_log = Some(log_name);
    let deadlines = deadlines(spec, settings, *accel);
    // Waited for before any deadline begins; given back when the machine is gone.
    let share = budget::take(&config.machine, *accel, spec.performance_mode);
    record.host.budget = share.part.clone();
    config.placement.clone_from(&share.plan);
    let watch = settings.trace.then(|| Watch::new(kernel, *accel));
    let watching = watch.as_ref().and_then(|watch| watch.as_ref().ok());
    let mut seen = session::run(&config, watching, &mut archive, archive_bytes, &order, &deadlines, log)?;
    drop(share);
    if let Some(report) = &seen.machine {
        seen.differences = conform::differences(&config.machine, &config.ram_layout()?, report);
    }
    schedulers::settle(&mut seen, spec);
    if let Some(complaint) = seen.placement.as_ref().and_then(Report::complaint) {
        budget::say(&complaint);
    }
    (record.verdict, record.failed_with) = expect(judge(&seen), spec.expect_err, &seen);
    let started_ns = seen.started_ns;
    take_observations(record, seen);
    if let Some(watch) = watch {
        let dir = runs_dir(program).join(&settings.run_id);
        take_schedule(record, watch.and_then(|watch| watch.since(started_ns)), &dir);
    }
    if let Some(hello) = &record.guest.hello {
        record.guest.symbols = symbols::in_guest(kernel, hello);
    }
    Ok(())
}

fn take_schedule(record: &mut Record, schedule: Result<Schedule, String>, dir: &Path) {
    let log = record.host.console_log.as_deref().unwrap_or_default();
    record.host.schedule = Some(match &schedule {
        Ok(schedule) => schedule::keep(schedule, dir, log),
        Err(why) => SchedulePart { file: None, without: Some(why.clone()) },
    });
    record.guest.latencies = schedule.map(|schedule| schedule.latencies()).unwrap_or_default();
}

fn take_observations(record: &mut Record, seen: Observations) {
    record.guest = GuestPart {
        machine: seen.machine,
        hello: seen.hello,
        symbols: Vec::new(),
        started_ns: seen.started_ns,
        exited_ns: seen.exited.as_ref().map(|(_, at_ns)| *at_ns),
        exit_status: seen.exited.map(|(status, _)| status),
        faults: seen.faults,
        schedulers: seen.schedulers,
        stimuli: seen.stimuli,
        result: match seen.outcome {
            Some(Outcome::Finished(result)) => Some(result),
            _ => None,
        },
        latencies: Vec::new(),
        output: seen.output,
        console: seen.console.text,
        dumps: seen.console.dumps,
    };
    record.host.accel_reason.extend(seen.lacks.map(|lacks| format!("; {lacks}")));
    record.host.slowdown = seen.slowdown;
    record.host.placement = seen.placement;
    let TimeSplit { resolve_ms, pack_ms, .. } = record.host.time;
    record.host.time = TimeSplit { resolve_ms, pack_ms, ..seen.time };
    record.host.vcpu_clocks = seen.vcpu_clocks;
}

fn order(spec: &TestSpec, settings: &Settings, config: &VmConfig, schedulers: &[Ready]) -> Run {
    let context = RunContext {
        machine: config.machine.clone(),
        seed: settings.seed,
        duration_ns: (spec.duration_s * 1e9) as u64,
        workers_per_cgroup: spec.workers_per_cgroup,
        cgroup_parent: spec.scheduler.parent().to_owned(),
        sysctls: sysctls(spec),
        schedulers: known(spec),
        assert: spec.assert.over(spec.scheduler.assert),
        defaults: Assert::defaults(config.accel),
    };
    let name = spec.name();
    let words = [GUEST_PROGRAM, "--exact", &name, "--nocapture", "--include-ignored", "--test-threads=1"];
    Run {
        argv: words.map(str::to_owned).to_vec(),
        env: [("PATH", GUEST_SEARCH_PATH), ("HOME", "/tmp"), ("RUST_BACKTRACE", "1")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
        dir: "/tmp".to_owned(),
        streams: Streams::Captured,
        // Plain data: it always serialises.
        context: serde_json::to_vec(&context).unwrap_or_default(),
        deadline_ns: limit(spec, config.accel).as_nanos() as u64,
        schedulers: schedulers.iter().map(|ready| ready.order.clone()).collect(),
        begin_scheduled: spec.scheduler.binary != SchedulerSpec::None,
        map_writes: spec.bpf_map_write.iter().map(BpfMapWrite::timed).collect(),
    }
}

/// The schedulers in the order in which the agent gets them.
fn known(spec: &TestSpec) -> Known {
    let named =
        |scheduler: &Scheduler| Named { name: scheduler.name.to_owned(), is_program: scheduler.binary.is_program() };
    let schedulers = schedulers::wanted(spec).map(named).collect();
    Known { schedulers, first: (spec.scheduler.binary != SchedulerSpec::None).then_some(0) }
}

/// The scheduler's, the test's, and those of the environment: of several that contradict each other the last holds.
fn kargs(spec: &TestSpec, settings: &Settings) -> Vec<String> {
    let declared = spec.scheduler.kargs.iter().chain(spec.kargs).map(|word| (*word).to_owned());
    declared.chain(settings.kargs.clone()).collect()
}

/// The scheduler's and the test's, each setting once.
fn sysctls(spec: &TestSpec) -> Vec<(String, String)> {
    let is_own = |name: &str| spec.sysctls.iter().any(|(own, _)| *own == name);
    let of_scheduler = spec.scheduler.sysctls.iter().filter(|(name, _)| !is_own(name));
    of_scheduler.chain(spec.sysctls).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Time for each phase. KVM guests boot in a second or two, and in a nested machine in many.
fn deadlines(spec: &TestSpec, settings: &Settings, accel: Chosen) -> Deadlines {
    let cpus = u64::from(spec.topology.cpus());
    let patience = Patience::of(spec);
    let boot_s = match accel {
        Chosen::Kvm => 60 + cpus,
        Chosen::Tcg => 60 + 2 * cpus,
    };
    Deadlines {
        boot: settings.boot_timeout.unwrap_or(Duration::from_secs(boot_s)),
        hello: settings.boot_timeout.unwrap_or(Duration::from_secs(60)),
        ready: Duration::from_secs(60) + patience.load,
        // As long again for the agent to notice, to dump and to report.
        scenario: limit(spec, accel) * 2 + patience.end,
        teardown: Duration::from_secs(60) + patience.end,
    }
}

fn limit(spec: &TestSpec, accel: Chosen) -> Duration {
    body_limit(Duration::from_secs_f64(spec.duration_s), spec.topology.cpus(), accel) + Patience::of(spec).body
}

/// The file for the console, beside where the record goes.
fn console_log(spec: &TestSpec, settings: &Settings, program: &Path, stem: &str) -> Result<(Log, String), SetupError> {
    let dir = runs_dir(program).join(&settings.run_id);
    let (log, name) = Log::create(&dir, stem).map_err(|source| SetupError::Log { dir, source })?;
    Ok((if settings.console { log.live(&spec.name()) } else { log }, name))
}

fn reserved_bytes(payload_bytes: usize) -> u64 {
    let need = Reserved::<ktstr_wire::MappedRegion>::bytes_for(payload_bytes) as u64;
    need.next_multiple_of(RESERVED_STEP_BYTES)
}

/// RAM of a machine whose test does not say how much.
pub(crate) fn default_memory_bytes(spec: &TestSpec, reserved_bytes: u64) -> u64 {
    let for_cpus = u64::from(spec.topology.cpus()) * RAM_PER_CPU_BYTES;
    // The reserved range is in one of the nodes, and leaves it enough.
    let for_nodes = u64::from(spec.topology.numa_nodes) * (reserved_bytes + MIN_NODE_RAM_BYTES);
    for_nodes.max(BASE_RAM_BYTES + reserved_bytes + for_cpus)
}

/// From now on a large block goes back to the host when it is freed. By default the allocator learns from the first one
/// to keep them, and what packing took would stay resident while the machine runs.
fn give_back_large_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no pointers; the allocator does its own locking.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 256 << 10);
    }
}

fn ms_since(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

fn load_1m() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().next()?.parse().ok()
}
