//! The record of one test run: one JSON file, whole or absent.
//!
//! A run's directory, `target/ktstr/runs/<run>/`, has for each test that ran in it `<test>.json`, this record,
//! `<test>.console.log`, the console with the host's times, and `<test>.repro.console.log`, that of a second, traced run where
//! there was one; a second record of the same test is `<test>.2.json`. A record is an object with the fields of [`Record`] by
//! their names, and with those of [`Verdict`] beside them: `verdict` is `pass`, `fail` with `findings`, `skip` or
//! `inconclusive` with a `reason`. Times are in nanoseconds of the guest's `CLOCK_MONOTONIC` unless their names say otherwise.
//! What happened to the workload is `guest.stimuli`; what workers measured is `guest.result.reports`, and phase by phase
//! `guest.result.phases`; what a second run found of a crash is `repro`.
//!
//! `version` says how to read the rest. Fields may be added within a version. Who meets another version, or a file that is
//! damaged, must say so and must not take it for a pass.

use crate::assert::AssertResult;
use crate::repro::Repro;
use crate::scheduler::{Profile, SchedulerPart, SchedulerRun};
use crate::settings::DEFAULT_SEED;
use crate::stimulus::Stimulus;
use crate::verdict::{Finding, Verdict};
use ktstr_monitor::schedule::Latency;
use ktstr_vmm::placement::Report;
use ktstr_vmm::{Chosen, VcpuClock};
use ktstr_wire::{ExitStatus, Hello, Machine, MachineReport, Symbol};
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Version of the record's shape; it rises when a reader of the old shape would misread the new one.
pub const RECORD_VERSION: u32 = 4;

/// A file's name has at most 255 bytes (NAME_MAX), and this is one part of several.
const MOST_OF_PROFILE_BYTES: usize = 80;

/// One run of one test.
///
/// Everything outside of [`HostPart`] is a function of the inputs and the seed when the accelerator is deterministic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// Name of the test as declared.
    pub test: String,
    /// The preset whose machine it had instead of the declared one.
    #[serde(default)]
    pub preset: Option<String>,
    /// The flags of its scheduler that were on; `None` where it has no flags.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// Which of the test's runs of this kind this is, from 0.
    #[serde(default)]
    pub replica: u32,
    /// What came out.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What a test that is to fail, and so passed, failed with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_with: Vec<Finding>,
    /// The machine as declared.
    pub machine: Machine,
    /// Backend, once chosen.
    pub accel: Option<Chosen>,
    /// Kernel, once resolved.
    pub kernel: Option<KernelPart>,
    /// The scheduler under test.
    #[serde(default)]
    pub scheduler: SchedulerPart,
    /// Content hash of the initramfs and of the payload.
    pub images: Option<(String, String)>,
    /// The seed of every random choice, a replica's own.
    pub seed: u64,
    /// How long the scenario should take.
    pub duration_ns: u64,
    /// What the guest said.
    pub guest: GuestPart,
    /// What came of a second run that looked at a crash of the scheduler, where the test asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repro: Option<Box<Repro>>,
    /// What the host measured.
    pub host: HostPart,
}

/// The kernel under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelPart {
    /// Cache entry.
    pub id: String,
    /// `uname -r`, by the kernel's image.
    pub release: String,
    /// Hash of its configuration.
    pub config_hash: Option<String>,
}

/// What the guest said, with its own times.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GuestPart {
    /// The machine as the guest's kernel sees it.
    pub machine: Option<MachineReport>,
    /// The agent's hello.
    pub hello: Option<Hello>,
    /// Where the kernel's variables are from which observers start: the image's own symbols, moved as KASLR moved the
    /// first one that the agent's hello tells.
    pub symbols: Vec<Symbol>,
    /// When the test binary was started.
    pub started_ns: Option<u64>,
    /// When it had ended.
    pub exited_ns: Option<u64>,
    /// How it ended.
    pub exit_status: Option<ExitStatus>,
    /// What the agent could not do.
    pub faults: Vec<String>,
    /// The schedulers that were started, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedulers: Vec<SchedulerRun>,
    /// What happened to the workload, in order.
    #[serde(default)]
    pub stimuli: Vec<Stimulus>,
    /// The body's result.
    pub result: Option<AssertResult>,
    /// How long each task waited that was woken while the test ran, where [`HostPart::schedule`] was kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latencies: Vec<Latency>,
    /// The test binary's standard output and error.
    pub output: String,
    /// What was on the console; a flood's middle is left out.
    pub console: String,
    /// What the kernel told there of its CPUs and tasks when a deadline had passed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dumps: String,
}

/// What differs from run to run whatever the guest does.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HostPart {
    /// Start of the run, in seconds since the epoch.
    pub started_unix_s: u64,
    /// Why this backend.
    pub accel_reason: String,
    /// The profiles with which the same process was to run the test, this one included; none where its scheduler has no
    /// flags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<Profile>,
    /// The CPUs of the host that were the machine's.
    #[serde(default)]
    pub budget: BudgetPart,
    /// How the machine came to its agent's hello.
    #[serde(default)]
    pub boot: BootPart,
    /// What the machine had of performance mode and what the host lacked for it; `None` when it was not asked for.
    #[serde(default)]
    pub placement: Option<Report>,
    /// Where the time went.
    pub time: TimeSplit,
    /// What the host let each vCPU have between hello and the machine's end.
    pub vcpu_clocks: Vec<VcpuClock>,
    /// Host time for a second of guest time until the agent was up, where guest time is not the host's.
    pub slowdown: Option<f64>,
    /// The file beside the record that has the console with the host's times, in seconds since the machine was made.
    pub console_log: Option<String>,
    /// Where it was asked for: what the kernel's scheduler did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<SchedulePart>,
    /// How long that of [`Record::repro`] took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repro_ms: Option<f64>,
    /// And the console of its machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repro_console_log: Option<String>,
    /// Load average over one minute at the start.
    pub load_1m: Option<f64>,
    /// The command that runs the same again.
    #[serde(default)]
    pub again: String,
}

