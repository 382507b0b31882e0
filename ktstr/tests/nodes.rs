//! NUMA nodes that are not all alike. That the guest's are as declared is checked with every run; here is what it is not.

use ktstr::prelude::*;
use std::fs;

#[ktstr_test(
    numa_nodes = 2,
    sockets = 4,
    threads = 2,
    node_llcs = [1, 3],
    node_memory_mb = [512, 256],
    memory_only_nodes_mb = [128],
    distances = [[10, 21, 40], [21, 10, 30], [40, 30, 10]],
    gauntlet = false
)]
fn unequal_nodes_and_one_without_cpus(ctx: &Ctx) -> Result<AssertResult> {
    ensure!(ctx.machine().nodes.len() == 3, "{:?}", ctx.machine());
    // The distance of its nearest CPUs, as the firmware's tables turn it into time.
    let path = "/sys/devices/system/node/node2/access0/initiators/read_latency";
    let latency_ns = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    ensure!(latency_ns.trim() == "300", "node 2 is read with a latency of {latency_ns} ns");
    Ok(AssertResult::default())
}

#[ktstr_test(node_memory_mb = [2560], memory_only_nodes_mb = [1024], gauntlet = false)]
fn memory_below_and_above_the_device_hole(ctx: &Ctx) -> Result<AssertResult> {
    let info = fs::read_to_string("/proc/meminfo")?;
    let total_kib: u64 = info.split_ascii_whitespace().nth(1).context("no MemTotal")?.parse()?;
    ensure!(total_kib > 3 << 20, "{total_kib} KiB are all of the 3.5 GiB, of {:?}", ctx.machine().nodes);
    Ok(AssertResult::default())
}
