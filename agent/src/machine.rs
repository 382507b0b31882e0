//! What the kernel says of the machine: read from its files, and judged by the host.

use crate::now_ns;
use anyhow::{Context, Result};
use ktstr_wire::{CpuFact, CpuSet, MachineReport, NodeReport};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, read};
use std::fs;
use std::os::fd::OwnedFd;

const CPUS: &str = "/sys/devices/system/cpu";
const NODES: &str = "/sys/devices/system/node";
const SCHEDSTAT: &str = "/proc/schedstat";
const ZONEINFO: &str = "/proc/zoneinfo";

/// Files of each CPU, besides those of its caches.
const TOPOLOGY: &[&str] = &[
    "topology/physical_package_id",
    "topology/die_id",
    "topology/core_id",
    "topology/thread_siblings_list",
    "topology/die_cpus_list",
    "topology/package_cpus_list",
];

/// Gathers all of it.
pub(crate) fn report() -> Result<MachineReport> {
    let began_ns = now_ns();
    let mut dir = Dir::open(CPUS)?;
    let (online, possible) = (dir.require("online")?, dir.require("possible")?);
    let set: CpuSet = online.parse().with_context(|| format!("cannot understand {CPUS}/online"))?;
    let cpus = dir.facts(&set)?;
    let domains = domains(&fs::read_to_string(SCHEDSTAT).with_context(|| format!("cannot read {SCHEDSTAT}"))?);
    Ok(MachineReport { online, possible, cpus, domains, nodes: nodes()?, took_ns: now_ns() - began_ns })
}

/// A directory of small files. Reading them by its descriptor spares the kernel the way there, thousands of times.
struct Dir {
    path: &'static str,
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Dir {
    fn open(path: &'static str) -> Result<Self> {
        let fd = openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        Ok(Self { path, fd: fd.with_context(|| format!("cannot open {path}"))?, buffer: vec![0; 4096] })
    }

    /// The text of a file, without its newline; `None` when there is no such file.
    fn text(&mut self, name: &str) -> Result<Option<&str>> {
        let file = match openat(&self.fd, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened.with_context(|| format!("cannot open {}/{name}", self.path))?,
        };
        // These files are whole at the first read, and none is longer than a page.
        let count = read(&file, &mut self.buffer[..]).with_context(|| format!("cannot read {}/{name}", self.path))?;
        let text = std::str::from_utf8(&self.buffer[..count]);
        Ok(Some(text.with_context(|| format!("{}/{name} is no text", self.path))?.trim_end()))
    }

    fn require(&mut self, name: &str) -> Result<String> {
        let text = self.text(name)?.map(str::to_owned);
        text.with_context(|| format!("there is no {}/{name}", self.path))
    }

    /// Every file of every CPU.
    fn facts(&mut self, cpus: &CpuSet) -> Result<Vec<CpuFact>> {
        let mut facts = Vec::new();
        for name in TOPOLOGY {
            facts.push(self.fact((*name).to_owned(), cpus)?);
        }
        for index in 0.. {
            let shared = self.fact(format!("cache/index{index}/shared_cpu_list"), cpus)?;
            if shared.values.is_empty() {
                break;
            }
            for name in ["level", "type"] {
                facts.push(self.fact_of_first(format!("cache/index{index}/{name}"), &shared)?);
            }
            facts.push(shared);
        }
        Ok(facts)
    }

    fn fact(&mut self, name: String, cpus: &CpuSet) -> Result<CpuFact> {
        let mut fact = CpuFact::new(name);
        for cpu in cpus.iter() {
            if let Some(text) = self.text(&format!("cpu{cpu}/{}", fact.name))? {
                fact.note(cpu, text);
            }
        }
        Ok(fact)
    }

    /// What is said of the one thing that CPUs share: the first of them is asked.
    fn fact_of_first(&mut self, name: String, shared: &CpuFact) -> Result<CpuFact> {
        let mut fact = CpuFact::new(name);
        for cpus in shared.values.iter().map(|value| &value.cpus) {
            let Some(first) = cpus.iter().next() else { continue };
            if let Some(text) = self.text(&format!("cpu{first}/{}", fact.name))? {
                cpus.iter().for_each(|cpu| fact.note(cpu, text));
            }
        }
        Ok(fact)
    }
}

/// The domains of each CPU: after its line, one for each with its name, before version 17 without, and its mask.
fn domains(schedstat: &str) -> Vec<CpuFact> {
    let mut domains: Vec<CpuFact> = Vec::new();
    let mut cpu = None;
    for line in schedstat.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { continue };
        if let Some(number) = first.strip_prefix("cpu") {
            cpu = number.parse().ok();
        } else if let (true, Some(cpu), Some(second)) = (first.starts_with("domain"), cpu, words.next()) {
            let is_mask = CpuSet::from_mask(second).is_ok();
            let text =
                if is_mask { second.to_owned() } else { format!("{second} {}", words.next().unwrap_or_default()) };
            let at = domains.iter().position(|domain| domain.name == first).unwrap_or_else(|| {
                domains.push(CpuFact::new(first));
                domains.len() - 1
            });
            domains[at].note(cpu, &text);
        }
    }
    domains
}

