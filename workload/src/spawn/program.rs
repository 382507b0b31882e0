//! Workers that are programs: asked to end, and what they came to.

use super::WorkloadHandle;
use crate::program::{Ended, Program, Watch};
use crate::report::WorkerReport;
use std::collections::HashMap;
use std::time::Duration;

/// How long a program may take to end when it was asked to, and to print what it measured, before it is killed.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// A program that runs, or has ended and is not yet collected.
#[derive(Debug)]
pub(super) struct RunningProgram {
    program: Program,
    watch: Watch,
    /// Whether it was asked to end.
    asked: bool,
}

/// A program that was collected.
pub(super) struct EndedProgram {
    program: Program,
    ended: Ended,
    asked: bool,
    stopped_in_time: bool,
}

impl RunningProgram {
    pub(super) fn new(program: &Program, watch: Watch) -> Self {
        Self { program: program.clone(), watch, asked: false }
    }

    pub(super) fn is_over(&self) -> bool {
        self.watch.is_over()
    }

    pub(super) fn terminate(&mut self) {
        self.asked = self.watch.terminate();
    }

    /// Kills it where it still runs.
    fn end(self) -> EndedProgram {
        let stopped_in_time = self.watch.is_over();
        self.watch.kill();
        EndedProgram { program: self.program, ended: self.watch.join(), asked: self.asked, stopped_in_time }
    }
}

impl EndedProgram {
    pub(super) fn add_to(self, mut report: WorkerReport) -> WorkerReport {
        report.stopped_in_time = self.stopped_in_time;
        self.ended.report(&self.program, self.asked, &mut report);
        report
    }
}

impl WorkloadHandle {
    pub(super) fn programs(&mut self) -> impl Iterator<Item = &mut RunningProgram> {
        self.processes.iter_mut().filter_map(|process| process.program.as_mut())
    }

    /// Collects all programs, by their process ids.
    pub(super) fn end_programs(&mut self) -> HashMap<i32, EndedProgram> {
        let each = self.processes.iter_mut();
        each.filter_map(|process| {
            process.running &= process.program.is_none();
            Some((process.pid, process.program.take()?.end()))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::CgroupManager;
    use crate::def::Work;
    use crate::program::{ProgramEnd, ProgramReport};
    use crate::spawn::WorkloadConfig;
    use crate::work_type::WorkType;
    use std::path::Path;
    use std::thread::sleep;

    fn spawn(work: Work) -> Result<WorkloadHandle, crate::Error> {
        let config = WorkloadConfig::outside(1, work, 1);
        WorkloadHandle::spawn(&CgroupManager::existing("/nowhere"), &[config])
    }

    fn shell(script: &str) -> Program {
        Program::new("sh").args(["-c", script])
    }

    /// Runs a program, until it has ended or until it printed something, and stops it.
    fn run(program: Program, wait_for_its_end: bool) -> WorkerReport {
        let mark = tempfile::NamedTempFile::new().unwrap();
        let program = program.env("MARK", mark.path().to_str().unwrap());
        let mut workload = spawn(Work::new(WorkType::Program(program))).unwrap();
        workload.start();
        let ready = |workload: &mut WorkloadHandle| match wait_for_its_end {
            true => workload.programs().all(|program| program.is_over()),
            false => mark.as_file().metadata().unwrap().len() > 0,
        };
        while !ready(&mut workload) {
            sleep(Duration::from_millis(1));
        }
        workload.stop_and_collect().unwrap().remove(0)
    }

    fn part(report: &WorkerReport) -> &ProgramReport {
        report.program.as_ref().unwrap()
    }

    #[test]
    fn what_it_prints_and_how_it_ends_is_reported() {
        let program = shell("echo took 1.5 s; echo $OWN $KTSTR_OWN >&2; exit 3").env("OWN", "x");
        let report = run(program.metric("took_s", r"took (\S+) s").metric("lost", "never"), true);
        let part = part(&report);
        assert_eq!((part.stdout.as_str(), part.stderr.as_str()), ("took 1.5 s\n", "x\n"));
        assert_eq!((part.end, part.stopped), (ProgramEnd::Exited(3), false));
        assert_eq!((part.metrics["took_s"], part.metrics.len()), (1.5, 1));
        assert!(part.unread["lost"].contains("nothing in its output matches"));
        assert_eq!((report.work.as_str(), report.longest_gap.length_ns), ("program", 0));
        assert!(report.cpu_time_ns > 0 && report.wall_time_ns <= part.ended_ns - report.from_ns);
        assert_eq!(part.failure().unwrap(), format!("`{}` exited with 3", part.argv.join(" ")));
    }

    #[test]
    fn one_that_runs_is_asked_to_end_and_what_it_prints_then_counts() {
        let script = "trap 'echo done; exit 5' TERM; echo x > $MARK; while :; do sleep 0.01; done";
        let report = run(shell(script), false);
        let part = part(&report);
        assert_eq!((part.end, part.stopped, part.stdout.as_str()), (ProgramEnd::Exited(5), true, "done\n"));
        assert!(report.stopped_in_time && part.failure().is_none());
    }

    #[test]
    fn one_that_does_not_end_is_killed() {
        let report = run(shell("trap '' TERM; echo x > $MARK; while :; do sleep 0.01; done"), false);
        let part = part(&report);
        assert_eq!((part.end, part.stopped), (ProgramEnd::Signal(libc::SIGKILL), true));
        assert!(!report.stopped_in_time && part.failure().is_none());
    }

    #[test]
    fn its_children_end_with_it_and_a_flood_does_not_hold_it_up() {
        let report = run(shell("sleep 1000 & echo $! > $MARK; seq 100000; echo child $!"), true);
        let part = part(&report);
        assert!(part.stdout.starts_with("1\n2\n") && part.stdout.contains("bytes left out"));
        let child = part.stdout.trim_end().rsplit(' ').next().unwrap().to_owned();
        // Whoever inherits it may take its time to reap it.
        let stat = || std::fs::read_to_string(Path::new("/proc").join(&child).join("stat"));
        while stat().is_ok_and(|stat| !stat.contains(") Z ")) {
            sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn what_cannot_be_started_is_an_error_before() {
        let error = |work| spawn(work).unwrap_err().to_string();
        let absent = Program::new("a-program-that-nobody-has");
        assert!(error(Work::new(WorkType::Program(absent))).contains("programs = [\"a-program-that-nobody-has\"]"));
        let threads = Work::new(WorkType::Program(shell(""))).threads();
        assert!(error(threads).contains("a program is a process"));
    }

    #[test]
    fn dropping_kills_it() {
        let mut workload = spawn(Work::new(WorkType::Program(shell("sleep 1000")))).unwrap();
        workload.start();
        let pid = workload.pids()[0];
        drop(workload);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
