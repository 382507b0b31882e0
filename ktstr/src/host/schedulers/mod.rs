//! Schedulers under test on the host: where their programs are, and what the agent is ordered to do with them.

pub(crate) mod build;
mod exit;
mod restarts;
mod settle;

pub(crate) use exit::{being_disabled, classify};
pub(crate) use settle::settle;

use crate::host::programs::{self, GUEST_SEARCH_PATH, MissingProgram};
use crate::scheduler::{Profile, Scheduler, SchedulerPart, SchedulerSpec};
use crate::spec::TestSpec;
use ktstr_wire::scheduler::{SchedulerOrder, SchedulerStart};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where their programs are in the guest, each in a directory of its own: two may have the same file name.
const GUEST_DIR: &str = "/ktstr/schedulers";

/// Kernel options without which no sched_ext scheduler loads.
pub(crate) const SCHED_EXT_OPTIONS: &[&str] = &["SCHED_CLASS_EXT", "BPF_SYSCALL", "BPF_JIT", "DEBUG_INFO_BTF"];

/// The longest time after which the kernel takes a task for stalled, and what holds where a scheduler says nothing
/// (`SCX_WATCHDOG_MAX_TIMEOUT`, kernel/sched/ext.c).
const LONGEST_WATCHDOG: Duration = Duration::from_secs(30);

/// What loading a scheduler may take, in guest time, besides what the kernel's watchdog waits for: the verifier needs
/// seconds for a large one, and more under emulation.
const LOADING: Duration = Duration::from_secs(60);

/// What ending one may take, in the same way.
const ENDING: Duration = Duration::from_secs(10);

/// A scheduler cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// It is not built.
    #[error(transparent)]
    Build(#[from] build::BuildError),
    /// It is not there.
    #[error("the scheduler {scheduler}: {source}")]
    Missing {
        /// The scheduler.
        scheduler: &'static str,
        /// What was looked for.
        source: MissingProgram,
    },
    /// The scenario could not tell which is meant.
    #[error("two schedulers of the test are called {name}: give one of them another name")]
    Namesakes {
        /// Their name.
        name: &'static str,
    },
    /// It cannot be read.
    #[error("cannot read the scheduler {}", path.display())]
    Read {
        /// The program.
        path: PathBuf,
        /// What reading returned.
        source: io::Error,
    },
}

/// A scheduler that can be packed and ordered.
pub(crate) struct Ready {
    pub(crate) order: SchedulerOrder,
    pub(crate) part: SchedulerPart,
    /// Where its program is on the host and in the guest.
    pub(crate) program: Option<(PathBuf, String)>,
}

/// The schedulers that the test has, in the order of [`ktstr_wire::Run::schedulers`]; its own is the first, where it has one.
pub(crate) fn ready(spec: &TestSpec) -> Result<Vec<Ready>, SchedulerError> {
    let wanted: Vec<&Scheduler> = wanted(spec).collect();
    for (number, scheduler) in wanted.iter().enumerate() {
        if wanted[..number].iter().any(|other| other.name == scheduler.name) {
            return Err(SchedulerError::Namesakes { name: scheduler.name });
        }
    }
    wanted.into_iter().enumerate().map(|(number, scheduler)| of(spec, scheduler, number)).collect()
}

/// The test's own scheduler and the further ones, but for the kernel's own.
pub(crate) fn wanted(spec: &TestSpec) -> impl Iterator<Item = &Scheduler> {
    let all = std::iter::once(&spec.scheduler).chain(spec.schedulers);
    all.filter(|scheduler| scheduler.binary != SchedulerSpec::None)
}

fn of(spec: &TestSpec, scheduler: &Scheduler, number: usize) -> Result<Ready, SchedulerError> {
    let mut part = part(spec, scheduler);
    let path = locate(scheduler)?;
    let guest =
        |path: &Path| format!("{GUEST_DIR}/{number}/{}", path.file_name().unwrap_or_default().to_string_lossy());
    let program = path.map(|path| (path.clone(), guest(&path)));
    if let Some((path, _)) = &program {
        part.hash = Some(hash(path)?);
        part.path = Some(path.clone());
    }
    let start = start(scheduler, program.as_ref().map(|(_, guest)| guest.as_str()), &part.args);
    let slack = kernel_patience(spec);
    let order = SchedulerOrder {
        name: scheduler.name.to_owned(),
        start,
        cgroup_parent: Some(scheduler.parent().to_owned()),
        watchdog_timeout_ms: spec.watchdog_timeout_s.map(|seconds| (seconds * 1e3).round() as u32),
        verifier_log_level: 0,
        load_deadline_ns: (LOADING + slack).as_nanos() as u64,
        stop_signal: scheduler.stop_signal,
        stop_deadline_ns: (ENDING + slack).as_nanos() as u64,
    };
    Ok(Ready { order, part, program })
}

/// What a record says of a scheduler before its program is looked for.
pub(crate) fn part(spec: &TestSpec, scheduler: &Scheduler) -> SchedulerPart {
    let is_own = scheduler.name == spec.scheduler.name;
    SchedulerPart {
        name: scheduler.name.to_owned(),
        binary: scheduler.binary.to_string(),
        args: if is_own { spec.arguments() } else { scheduler.arguments(&Profile::default()) },
        path: None,
        hash: None,
    }
}

