//! What keeping books costs a worker: CPU time of a unit of work in a worker, and of the same unit alone. Prints a line of
//! both, in nanoseconds, for each of as many rounds as the argument says; `cargo xtask bench books` reads them.

use ktstr_workload::{CgroupManager, Work, WorkloadConfig, WorkloadHandle, compute_unit, thread_cpu_ns};
use std::error::Error;
use std::time::Duration;

/// How long each side of a round works.
const STRETCH: Duration = Duration::from_millis(100);

fn main() -> Result<(), Box<dyn Error>> {
    let rounds: u32 = std::env::args().nth(1).ok_or("say how many rounds")?.parse()?;
    for _ in 0..rounds {
        println!("{} {}", in_a_worker()?, alone());
    }
    Ok(())
}

fn in_a_worker() -> Result<f64, Box<dyn Error>> {
    let config = WorkloadConfig::outside(1, Work::default(), 1);
    // The worker stays where this program is, so no cgroup is needed.
    let mut workload = WorkloadHandle::spawn(&CgroupManager::existing("/sys/fs/cgroup"), &[config])?;
    workload.start();
    std::thread::sleep(STRETCH);
    let reports = workload.stop_and_collect()?;
    let report = reports.first().ok_or("no report")?;
    Ok(report.cpu_time_ns as f64 / report.work_units.max(1) as f64)
}

fn alone() -> f64 {
    let (began_ns, mut state, mut units) = (thread_cpu_ns(), 1, 0);
    let mut used_ns = 0;
    while u128::from(used_ns) < STRETCH.as_nanos() {
        // Looking at the clock must not count.
        for _ in 0..256 {
            state = compute_unit(state);
        }
        units += 256;
        used_ns = thread_cpu_ns() - began_ns;
    }
    used_ns as f64 / f64::from(units)
}
