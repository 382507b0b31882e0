//! The guest sees the topology that the test declares.

use ktstr::prelude::*;
use std::collections::BTreeSet;
use std::fs;

#[ktstr_test(llcs = 1, cores = 1, threads = 1)]
fn one_cpu(ctx: &Ctx) -> Result<AssertResult> {
    check(ctx)
}

#[ktstr_test(llcs = 2, cores = 2, threads = 2)]
fn two_llcs_with_smt(ctx: &Ctx) -> Result<AssertResult> {
    check(ctx)
}

#[ktstr_test(numa_nodes = 2, llcs = 2, cores = 2)]
fn two_nodes(ctx: &Ctx) -> Result<AssertResult> {
    check(ctx)
}

#[ktstr_test(llcs = 3, cores = 1, threads = 2)]
fn three_llcs(ctx: &Ctx) -> Result<AssertResult> {
    check(ctx)
}

/// Compares sysfs with the declaration; CPUs are numbered thread by thread, core by core, LLC by LLC.
fn check(ctx: &Ctx) -> Result<AssertResult> {
    let topology = ctx.topology();
    let cpu_dir = "/sys/devices/system/cpu";
    let online = list(&format!("{cpu_dir}/online"))?;
    ensure!(online == (0..topology.cpus()).collect(), "online CPUs are {online:?}");
    for cpu in online {
        let group = |size: u32| -> BTreeSet<u32> { (cpu / size * size..cpu / size * size + size).collect() };
        let siblings = list(&format!("{cpu_dir}/cpu{cpu}/topology/thread_siblings_list"))?;
        ensure!(siblings == group(topology.threads_per_core), "SMT siblings of CPU {cpu} are {siblings:?}");
        let llc = last_level_cache(cpu)?;
        ensure!(llc == group(topology.cpus_per_llc()), "the LLC of CPU {cpu} is shared by {llc:?}");
    }
    let nodes = list("/sys/devices/system/node/online")?;
    ensure!(nodes == (0..topology.numa_nodes).collect(), "nodes are {nodes:?}");
    for node in nodes {
        let cpus = list(&format!("/sys/devices/system/node/node{node}/cpulist"))?;
        let declared = (0..topology.cpus()).filter(|cpu| ctx.machine().node_of_cpu(*cpu) == node);
        ensure!(cpus == declared.collect(), "CPUs of node {node} are {cpus:?}");
    }
    Ok(AssertResult::default())
}

/// The CPUs that share the highest cache level of a CPU.
fn last_level_cache(cpu: u32) -> Result<BTreeSet<u32>> {
    let mut last = (0, BTreeSet::new());
    for index in fs::read_dir(format!("/sys/devices/system/cpu/cpu{cpu}/cache"))? {
        let dir = index?.path();
        let Ok(level) = fs::read_to_string(dir.join("level")) else { continue };
        let level: u32 = level.trim().parse()?;
        if level > last.0 {
            last = (level, list(&dir.join("shared_cpu_list").display().to_string())?);
        }
    }
    ensure!(last.0 == 3, "the last-level cache of CPU {cpu} is of level {}", last.0);
    Ok(last.1)
}

/// A list in the kernel's format, such as `0-3,8`.
fn list(path: &str) -> Result<BTreeSet<u32>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let mut members = BTreeSet::new();
    for range in text.trim().split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        members.extend(first.parse::<u32>()?..=last.parse()?);
    }
    Ok(members)
}
