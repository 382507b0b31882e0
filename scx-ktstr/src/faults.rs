//! The faults that can be asked for, by name.

use std::fmt::Display;
use std::str::FromStr;

/// What the scheduler is to do wrong from its start. The switches in `src/bpf/faults.bpf.h` say more of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A task waits for ever: this PID, or the first victim.
    StallTask(Option<i32>),
    /// Victims on this CPU wait for ever.
    StallCpu(i32),
    /// So many enqueues of victims are dropped.
    DropEnqueue(u64),
    /// Victims are put where they must not be.
    IgnoreAffinity,
    /// Victims go into a queue that does not exist.
    WrongDsq,
    /// `scx_bpf_error()` at the Nth dispatch.
    ErrorExit(u64),
    /// Each dispatch takes so many microseconds longer.
    SlowDispatchUs(u32),
    /// Every second victim gets an Nth of its share.
    UnfairWeights(u32),
    /// The process aborts at the Nth dispatch.
    CrashAfterDispatches(u64),
    /// A program is loaded that the verifier refuses.
    VerifierReject,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let plain = |fault| match value {
            None => Ok(fault),
            Some(_) => Err(format!("the fault {name} takes no value")),
        };
        match name {
            "stall-task" => value.map(|pid| number(name, pid, 1)).transpose().map(Self::StallTask),
            "stall-cpu" => number(name, value.unwrap_or_default(), 0).map(Self::StallCpu),
            "drop-enqueue" => number(name, value.unwrap_or("1"), 1).map(Self::DropEnqueue),
            "ignore-affinity" => plain(Self::IgnoreAffinity),
            "wrong-dsq" => plain(Self::WrongDsq),
            "error-exit" => number(name, value.unwrap_or("1"), 1).map(Self::ErrorExit),
            "slow-dispatch-us" => number(name, value.unwrap_or_default(), 1).map(Self::SlowDispatchUs),
            "unfair-weights" => number(name, value.unwrap_or("10"), 2).map(Self::UnfairWeights),
            "crash-after-dispatches" => number(name, value.unwrap_or_default(), 1).map(Self::CrashAfterDispatches),
            "verifier-reject" => plain(Self::VerifierReject),
            _ => Err(format!("there is no fault {name}")),
        }
    }
}

/// A number from `least` on.
fn number<N: FromStr + PartialOrd + Display>(name: &str, text: &str, least: N) -> Result<N, String> {
    match text.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(format!("the fault {name} needs a number from {least} on, as in {name}={least}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Fault, &str>) {
        assert_eq!(text.parse(), expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn faults_have_names_and_some_have_values() {
        check("stall-task", Ok(Fault::StallTask(None)));
        check("stall-task=123", Ok(Fault::StallTask(Some(123))));
        check("stall-cpu=0", Ok(Fault::StallCpu(0)));
        check("drop-enqueue", Ok(Fault::DropEnqueue(1)));
        check("drop-enqueue=5", Ok(Fault::DropEnqueue(5)));
        check("ignore-affinity", Ok(Fault::IgnoreAffinity));
        check("wrong-dsq", Ok(Fault::WrongDsq));
        check("error-exit", Ok(Fault::ErrorExit(1)));
        check("error-exit=100", Ok(Fault::ErrorExit(100)));
        check("slow-dispatch-us=500", Ok(Fault::SlowDispatchUs(500)));
        check("unfair-weights", Ok(Fault::UnfairWeights(10)));
        check("crash-after-dispatches=1000", Ok(Fault::CrashAfterDispatches(1000)));
        check("verifier-reject", Ok(Fault::VerifierReject));
    }

    #[test]
    fn what_is_wrong_is_said() {
        check("", Err("there is no fault "));
        check("stall", Err("there is no fault stall"));
        check("wrong-dsq=1", Err("the fault wrong-dsq takes no value"));
        check("stall-task=0", Err("the fault stall-task needs a number from 1 on, as in stall-task=1"));
        check("stall-cpu", Err("the fault stall-cpu needs a number from 0 on, as in stall-cpu=0"));
        check("stall-cpu=-1", Err("the fault stall-cpu needs a number from 0 on, as in stall-cpu=0"));
        check(
            "slow-dispatch-us=many",
            Err("the fault slow-dispatch-us needs a number from 1 on, as in slow-dispatch-us=1"),
        );
        check("unfair-weights=1", Err("the fault unfair-weights needs a number from 2 on, as in unfair-weights=2"));
    }
}
