//! What the kernel knows of a worker.

use ktstr_wire::CpuSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What a thread used and how it was switched, since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Account {
    pub(super) cpu_time_ns: Option<u64>,
    pub(super) run_delay_ns: Option<u64>,
    pub(super) voluntary_switches: Option<u64>,
    pub(super) involuntary_switches: Option<u64>,
    /// Whether it ran or waited for a CPU at both ends.
    pub(super) runnable: Option<bool>,
}

impl Account {
    /// Of a thread of a process.
    pub(super) fn read(pid: i32, tid: i32) -> Self {
        let directory = PathBuf::from(format!("/proc/{pid}/task/{tid}"));
        let read = |name| fs::read_to_string(directory.join(name)).unwrap_or_default();
        Self::parse(&read("schedstat"), &read("status"))
    }

    /// `schedstat`: run time, run delay (Documentation/scheduler/sched-stats.rst). `status`: proc_pid_status(5).
    fn parse(schedstat: &str, status: &str) -> Self {
        let number = |at| schedstat.split_ascii_whitespace().nth(at).and_then(|text| text.parse().ok());
        let line = |key| Some(status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?.trim());
        let count = |key| line(key)?.parse().ok();
        Self {
            cpu_time_ns: number(0),
            run_delay_ns: number(1),
            voluntary_switches: count("voluntary_ctxt_switches"),
            involuntary_switches: count("nonvoluntary_ctxt_switches"),
            runnable: line("State").map(|state| state.starts_with('R')),
        }
    }

    /// What came since an earlier look.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let minus = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Self {
            cpu_time_ns: minus(self.cpu_time_ns, earlier.cpu_time_ns),
            run_delay_ns: minus(self.run_delay_ns, earlier.run_delay_ns),
            voluntary_switches: minus(self.voluntary_switches, earlier.voluntary_switches),
            involuntary_switches: minus(self.involuntary_switches, earlier.involuntary_switches),
            runnable: self.runnable.zip(earlier.runnable).map(|(now, then)| now && then),
        }
    }
}

/// The CPUs of the cgroup that a process is in now (`cpuset.cpus.effective`), or where there are no cpusets, those that are
/// online.
pub(super) fn usable_cpus(pid: i32) -> io::Result<CpuSet> {
    let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let below = cgroup.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let path = Path::new("/sys/fs/cgroup").join(below);
    // A cgroup without the controller has the CPUs of the next above that has it.
    let cpuset = path.ancestors().find_map(|cgroup| fs::read_to_string(cgroup.join("cpuset.cpus.effective")).ok());
    let text = cpuset.map_or_else(|| fs::read_to_string("/sys/devices/system/cpu/online"), Ok)?;
    text.parse().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let status = "Name:\tcat\nState:\tT (stopped)\nThreads:\t1\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t545\n";
        let account = Account::parse("123456 789 12\n", status);
        let expected = Account {
            cpu_time_ns: Some(123_456),
            run_delay_ns: Some(789),
            voluntary_switches: Some(150),
            involuntary_switches: Some(545),
            runnable: Some(false),
        };
        assert_eq!(account, expected);
        assert_eq!(Account::parse("x", "voluntary_ctxt_switches: many"), Account::default());
        assert_eq!(account.since(&Account { run_delay_ns: None, ..account }).run_delay_ns, None);
        let runs = Account { runnable: Some(true), ..account };
        assert_eq!(
            [runs.since(&runs), runs.since(&account), account.since(&runs)].map(|both| both.runnable),
            [Some(true), Some(false), Some(false)]
        );
    }

    #[test]
    fn this_thread_has_an_account() {
        // SAFETY: no arguments.
        let account = Account::read(std::process::id() as i32, unsafe { libc::gettid() });
        assert!(account.voluntary_switches.is_some() && account.involuntary_switches.is_some());
    }
}