/// How long the kernel may leave a stalled task alone: it looks twice within its watchdog's time.
fn kernel_patience(spec: &TestSpec) -> Duration {
    let watchdog = spec.watchdog_timeout_s.map_or(LONGEST_WATCHDOG, Duration::from_secs_f64);
    watchdog + watchdog / 2
}

/// What schedulers may add to the time that the parts of a run have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Patience {
    /// Until the first one is enabled.
    pub(crate) load: Duration,
    /// While the test's body runs: a stall ends when the kernel ends it, and not before.
    pub(crate) body: Duration,
    /// Until the last one has ended.
    pub(crate) end: Duration,
}

impl Patience {
    /// With the schedulers of this test.
    pub(crate) fn of(spec: &TestSpec) -> Self {
        let slack = kernel_patience(spec);
        let changes = if spec.schedulers.is_empty() { Duration::ZERO } else { LOADING };
        if spec.scheduler.binary == SchedulerSpec::None && spec.schedulers.is_empty() {
            return Self::default();
        }
        Self { load: LOADING + slack, body: slack + changes, end: ENDING + slack }
    }
}

/// Its program on this host.
fn locate(scheduler: &Scheduler) -> Result<Option<PathBuf>, SchedulerError> {
    let find = |name: &str| {
        let search_path = std::env::var_os("PATH").unwrap_or_default();
        let found = programs::find(name, &search_path);
        found.map_err(|source| SchedulerError::Missing { scheduler: scheduler.name, source })
    };
    Ok(Some(match scheduler.binary {
        SchedulerSpec::Package { package, bin } => build::program(package, bin)?,
        // A path even if it is a bare file name.
        SchedulerSpec::Path(path) if !path.contains('/') => find(&format!("./{path}"))?,
        SchedulerSpec::Path(name) | SchedulerSpec::Name(name) => find(name)?,
        SchedulerSpec::KernelBuiltin { .. } | SchedulerSpec::None => return Ok(None),
    }))
}

fn start(scheduler: &Scheduler, guest: Option<&str>, args: &[String]) -> SchedulerStart {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    if let SchedulerSpec::KernelBuiltin { enable, disable } = scheduler.binary {
        let pairs = |list: &[(&str, &str)]| list.iter().map(owned).collect();
        return SchedulerStart::Builtin { enable: pairs(enable), disable: pairs(disable) };
    }
    let env = [("PATH", GUEST_SEARCH_PATH), ("HOME", "/tmp"), ("RUST_BACKTRACE", "1")];
    let argv = guest.into_iter().map(str::to_owned).chain(args.iter().cloned());
    SchedulerStart::Program { argv: argv.collect(), env: env.iter().map(owned).collect() }
}

/// BLAKE3 of the file, in hex.
fn hash(path: &Path) -> Result<String, SchedulerError> {
    let error = |source| SchedulerError::Read { path: path.to_owned(), source };
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut File::open(path).map_err(error)?, &mut hasher).map_err(error)?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_wire::Topology;

    fn spec(binary: SchedulerSpec) -> TestSpec {
        let scheduler = Scheduler::new("one").binary(binary).sched_args(&["-a", "1"]);
        TestSpec { scheduler, extra_sched_args: &["-b"], ..TestSpec::new("a::b", Topology::new(1, 1, 1)) }
    }

    #[test]
    fn a_program_is_ordered_with_its_arguments() {
        let ready = &ready(&spec(SchedulerSpec::Path("/bin/true"))).unwrap()[0];
        let SchedulerStart::Program { argv, .. } = &ready.order.start else { panic!("{:?}", ready.order) };
        assert_eq!(argv, &["/ktstr/schedulers/0/true", "-a", "1", "-b"]);
        assert_eq!(ready.program, Some(("/bin/true".into(), argv[0].clone())));
        assert_eq!(ready.part.hash.as_ref().map(String::len), Some(64));
        assert_eq!((ready.part.binary.as_str(), &ready.part.args[..]), ("path /bin/true", &argv[1..]));
        assert_eq!(ready.order.watchdog_timeout_ms, None);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = |binary| ready(&spec(binary)).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error(SchedulerSpec::Name("no-such-scx")).contains("the scheduler one: there is no program"));
        let here = std::env::current_dir().unwrap().join("./scx_one").display().to_string();
        assert!(error(SchedulerSpec::Path("scx_one")).contains(&here));
    }

    #[test]
    fn the_kernels_own_is_not_ordered() {
        assert!(ready(&spec(SchedulerSpec::None)).unwrap().is_empty());
    }

    #[test]
    fn the_kernels_watchdog_comes_first() {
        let of = |watchdog_timeout_s| TestSpec { watchdog_timeout_s, ..spec(SchedulerSpec::Path("/bin/true")) };
        let order = |seconds| ready(&of(seconds)).unwrap().remove(0).order;
        assert_eq!(order(Some(2.5)).watchdog_timeout_ms, Some(2500));
        assert!([None, Some(30.0)].map(order).iter().all(|order| order.stop_deadline_ns > 45_000_000_000));
        assert_eq!(Patience::of(&of(Some(4.0))).body, Duration::from_secs(6));
        assert_eq!(Patience::of(&spec(SchedulerSpec::None)), Patience::default());
    }
}
