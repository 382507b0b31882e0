//! What `test` is told.

use crate::gauntlet::Shard;
use ktstr::{PRESETS, Profile};
use ktstr_kernels::Spec;
use std::path::PathBuf;
use std::time::Duration;

/// Run scheduler tests and show what came out
///
/// Gets the kernel first, then runs cargo nextest, or cargo test where that is not installed. Exits 0 only when every
/// test passed.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Only tests whose name has this in it
    pub(super) name: Option<String>,
    /// The kernel: latest (default), host, X.Y, X.Y.Z, path:DIR-or-FILE or deb:PACKAGE; given several times, each in turn
    #[arg(long, value_name = "SPEC")]
    pub(super) kernel: Vec<Spec>,
    /// What runs the machines: auto (default), kvm or tcg
    #[arg(long)]
    pub(super) accel: Option<String>,
    /// The seed of every random choice
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Show the guests' consoles as they come, each line after the test's name and the host's time
    #[arg(long)]
    pub(super) console: bool,
    /// Write the results as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Write the results as KTAP; without a file alone on standard output, and all else on standard error
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub(super) ktap: Option<PathBuf>,
    /// Write a Perfetto trace of what ran, too; of several tests, one each beside FILE
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,
    /// Run the tests' variants on presets instead of the tests themselves
    #[arg(long)]
    pub(super) gauntlet: bool,
    /// Only variants on this preset, such as odd-3llc, or on these
    #[arg(long, value_name = "PRESET", requires = "gauntlet", value_parser = preset)]
    pub(super) preset: Vec<String>,
    /// Only with this profile of the schedulers' flags, such as llc+steal, or plain for none, or with these
    #[arg(long, value_name = "PROFILE")]
    pub(super) profile: Vec<Profile>,
    /// About how long the variants may run, such as 10m, not counting the build: those that show most in little time
    #[arg(long, value_name = "TIME", requires = "gauntlet", value_parser = humantime::parse_duration)]
    pub(super) budget: Option<Duration>,
    /// One part of several, for hosts side by side: 2/8 is the second of eight
    #[arg(long, value_name = "N/COUNT", requires = "gauntlet")]
    pub(super) shard: Option<Shard>,
    /// Run with so many seeds, up to the first failure
    #[arg(long, value_name = "COUNT")]
    pub(super) seeds: Option<u32>,
    /// More arguments for the test runner
    #[arg(last = true, value_name = "RUNNER ARGS", conflicts_with_all = ["gauntlet", "seeds"])]
    pub(super) runner: Vec<String>,
}

/// Which tests there are to run.
#[derive(Debug, Default)]
pub struct Scope {
    /// Arguments that choose packages and targets, for `cargo nextest run` and `cargo test` alike.
    pub cargo: Vec<String>,
    /// Names of the tests that must leave a record, where they are known.
    pub expected: Vec<String>,
}

impl Args {
    /// Whether they say which tests are wanted.
    pub fn choose_tests(&self) -> bool {
        self.name.is_some() || self.gauntlet || self.seeds.is_some()
    }

    /// Whether standard output is for a program.
    pub(super) fn output_is_ktap(&self) -> bool {
        self.ktap.as_ref().is_some_and(|path| path.as_os_str() == "-")
    }

    /// The tests that must leave a record of those in the scope; none when the runner is told more than a name.
    pub(super) fn expected<'a>(&self, scope: &'a Scope) -> Vec<&'a str> {
        let chosen = |test: &&String| self.name.as_ref().is_none_or(|name| test.contains(name));
        let all = if self.runner.is_empty() { scope.expected.as_slice() } else { &[] };
        all.iter().filter(chosen).map(String::as_str).collect()
    }
}

/// The preset's name as presets have it.
fn preset(text: &str) -> Result<String, String> {
    let known = || PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ");
    let preset =
        ktstr::preset(text).ok_or_else(|| format!("no preset has this name; the known ones are {}", known()))?;
    Ok(preset.name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn a_name_narrows_what_must_leave_a_record() {
        let scope = Scope { cargo: Vec::new(), expected: vec!["steady".into(), "cgroups::declared".into()] };
        let mut args = Args::default();
        assert_eq!(args.expected(&scope), ["steady", "cgroups::declared"]);
        args.name = Some("cgr".into());
        assert_eq!(args.expected(&scope), ["cgroups::declared"]);
        args.runner = vec!["-E".into(), "none()".into()];
        assert!(args.expected(&scope).is_empty(), "what a filter expression chooses is not known here");
    }

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &str) -> Result<Args, String> {
        let words = ["test"].into_iter().chain(words.split(' '));
        Command::try_parse_from(words).map(|command| command.args).map_err(|error| error.to_string())
    }

    #[test]
    fn the_gauntlet_is_narrowed() {
        let args = parse(
            "steady --gauntlet --preset odd_3llc --preset max-cpu --profile steal+llc --kernel 7.2 --kernel host --budget 10m --shard 2/8",
        );
        let args = args.unwrap();
        assert_eq!(args.preset, ["odd-3llc", "max-cpu"]);
        assert_eq!((args.budget, args.kernel.len()), (Some(Duration::from_secs(600)), 2));
        assert_eq!(args.profile, ["steal+llc".parse().unwrap()]);
        assert_eq!(args.shard.unwrap().to_string(), "2/8");
    }

    #[test]
    fn mistakes_are_told() {
        let check = |words, expected: &str| {
            let error = parse(words).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("--gauntlet --preset huge", "no preset has this name; the known ones are tiny-1llc, tiny-2llc,");
        check("--preset tiny-1llc", "--gauntlet");
        check("--gauntlet --budget soon", "invalid value 'soon' for '--budget <TIME>'");
        check("--profile llc+", "\"llc+\" is no profile: write \"plain\"");
        check("--gauntlet --shard 3", "write NUMBER/COUNT");
        check("a --seeds 3 -- -E x", "cannot be used with");
    }
}
