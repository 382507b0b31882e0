//! How far the jobs are: a bar with the time that is left on a terminal, a line for each job elsewhere.

use super::job::{Ended, Job};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// What is known of the jobs together.
pub(super) struct Progress {
    bar: ProgressBar,
    began: Instant,
    jobs: usize,
    ended: usize,
    failed: usize,
    /// Expected seconds of machine time of those that have ended, and of all.
    done_seconds: f64,
    all_seconds: f64,
    /// How many run side by side if all take one CPU.
    width: f64,
}

impl Progress {
    pub(super) fn new(jobs: &[Job], cpus: usize) -> Self {
        let seconds = jobs.iter().map(|job| job.seconds * job.cpus as f64).sum();
        let bar = ProgressBar::new(jobs.len() as u64);
        if let Ok(style) = ProgressStyle::with_template("{elapsed} [{bar:40}] {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        let width = cpus as f64;
        let progress = Self {
            bar,
            began: Instant::now(),
            jobs: jobs.len(),
            ended: 0,
            failed: 0,
            done_seconds: 0.0,
            all_seconds: seconds,
            width,
        };
        progress.tell();
        progress
    }

    /// A job has ended.
    pub(super) fn ended(&mut self, job: &Job, ended: &Ended) {
        self.ended += 1;
        self.failed += usize::from(!ended.passed);
        self.done_seconds += job.seconds * job.cpus as f64;
        self.bar.set_position(self.ended as u64);
        let word = if ended.passed { "ok" } else { "FAILED" };
        let line = format!("[{}/{}] {word:6} {:6.1} s  {job}", self.ended, self.jobs, ended.took.as_secs_f64());
        match (self.bar.is_hidden(), ended.passed) {
            (true, true) => eprintln!("{line}, {}", self.left()),
            (_, false) => self.bar.suspend(|| eprintln!("{line}\n{}", ended.output)),
            (false, true) => {}
        }
        self.tell();
    }

    fn tell(&self) {
        let failed = if self.failed > 0 { format!("{} failed, ", self.failed) } else { String::new() };
        self.bar.set_message(format!("{failed}{}", self.left()));
    }

    /// By what was expected of the others and how wrong that was so far.
    fn left(&self) -> String {
        let error = match self.done_seconds > 0.0 {
            true => self.began.elapsed().as_secs_f64() * self.width / self.done_seconds,
            false => 1.0,
        };
        let seconds = (self.all_seconds - self.done_seconds).max(0.0) * error / self.width;
        format!("about {} left", HumanDuration(Duration::from_secs_f64(seconds.min(1e7))))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
