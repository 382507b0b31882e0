//! The command line.

use crate::faults::Fault;
use lexopt::Arg::Long;
use lexopt::{Error, Parser, ValueExt};
use std::ffi::OsString;

const HELP: &str = "\
A minimal sched_ext scheduler with switches that make it misbehave

Usage: scx-ktstr [OPTION]…

  --policy fifo|vtime       one FIFO queue for the machine (the default), or a queue by virtual time for each LLC
  --slice-us N              how long a task may run before others get their turn (default: 20000)
  --partial                 schedule only tasks of the policy SCHED_EXT
  --watchdog-timeout-ms N   how long a runnable task may wait until the kernel ends the scheduler (default: 30000)
  --fault NAME[=VALUE]      do something wrong from the start; may be repeated:
      stall-task[=PID]             the first victim, or that task, never runs again
      stall-cpu=CPU                victims on that CPU never run again
      drop-enqueue[=N]             N enqueues of victims (1) are forgotten
      ignore-affinity              victims with an affinity are put on CPUs that they must not have
      wrong-dsq                    victims go into a queue that does not exist
      error-exit[=N]               scx_bpf_error() at the Nth dispatch (1)
      slow-dispatch-us=N           each dispatch takes N microseconds longer
      unfair-weights[=N]           victims with an odd PID get an Nth (10) of their share
      crash-after-dispatches=N     this process aborts at the Nth dispatch
      verifier-reject              a program is loaded that the verifier refuses
  --victim COMM             victims are tasks whose name begins so (default: any)
  --victim-min-ms N         victims have run for N milliseconds at least (default: 100)
  --help, --version";

/// The longest name that a task can have (TASK_COMM_LEN - 1).
const LONGEST_COMM: usize = 15;

/// In which order tasks get their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// As they came, whatever their weight.
    Fifo,
    /// By virtual time, an LLC on its own as long as it has something to do.
    Vtime,
}

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) policy: Policy,
    pub(crate) slice_us: u32,
    pub(crate) partial: bool,
    pub(crate) watchdog_timeout_ms: Option<u32>,
    pub(crate) faults: Vec<Fault>,
    /// At most 15 bytes.
    pub(crate) victim: String,
    pub(crate) victim_min_ms: u32,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            policy: Policy::Fifo,
            slice_us: 20_000,
            partial: false,
            watchdog_timeout_ms: None,
            faults: Vec::new(),
            victim: String::new(),
            victim_min_ms: 100,
        }
    }
}

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// To be the scheduler.
    Run(Args),
    /// To say something.
    Print(String),
}

impl Args {
    /// Reads the arguments behind the program's name.
    pub(crate) fn parse<W: Into<OsString>>(words: impl IntoIterator<Item = W>) -> Result<Command, Error> {
        let mut parser = Parser::from_args(words);
        let mut args = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("help") => return Ok(Command::Print(HELP.to_owned())),
                Long("version") => return Ok(Command::Print(format!("scx-ktstr {}", env!("CARGO_PKG_VERSION")))),
                Long("partial") => args.partial = true,
                Long("policy") => args.policy = parser.value()?.parse_with(policy)?,
                Long("slice-us") => args.slice_us = parser.value()?.parse_with(positive)?,
                Long("watchdog-timeout-ms") => args.watchdog_timeout_ms = Some(parser.value()?.parse_with(positive)?),
                Long("fault") => args.faults.push(parser.value()?.parse()?),
                Long("victim") => args.victim = parser.value()?.parse_with(comm)?,
                Long("victim-min-ms") => args.victim_min_ms = parser.value()?.parse()?,
                other => return Err(other.unexpected()),
            }
        }
        Ok(Command::Run(args))
    }
}

fn policy(word: &str) -> Result<Policy, String> {
    match word {
        "fifo" => Ok(Policy::Fifo),
        "vtime" => Ok(Policy::Vtime),
        _ => Err("the policies are fifo and vtime".into()),
    }
}

fn positive(word: &str) -> Result<u32, String> {
    word.parse().ok().filter(|number| *number > 0).ok_or_else(|| "a number from 1 on is needed".into())
}

fn comm(word: &str) -> Result<String, String> {
    match word.len() {
        1..=LONGEST_COMM => Ok(word.to_owned()),
        _ => Err(format!("names of tasks have 1 to {LONGEST_COMM} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Args) {
        assert_eq!(Args::parse(line.split_whitespace()).unwrap(), Command::Run(expected), "{line}");
    }

    fn check_error(line: &str, words: &str) {
        let error = Args::parse(line.split_whitespace()).unwrap_err().to_string();
        assert!(error.contains(words), "{line}: {error}");
    }

    #[test]
    fn nothing_is_the_default() {
        check("", Args::default());
    }

    #[test]
    fn everything_can_be_said() {
        let faults = vec![Fault::StallTask(None), Fault::CrashAfterDispatches(7)];
        check(
            "--policy vtime --slice-us=500 --partial --watchdog-timeout-ms 2000 --fault stall-task \
             --fault=crash-after-dispatches=7 --victim worker --victim-min-ms 0",
            Args {
                policy: Policy::Vtime,
                slice_us: 500,
                partial: true,
                watchdog_timeout_ms: Some(2000),
                faults,
                victim: "worker".into(),
                victim_min_ms: 0,
            },
        );
    }

    #[test]
    fn help_has_every_fault_and_option() {
        let Command::Print(text) = Args::parse(["--slice-us", "1", "--help"]).unwrap() else { panic!("it was run") };
        for word in ["--fault", "stall-task", "verifier-reject", "--victim-min-ms"] {
            assert!(text.contains(word), "{word}");
        }
        assert!(matches!(Args::parse(["--version"]).unwrap(), Command::Print(text) if text.starts_with("scx-ktstr ")));
    }

    #[test]
    fn what_is_wrong_is_said() {
        check_error("--policy eevdf", "the policies are fifo and vtime");
        check_error("--slice-us 0", "a number from 1 on is needed");
        check_error("--fault no-such", "there is no fault no-such");
        check_error("--victim a-name-of-16-byte", "names of tasks have 1 to 15 bytes");
        check_error("--quick", "invalid option '--quick'");
        check_error("stall-task", "unexpected argument \"stall-task\"");
        check_error("--policy", "missing argument for option '--policy'");
    }
}
