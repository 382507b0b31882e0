//! Writing into maps.

use super::map::Map;
use super::variable;
use anyhow::{Context, Result, bail, ensure};
use ktstr_wire::scheduler::{MapTarget, MapWrite};
use rustix::process::Pid;
use std::fs;

/// `enum bpf_map_type`: maps whose elements are plain values.
const PLAIN: [u32; 4] = [1, 2, 9, 11]; // HASH, ARRAY, LRU_HASH, LPM_TRIE
const PER_CPU: [u32; 3] = [5, 6, 10]; // PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH

/// The longest name that a map has in the kernel; libbpf cuts longer ones.
const MAX_NAME: usize = 15;

/// Writes into a map. Where several objects have what is named, that of the process `holder` is meant.
///
/// # Errors
/// When there is no such place, it cannot be told which of several is meant, the value or the key is of another size, or
/// the kernel refuses.
pub(crate) fn write(order: &MapWrite, holder: Option<Pid>) -> Result<()> {
    match &order.target {
        MapTarget::Variable(name) => variable::write(name, &order.value, holder),
        MapTarget::Element { map, key } => element(map, key, &order.value, holder),
    }
}

fn element(name: &str, key: &[u8], value: &[u8], holder: Option<Pid>) -> Result<()> {
    let map = find(name, holder)?;
    let size = |what: &str, has: u32, given: usize| {
        ensure!(has as usize == given, "a {what} of the BPF map {} has {has} bytes, not {given}", map.label());
        Ok(())
    };
    size("key", map.info.key_bytes, key.len())?;
    size("value", map.info.value_bytes, value.len())?;
    let what = || format!("the kernel refuses to write into the BPF map {}", map.label());
    match map.info.kind {
        kind if PLAIN.contains(&kind) => map.update(key, value).with_context(what),
        kind if PER_CPU.contains(&kind) => map.update(key, &for_each_cpu(value, possible_cpus()?)).with_context(what),
        kind => bail!("the BPF map {} is of type {kind}, whose elements are not plain values", map.label()),
    }
}

fn find(name: &str, holder: Option<Pid>) -> Result<Map> {
    let kernel_name = name.get(..MAX_NAME).unwrap_or(name);
    let all = Map::all()?;
    let names: Vec<String> = all.iter().map(Map::label).collect();
    let mut maps: Vec<Map> = all.into_iter().filter(|map| map.info.name() == kernel_name).collect();
    if maps.len() > 1
        && let Some(holder) = holder
    {
        let held = variable::held_maps(holder)?;
        maps.retain(|map| held.contains(&map.info.id));
    }
    let labels: Vec<String> = maps.iter().map(Map::label).collect();
    ensure!(
        maps.len() < 2,
        "several BPF maps are called {name}, and which is meant cannot be told: {}",
        labels.join(", ")
    );
    maps.pop().with_context(|| format!("no BPF map is called {name}; there are [{}]", names.join(", ")))
}

/// The value of a per-CPU element: a copy for each CPU, each at a multiple of eight bytes.
fn for_each_cpu(value: &[u8], cpus: usize) -> Vec<u8> {
    let mut one = value.to_vec();
    one.resize(value.len().next_multiple_of(8), 0);
    one.repeat(cpus)
}

/// How many CPUs the kernel has made room for.
fn possible_cpus() -> Result<usize> {
    const PATH: &str = "/sys/devices/system/cpu/possible";
    let text = fs::read_to_string(PATH).with_context(|| format!("cannot read {PATH}"))?;
    let last = text.trim().rsplit([',', '-']).next().and_then(|last| last.parse::<usize>().ok());
    Ok(last.with_context(|| format!("{PATH} is no list of CPUs: {text:?}"))? + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cpu_has_its_copy_at_a_multiple_of_eight() {
        assert_eq!(for_each_cpu(&[1, 2], 2), [1, 2, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(for_each_cpu(&[7; 8], 3), [7; 24]);
    }
}
