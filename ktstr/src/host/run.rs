//! One test on the host, from its declaration to its record.

use crate::guest::Outcome;
use crate::host::attempt::{Attempt, Parts, default_memory_bytes};
use crate::host::budget;
use crate::host::conform;
use crate::host::console::Log;
use crate::host::expected::expect;
use crate::host::judge::judge;
use crate::host::limits;
use crate::host::observations::Observations;
use crate::host::prepare::{self, PrepareError};
use crate::host::repro;
use crate::host::schedule::{self, Watch};
use crate::host::schedulers;
use crate::host::session::SessionError;
use crate::host::symbols;
use crate::record::{GuestPart, HostPart, KernelPart, RECORD_VERSION, Record, SchedulePart, TimeSplit};
use crate::settings::{Settings, runs_dir};
use crate::spec::TestSpec;
use crate::verdict::Verdict;
use ktstr_cache::Cache;
use ktstr_monitor::schedule::Schedule;
use ktstr_vmm::placement::Report;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

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
        repro: None,
        host: HostPart {
            started_unix_s: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            load_1m: load_1m(),
            ..HostPart::default()
        },
    }
}

/// Runs it, and says in the record what came of it.
///
/// # Errors
/// When it has no machine.
pub(super) fn fill_record(spec: &TestSpec, settings: &Settings, record: &mut Record) -> Result<(), SetupError> {
    give_back_large_blocks();
    survive_large_files();
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
    Ok(Parts { cache, kernel, accel, boot, payload, schedulers })
}

/// Runs the machine and judges what is seen; a crash of the scheduler is looked at in a second run.
fn run_machine(
    spec: &TestSpec,
    settings: &Settings,
    program: &Path,
    parts: &Parts,
    record: &mut Record,
) -> Result<(), SetupError> {
    let attempt = Attempt::new(spec, settings, parts);
    record.machine = attempt.config.machine.clone();
    // Before the wait: a machine that cannot be had is refused at once.
    attempt.config.validate()?;
    let (log, log_name) = console_log(spec, settings, program, &record.file_stem())?;
    record.host.console_log = Some(log_name);
    let watch = settings.trace.then(|| Watch::new(&parts.kernel, parts.accel));
    let watching = watch.as_ref().and_then(|watch| watch.as_ref().ok());
    let mut seen = attempt.run(watching, log, &mut record.host.budget)?;
    if let Some(report) = &seen.machine {
        seen.differences = conform::differences(&attempt.config.machine, &attempt.config.ram_layout()?, report);
    }
    schedulers::settle(&mut seen, spec);
    if let Some(complaint) = seen.placement.as_ref().and_then(Report::complaint) {
        budget::say(&complaint);
    }
    (record.verdict, record.failed_with) = expect(judge(&seen), spec.expect_err, &seen);
    let started_ns = seen.started_ns;
    let wanted = repro::wanted(spec, &record.verdict, &seen);
    take_observations(record, seen);
    if let Some(watch) = watch {
        let dir = runs_dir(program).join(&settings.run_id);
        take_schedule(record, watch.and_then(|watch| watch.since(started_ns)), &dir);
    }
    if let Some(hello) = &record.guest.hello {
        record.guest.symbols = symbols::in_guest(&parts.kernel, hello);
    }
    if let Some(wanted) = wanted {
        let stem = format!("{}.repro", record.file_stem());
        let log = || console_log(spec, settings, program, &stem);
        repro::run(spec, &attempt, &parts.kernel, wanted, log, record);
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
    record.host.boot = seen.boot;
    record.host.slowdown = seen.slowdown;
    record.host.placement = seen.placement;
    let TimeSplit { resolve_ms, pack_ms, .. } = record.host.time;
    record.host.time = TimeSplit { resolve_ms, pack_ms, ..seen.time };
    record.host.vcpu_clocks = seen.vcpu_clocks;
}

/// The file for the console, beside where the record goes.
fn console_log(spec: &TestSpec, settings: &Settings, program: &Path, stem: &str) -> Result<(Log, String), SetupError> {
    let dir = runs_dir(program).join(&settings.run_id);
    let (log, name) = Log::create(&dir, stem).map_err(|source| SetupError::Log { dir, source })?;
    Ok((if settings.console { log.live(&spec.name()) } else { log }, name))
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

/// From now on a file that becomes larger than `ulimit -f` allows is an error, and not the end of this process.
fn survive_large_files() {
    // SAFETY: plain system call.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

fn ms_since(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

fn load_1m() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().next()?.parse().ok()
}
