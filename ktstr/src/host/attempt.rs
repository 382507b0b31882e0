//! A machine and what it is to do: made of what the test declares, and run once or again.

use crate::assert::Assert;
use crate::ctx::RunContext;
use crate::guest::{Known, Named};
use crate::host::budget;
use crate::host::console::Log;
use crate::host::observations::Observations;
use crate::host::phases::{Deadlines, body_limit};
use crate::host::prepare::{GUEST_PROGRAM, PrepareError};
use crate::host::programs::GUEST_SEARCH_PATH;
use crate::host::run::SetupError;
use crate::host::schedule::Watch;
use crate::host::schedulers::{self, Patience, Ready};
use crate::host::session::{self, Errand, SessionError};
use crate::host::snapshots::Snapshots;
use crate::host::timers::kernel_timers;
use crate::record::BudgetPart;
use crate::scheduler::{BpfMapWrite, Scheduler, SchedulerSpec};
use crate::settings::Settings;
use crate::spec::TestSpec;
use ktstr_cache::Cache;
use ktstr_initramfs::Image;
use ktstr_kernels::Kernel;
use ktstr_vmm::layout::MIN_NODE_RAM_BYTES;
use ktstr_vmm::{Chosen, Pace, VmConfig};
use ktstr_wire::message::ENTROPY_BYTES;
use ktstr_wire::trace::TraceOrder;
use ktstr_wire::{Reserved, Run, Streams};
use std::fs::File;
use std::io::Read;
use std::time::Duration;

/// The reserved range grows in these steps, so that the machine stays the same when a payload grows a little.
const RESERVED_STEP_BYTES: u64 = 64 << 20;

/// All machines boot alike, so that each can go on from where another one was. What is random in a test comes after that.
const BOOT_SEED: u64 = 1;

/// RAM by default: this much, and some for each CPU.
const BASE_RAM_BYTES: u64 = 448 << 20;
const RAM_PER_CPU_BYTES: u64 = 16 << 20;

/// What a machine is made of, besides what the test declares.
pub(super) struct Parts {
    pub(super) cache: Cache,
    pub(super) kernel: Kernel,
    pub(super) accel: Chosen,
    pub(super) boot: Image,
    pub(super) payload: Image,
    pub(super) schedulers: Vec<Ready>,
}

/// What tracing may take besides: setting it up and telling what was recorded.
const TRACING: Duration = Duration::from_secs(60);

/// What is to be run.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) config: VmConfig,
    payload: Image,
    order: Run,
    deadlines: Deadlines,
    performance_mode: bool,
    /// Machines to go on from.
    snapshots: Option<Snapshots>,
}

impl Attempt {
    /// A run of the test.
    pub(super) fn new(spec: &TestSpec, settings: &Settings, parts: &Parts) -> Self {
        let Parts { cache, kernel, accel, boot, payload, schedulers } = parts;
        let reserved_bytes = reserved_bytes(payload.len_bytes as usize);
        let config = VmConfig {
            kernel: kernel.vmlinux(),
            initramfs: boot.path.clone(),
            machine: spec.machine(default_memory_bytes(spec, reserved_bytes)),
            reserved_bytes,
            timers: kernel_timers(kernel),
            kargs: kargs(spec, settings),
            seed: BOOT_SEED,
            accel: *accel,
            placement: None,
            pace: Pace::Instructions,
        };
        let order = order(spec, settings, &config, schedulers);
        let deadlines = deadlines(spec, settings, *accel);
        let snapshots = settings.snapshot.then(|| Snapshots::new(cache, kernel, boot));
        let performance_mode = spec.performance_mode;
        Self { config, payload: payload.clone(), order, deadlines, performance_mode, snapshots }
    }

    /// The same with a trace.
    pub(super) fn traced(&self, trace: TraceOrder) -> Self {
        let mut attempt = self.clone();
        attempt.order.trace = Some(trace);
        attempt.deadlines.ready += TRACING;
        attempt.deadlines.scenario += TRACING;
        attempt
    }

    /// Runs it when the host has CPUs for it; `budget` says which. `watch` sees what its scheduler does.
    ///
    /// # Errors
    /// When there was no machine to watch.
    pub(super) fn run(
        &self,
        watch: Option<&Watch>,
        log: Log,
        budget: &mut BudgetPart,
    ) -> Result<Observations, SetupError> {
        let path = &self.payload.path;
        let opened = File::open(path);
        let archive = opened.map_err(|source| PrepareError::Read { path: path.clone(), source })?;
        // Waited for before any deadline begins; given back when the machine is gone.
        let share = budget::take(&self.config.machine, self.config.accel, self.performance_mode);
        budget.clone_from(&share.part);
        let config = VmConfig { placement: share.plan.clone(), ..self.config.clone() };
        let place = self.snapshots.as_ref().map(|snapshots| snapshots.of(&config)).transpose();
        let place = place.map_err(SessionError::from)?;
        let errand = Errand { archive, archive_bytes: self.payload.len_bytes as usize, order: &self.order };
        Ok(session::run(&config, place.as_ref(), watch, errand, &self.deadlines, log)?)
    }
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
        entropy: Some(entropy(settings.seed, config.accel)),
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
        trace: None,
    }
}

/// What the guest's random numbers are made of: the seed, and under KVM, where nothing follows from that, the host's too.
fn entropy(seed: u64, accel: Chosen) -> [u8; ENTROPY_BYTES] {
    let mut of_host = [0; ENTROPY_BYTES];
    if accel == Chosen::Kvm {
        // A host without them has a guest of its own at least in each seed.
        let _ = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut of_host));
    }
    *blake3::Hasher::new().update(&seed.to_le_bytes()).update(&of_host).finalize().as_bytes()
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