fn nodes() -> Result<Vec<NodeReport>> {
    let mut dir = Dir::open(NODES)?;
    let zoneinfo = fs::read_to_string(ZONEINFO).with_context(|| format!("cannot read {ZONEINFO}"))?;
    let online: CpuSet = dir.require("online")?.parse().with_context(|| format!("cannot understand {NODES}/online"))?;
    let mut node = |node| {
        Ok(NodeReport {
            node,
            cpulist: dir.require(&format!("node{node}/cpulist"))?,
            distance: dir.require(&format!("node{node}/distance"))?,
            present_pages: present_pages(&zoneinfo, node),
        })
    };
    online.iter().map(&mut node).collect()
}

/// The sum over a node's zones.
fn present_pages(zoneinfo: &str, node: u32) -> u64 {
    let begins = format!("Node {node}, ");
    let mut here = false;
    let mut pages = 0;
    for line in zoneinfo.lines() {
        if line.starts_with("Node ") {
            here = line.starts_with(&begins);
        } else if let (true, Some(present)) = (here, line.trim_start().strip_prefix("present ")) {
            pages += present.trim().parse().unwrap_or(0);
        }
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_domains(schedstat: &str, expected: &[(&str, &[(&str, &str)])]) {
        let got = domains(schedstat);
        let got: Vec<(&str, Vec<(&str, String)>)> = got
            .iter()
            .map(|fact| {
                let values = fact.values.iter().map(|value| (value.text.as_str(), value.cpus.to_string()));
                (fact.name.as_str(), values.collect())
            })
            .collect();
        let expected: Vec<(&str, Vec<(&str, String)>)> = expected
            .iter()
            .map(|(name, values)| (*name, values.iter().map(|(text, cpus)| (*text, (*cpus).to_owned())).collect()))
            .collect();
        assert_eq!(got, expected, "{schedstat}");
    }

    #[test]
    fn domains_are_read_with_and_without_names() {
        check_domains(
            "version 17\ntimestamp 4294893336\ncpu0 0 0 0\ndomain0 SMT 3 0 0\ndomain1 PKG f 0 0\n\
             cpu1 0 0 0\ndomain0 SMT 3 0 0\ndomain1 PKG f 0 0\ncpu2 0 0 0\ndomain0 PKG f 0 0\n",
            &[("domain0", &[("SMT 3", "0-1"), ("PKG f", "2")]), ("domain1", &[("PKG f", "0-1")])],
        );
        check_domains("version 16\ncpu9 0\ndomain0 1,00000200 0 0\n", &[("domain0", &[("1,00000200", "9")])]);
        check_domains("version 17\ntimestamp 1\ncpu0 0 0 0\n", &[]);
        check_domains("domain0 SMT 3\n\ncpux 1\ndomain0 MC\n", &[]);
    }

    #[test]
    fn a_node_has_what_its_zones_have() {
        let zoneinfo = "Node 0, zone      DMA\n  pages free     3808\n        present  3998\n        managed  3840\n\
                        Node 0, zone    DMA32\n        present  94208\nNode 10, zone   Normal\n        present  5\n";
        assert_eq!([0, 1, 10].map(|node| present_pages(zoneinfo, node)), [98206, 0, 5]);
    }
}
