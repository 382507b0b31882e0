//! Cores, packages and caches.

use super::{declared, differs};
use ktstr_wire::{CpuFact, CpuSet, Machine};
use std::collections::BTreeMap;

const PACKAGE_ID: &str = "topology/physical_package_id";
const DIE_ID: &str = "topology/die_id";
const CORE_ID: &str = "topology/core_id";

/// Which CPUs belong together, for one of them.
type Group = fn(&Machine, u32) -> CpuSet;

/// Lists of CPUs that belong together: the file, what that is, and who they are. A package and a die are what an LLC is in.
const LISTS: [(&str, &str, Group); 3] = [
    ("topology/thread_siblings_list", "core", declared::core),
    ("topology/die_cpus_list", "die", declared::llc),
    ("topology/package_cpus_list", "package", declared::llc),
];

/// Numbers that, taken together, are the same for those CPUs and for no other. Alone they need not be: cores are numbered
/// in their package, dies by an older kernel too.
const IDS: [(&[&str], Group); 3] = [
    (&[PACKAGE_ID], declared::llc),
    (&[PACKAGE_ID, DIE_ID], declared::llc),
    (&[PACKAGE_ID, DIE_ID, CORE_ID], declared::core),
];

/// What differs.
pub(super) fn differences(machine: &Machine, facts: &[CpuFact]) -> Vec<String> {
    let mut found = Vec::new();
    for cpu in declared::cpus(machine).iter() {
        for (file, what, group) in LISTS {
            let told = fact(facts, file).and_then(|fact| fact.of(cpu));
            found.extend(differs(&format!("the CPUs in the {what} of CPU {cpu}"), told, &group(machine, cpu)));
        }
        found.extend(cache_differences(machine, facts, cpu));
    }
    for (files, group) in IDS {
        found.extend(id_differences(machine, facts, files, group));
    }
    found
}

fn fact<'a>(facts: &'a [CpuFact], name: &str) -> Option<&'a CpuFact> {
    facts.iter().find(|fact| fact.name == name)
}

/// CPUs of the same numbers, against those that belong together.
fn id_differences(machine: &Machine, facts: &[CpuFact], files: &[&str], group: Group) -> Vec<String> {
    let mut same: BTreeMap<Vec<&str>, CpuSet> = BTreeMap::new();
    for cpu in declared::cpus(machine).iter() {
        let ids = files.iter().map(|file| fact(facts, file).and_then(|fact| fact.of(cpu)).unwrap_or("untold"));
        same.entry(ids.collect()).or_default().insert(cpu);
    }
    let differs = |(ids, cpus): (Vec<&str>, CpuSet)| {
        let wanted = cpus.iter().next().map(|first| group(machine, first)).filter(|wanted| *wanted != cpus)?;
        let names = files.iter().map(|file| file.trim_start_matches("topology/"));
        let ids: Vec<String> = names.zip(ids).map(|(name, id)| format!("{name} {id}")).collect();
        Some(format!("the CPUs with {} are {cpus}, declared are {wanted}", ids.join(", ")))
    };
    same.into_iter().filter_map(differs).collect()
}

/// One of a CPU's caches.
struct Cache<'a> {
    level: u32,
    kind: &'a str,
    shared: Option<&'a str>,
}

/// The last-level cache belongs to its LLC, and any other to no more than one core.
fn cache_differences(machine: &Machine, facts: &[CpuFact], cpu: u32) -> Vec<String> {
    let caches: Vec<Cache<'_>> = (0..).map_while(|index| cache(facts, index)).filter_map(|cache| cache(cpu)).collect();
    let Some(last) = caches.iter().map(|cache| cache.level).max() else {
        return vec![format!("no cache of CPU {cpu} is told")];
    };
    let (llcs, others): (Vec<&Cache<'_>>, Vec<&Cache<'_>>) = caches.iter().partition(|cache| cache.level == last);
    let what = format!("the CPUs that share the LLC of CPU {cpu}");
    let mut found: Vec<String> =
        llcs.iter().filter_map(|llc| differs(&what, llc.shared, &declared::llc(machine, cpu))).collect();
    let core = declared::core(machine, cpu);
    for Cache { level, kind, shared } in others {
        let cpus = shared.and_then(|text| text.parse::<CpuSet>().ok());
        if !cpus.is_some_and(|cpus| cpus.contains(cpu) && cpus.is_subset(&core)) {
            let told = shared.unwrap_or("not told");
            found.push(format!(
                "the CPUs that share the L{level} cache ({kind}) of CPU {cpu} are {told}, declared for its core are {core}"
            ));
        }
    }
    found
}

/// How to ask for the cache of this index; `None` when no CPU has one.
fn cache<'a>(facts: &'a [CpuFact], index: u32) -> Option<impl Fn(u32) -> Option<Cache<'a>>> {
    let file = |name: &str| fact(facts, &format!("cache/index{index}/{name}"));
    let (levels, kinds, shared) = (file("level")?, file("type"), file("shared_cpu_list"));
    Some(move |cpu| {
        Some(Cache {
            level: levels.of(cpu)?.parse().ok()?,
            kind: kinds.and_then(|kinds| kinds.of(cpu)).unwrap_or("type not told"),
            shared: shared.and_then(|shared| shared.of(cpu)),
        })
    })
}
