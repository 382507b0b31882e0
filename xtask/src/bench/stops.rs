//! What stop points cost the host under emulation: boots of one guest with and without, by turns.

use super::guest::{self, POWERED_OFF};
use super::row::{Budget, Row};
use super::steady::default_kernel;
use anyhow::{Context, Result, ensure};
use ktstr::{Machine, Topology};
use ktstr_cache::Cache;
use ktstr_cli::setup::{self, Group};
use ktstr_vmm::stops::{Base, Read, Register};
use ktstr_vmm::{Chosen, Pace, Vm, VmConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CPUS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(300);

/// Together they are reached some ten thousand times a second.
const FUNCTIONS: [&str; 5] = ["__switch_to", "try_to_wake_up", "kmem_cache_free", "kfree", "update_rq_clock"];

/// Hits a second that the budget is for, and how long the run with them may take, to the one without.
const RATE: f64 = 10_000.0;
const BUDGET: Budget = Budget::Value(1.05);

/// What is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hooks {
    None,
    /// The machine waits for each callback.
    Stop,
    /// Four values are copied.
    Record,
}

/// Measures.
///
/// # Errors
/// When a machine does not run.
pub(super) fn measure(rounds: u32) -> Result<Vec<Row>> {
    setup::ensure(&[Group::Emulator])?;
    let kernel = default_kernel()?;
    let symbols = kernel.symbols()?;
    let addresses = FUNCTIONS.iter().filter_map(|name| symbols.address(name)).collect::<Vec<_>>();
    let config = VmConfig {
        kernel: kernel.vmlinux(),
        initramfs: guest::initramfs(&Cache::open_default()?)?,
        machine: Machine::new(Topology::new(1, CPUS, 1), 512 << 20),
        reserved_bytes: 16 << 20,
        timers: None,
        kargs: Vec::new(),
        seed: 1,
        accel: Chosen::Tcg,
        placement: None,
        pace: Pace::default(),
    };
    // The first run fills the caches.
    boot(&config, &[], Hooks::None)?;
    let (mut bare_s, mut stop_s, mut record_s) = (Vec::new(), Vec::new(), Vec::new());
    let (mut stop_us, mut record_us, mut rate) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (bare, _) = boot(&config, &addresses, Hooks::None)?;
        let (stop, hits) = boot(&config, &addresses, Hooks::Stop)?;
        let (record, _) = boot(&config, &addresses, Hooks::Record)?;
        let us = |with: f64| (with - bare) / hits * 1e6;
        rate.push(hits / bare);
        stop_us.push(us(stop));
        record_us.push(us(record));
        bare_s.push(bare);
        stop_s.push(stop);
        record_s.push(record);
    }
    let row = |what: &str, with: &[f64]| Row::new(what, "s", with).against("without", &bare_s);
    let at_rate = |what: &str, us: &[f64]| {
        let ratios: Vec<_> = us.iter().map(|us| 1.0 + us / 1e6 * RATE).collect();
        Row::new(what, "x", &ratios).within(BUDGET)
    };
    Ok(vec![
        Row::new("stops: hits in a second of the run without", "hits", &rate),
        row("stops: a boot that stands still at each", &stop_s),
        row("stops: a boot that copies four values at each", &record_s),
        Row::new("stops: a hit that stands still", "µs", &stop_us),
        Row::new("stops: a hit that copies four values", "µs", &record_us),
        at_rate("stops: a run with 10 000 a second that stand still", &stop_us),
        at_rate("stops: a run with 10 000 a second that copy", &record_us),
    ])
}

/// Boots once; gives the seconds that it took, and hits.
fn boot(config: &VmConfig, addresses: &[u64], hooks: Hooks) -> Result<(f64, f64)> {
    let mut vm = Vm::new(config)?;
    let hits = Arc::new(AtomicU64::new(0));
    let pointer = Read { base: Base::Register(Register::Rdi), offset: 0, bytes: 8 };
    for address in addresses {
        let hits = Arc::clone(&hits);
        match hooks {
            Hooks::None => {}
            Hooks::Stop => vm.stop_at(*address, move |_, _| count(&hits))?,
            Hooks::Record => {
                vm.record_at(*address, &[pointer; 4], move |_| count(&hits))?;
            }
        }
    }
    let begin = Instant::now();
    vm.start()?;
    while vm.exit().is_none() {
        ensure!(begin.elapsed() < PATIENCE, "the guest did not power off within {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(1));
    }
    let seconds = begin.elapsed().as_secs_f64();
    let console = String::from_utf8_lossy(&vm.read_console()?).into_owned();
    let last = console.lines().last().context("the guest printed nothing")?;
    ensure!(last.contains(POWERED_OFF), "the guest did not power off but said: {last}");
    Ok((seconds, hits.load(Ordering::Relaxed) as f64))
}

fn count(hits: &AtomicU64) {
    hits.fetch_add(1, Ordering::Relaxed);
}