/// What the kernel's scheduler did, each context switch, wakeup and migration from the test binary's start on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SchedulePart {
    /// The file beside the record that has it as JSON ([`ktstr_monitor::schedule::Schedule`]).
    pub file: Option<String>,
    /// Why there is none.
    pub without: Option<String>,
}

/// How a machine came to its agent's hello.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BootPart {
    /// It booted.
    #[default]
    Booted,
    /// It booted, and what it was then was kept for others.
    Kept,
    /// It went on from what another one had been.
    Forked,
    /// It booted, and was not kept: why.
    NotKept(String),
}

/// The machine's share of the host's CPUs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BudgetPart {
    /// By the host's numbers; none when it shared those of a machine around it.
    pub cpus: Vec<usize>,
    /// How long it waited for them, in milliseconds, before the machine was made.
    pub waited_ms: f64,
    /// Why it had none of its own and went without.
    pub without: Option<String>,
}

/// Host time of each phase, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TimeSplit {
    /// Finding the kernel.
    pub resolve_ms: f64,
    /// Making the images.
    pub pack_ms: f64,
    /// From the machine's making to hello.
    pub boot_ms: f64,
    /// The part of `boot_ms` until the guest's first process was up.
    #[serde(default)]
    pub up_ms: f64,
    /// From hello to the test binary's start.
    pub ready_ms: f64,
    /// The test binary's life.
    pub run_ms: f64,
    /// From its end to the machine's.
    pub teardown_ms: f64,
}

impl TimeSplit {
    /// The whole.
    pub fn total_ms(&self) -> f64 {
        self.resolve_ms + self.pack_ms + self.boot_ms + self.ready_ms + self.run_ms + self.teardown_ms
    }
}

impl Record {
    /// The name by which a test runner knows the test: that of the declared one or, on a preset, of the variant in the
    /// module beside it.
    pub fn name(&self) -> String {
        test_name(&self.test, self.preset.as_deref())
    }

    /// The name, and the profile if its scheduler has flags: all of a run that is no chance.
    pub fn variant(&self) -> String {
        variant_name(&self.name(), self.profile.as_ref())
    }

    /// The variant, and which replica it is if not the first.
    pub fn title(&self) -> String {
        let replica = if self.replica > 0 { format!(", replica {}", self.replica) } else { String::new() };
        self.variant() + &replica
    }

    /// What the names of its files begin with: test, preset, profile, replica and seed, as far as they are not the ordinary
    /// ones.
    pub fn file_stem(&self) -> String {
        let mut stem = self.name().replace("::", ".");
        if let Some(profile) = &self.profile {
            stem.push_str(&format!(".profile-{}", short(profile)));
        }
        if self.replica > 0 {
            stem.push_str(&format!(".replica-{}", self.replica));
        }
        if self.seed != DEFAULT_SEED {
            stem.push_str(&format!(".seed-{}", self.seed));
        }
        stem
    }

    /// The record without what the host measured, and without what it saw of the guest only because it looked: all that is
    /// the same again where a run follows from its inputs and its seed.
    #[must_use]
    pub fn of_guest(&self) -> Self {
        let guest = GuestPart { latencies: Vec::new(), ..self.guest.clone() };
        Self { host: HostPart::default(), guest, ..self.clone() }
    }

    /// Writes the record into `dir` under a name that no other record of that directory has, whole or not at all.
    ///
    /// # Errors
    /// What creating, writing or renaming returned.
    pub fn write(&self, dir: &Path) -> io::Result<PathBuf> {
        std::fs::create_dir_all(dir)?;
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(&text)?;
        let stem = self.file_stem();
        for number in 1.. {
            let suffix = if number == 1 { String::new() } else { format!(".{number}") };
            let path = dir.join(format!("{stem}{suffix}.json"));
            match file.persist_noclobber(&path) {
                Ok(_) => return Ok(path),
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => file = error.file,
                Err(error) => return Err(error.error),
            }
        }
        unreachable!("the numbers do not end")
    }
}

/// See [`Record::variant`].
pub fn variant_name(name: &str, profile: Option<&Profile>) -> String {
    profile.map_or_else(|| name.to_owned(), |profile| format!("{name}, profile {profile}"))
}

/// A profile as a part of a file's name, which may not be as long as one of many flags is.
fn short(profile: &Profile) -> String {
    let text = profile.to_string();
    if text.len() <= MOST_OF_PROFILE_BYTES {
        return text;
    }
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    // Names of flags are ASCII.
    format!("{}~{:016x}", text.get(..MOST_OF_PROFILE_BYTES).unwrap_or_default(), hasher.finish())
}

/// See [`Record::name`].
pub fn test_name(test: &str, preset: Option<&str>) -> String {
    preset.map_or_else(|| test.to_owned(), |preset| format!("{test}::{}", preset.replace('-', "_")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_profiles_have_short_names_of_their_own() {
        let profile =
            |last: &str| Profile((0..40).map(|flag| format!("flag-{flag}")).chain([last.to_owned()]).collect());
        let names = ["a", "b"].map(|last| short(&profile(last)));
        assert!(names.iter().all(|name| name.starts_with("flag-0+flag-1+") && name.len() < 100), "{names:?}");
        assert_ne!(names[0], names[1]);
        assert_eq!(short(&Profile::default()), "plain");
    }
}
