//! The declared CPU topology of a machine.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A regular CPU topology: NUMA nodes divide the LLCs, LLCs hold cores, cores hold SMT threads.
///
/// Written `NODES,LLCS,CORES,THREADS`, where `LLCS` counts the whole machine, `CORES` is per LLC and `THREADS` per core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Topology {
    /// NUMA nodes of the machine.
    pub numa_nodes: u32,
    /// Last-level caches of the whole machine.
    pub llcs: u32,
    /// Physical cores that share one LLC.
    pub cores_per_llc: u32,
    /// SMT siblings of one core.
    pub threads_per_core: u32,
}

/// Why a topology cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// Not four numbers.
    #[error("{text:?} is not a topology: write NODES,LLCS,CORES,THREADS, such as 1,2,4,2")]
    Syntax {
        /// The text as given.
        text: String,
    },
    /// One of the four counts is zero.
    #[error(
        "topology {topology} has no {what}: every count must be at least 1; the nearest that works is {}",
        topology.nearest(Topology::MAX_CPUS)
    )]
    Zero {
        /// The topology as given.
        topology: Topology,
        /// The count that is zero.
        what: &'static str,
    },
    /// More vCPUs than [`Topology::MAX_CPUS`].
    #[error(
        "topology {topology} has more than {} CPUs; the nearest that works is {}",
        Topology::MAX_CPUS,
        topology.nearest(Topology::MAX_CPUS)
    )]
    TooManyCpus {
        /// The topology as given.
        topology: Topology,
    },
    /// The nodes cannot each have an LLC.
    #[error(
        "topology {topology} has more NUMA nodes than LLCs; the nearest that works is {}",
        topology.nearest(Topology::MAX_CPUS)
    )]
    MoreNodesThanLlcs {
        /// The topology as given.
        topology: Topology,
    },
}

impl Topology {
    /// The most vCPUs that a machine may have.
    pub const MAX_CPUS: u32 = 512;

    /// A topology with one NUMA node.
    pub const fn new(llcs: u32, cores_per_llc: u32, threads_per_core: u32) -> Self {
        Self { numa_nodes: 1, llcs, cores_per_llc, threads_per_core }
    }

    /// Logical CPUs of the machine; saturates instead of overflowing.
    pub const fn cpus(&self) -> u32 {
        self.llcs.saturating_mul(self.cores_per_llc).saturating_mul(self.threads_per_core)
    }

    /// Logical CPUs that share one LLC.
    pub const fn cpus_per_llc(&self) -> u32 {
        self.cores_per_llc.saturating_mul(self.threads_per_core)
    }

    /// How many LLCs each NUMA node has when they are spread evenly: the first nodes one more where they don't divide.
    pub fn spread_llcs(&self) -> impl Iterator<Item = u32> + use<> {
        let Self { numa_nodes, llcs, .. } = *self;
        let (each, extra) = (llcs / numa_nodes.max(1), llcs % numa_nodes.max(1));
        (0..numa_nodes).map(move |node| each + u32::from(node < extra))
    }

    /// The valid topology that comes nearest: no count zero, no more than `max_cpus` CPUs by leaving out LLCs first, then
    /// cores, then threads, and no node without an LLC.
    #[must_use]
    pub fn nearest(&self, max_cpus: u32) -> Self {
        let max_cpus = max_cpus.max(1);
        let threads_per_core = self.threads_per_core.clamp(1, max_cpus);
        let cores_per_llc = self.cores_per_llc.clamp(1, max_cpus / threads_per_core);
        let llcs = self.llcs.clamp(1, max_cpus / threads_per_core / cores_per_llc);
        Self { numa_nodes: self.numa_nodes.clamp(1, llcs), llcs, cores_per_llc, threads_per_core }
    }

    /// The topology with most CPUs that `fits`, among those with fewer LLCs, with fewer cores in each, or with fewer threads
    /// in each, the last preferred least; with one CPU if none does.
    #[must_use]
    pub fn nearest_that(&self, fits: impl Fn(Self) -> bool) -> Self {
        let whole = self.nearest(Self::MAX_CPUS);
        let fewer_llcs = (1..=whole.llcs).map(|llcs| Self { llcs, ..whole });
        let fewer_cores = (1..=whole.cores_per_llc).map(|cores_per_llc| Self { cores_per_llc, ..whole });
        let fewer_threads = (1..=whole.threads_per_core).map(|threads_per_core| Self { threads_per_core, ..whole });
        let fewer = fewer_threads.chain(fewer_llcs).chain(fewer_cores);
        let fewer = fewer.map(|topology| Self { numa_nodes: topology.numa_nodes.min(topology.llcs), ..topology });
        fewer.filter(|topology| fits(*topology)).max_by_key(Self::cpus).unwrap_or(Self::new(1, 1, 1))
    }

    /// Checks that a machine can have this topology.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn validate(&self) -> Result<(), TopologyError> {
        let topology = *self;
        let counts = [
            (self.numa_nodes, "NUMA node"),
            (self.llcs, "LLC"),
            (self.cores_per_llc, "core per LLC"),
            (self.threads_per_core, "thread per core"),
        ];
        if let Some((_, what)) = counts.into_iter().find(|(count, _)| *count == 0) {
            return Err(TopologyError::Zero { topology, what });
        }
        if self.cpus() > Self::MAX_CPUS {
            return Err(TopologyError::TooManyCpus { topology });
        }
        if self.numa_nodes > self.llcs {
            return Err(TopologyError::MoreNodesThanLlcs { topology });
        }
        Ok(())
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{},{}", self.numa_nodes, self.llcs, self.cores_per_llc, self.threads_per_core)
    }
}

impl FromStr for Topology {
    type Err = TopologyError;

    fn from_str(text: &str) -> Result<Self, TopologyError> {
        let syntax = || TopologyError::Syntax { text: text.to_owned() };
        let counts: Vec<u32> =
            text.split(',').map(|count| count.trim().parse().map_err(|_| syntax())).collect::<Result<_, _>>()?;
        let [numa_nodes, llcs, cores_per_llc, threads_per_core] = counts[..] else { return Err(syntax()) };
        let topology = Self { numa_nodes, llcs, cores_per_llc, threads_per_core };
        topology.validate()?;
        Ok(topology)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<u32, &str>) {
        let got = text.parse::<Topology>().map(|topology| topology.cpus()).map_err(|error| error.to_string());
        match expected {
            Ok(cpus) => assert_eq!(got, Ok(cpus), "{text}"),
            Err(part) => assert!(got.as_ref().unwrap_err().contains(part), "{text}: {got:?}"),
        }
    }

    #[test]
    fn parses_and_refuses() {
        check("1,1,2,1", Ok(2));
        check("2,4,8,2", Ok(64));
        check("1,2,3", Err("NODES,LLCS,CORES,THREADS"));
        check("1,2,3,x", Err("NODES,LLCS,CORES,THREADS"));
        check("1,0,1,1", Err("no LLC"));
        check("2,1,1,1", Err("more NUMA nodes than LLCs"));
        check("1,65536,65536,2", Err("more than 512 CPUs"));
    }

    #[test]
    fn what_cannot_be_had_has_a_nearest_that_can() {
        check("1,0,1,1", Err("the nearest that works is 1,1,1,1"));
        check("4,2,1,1", Err("the nearest that works is 2,2,1,1"));
        check("8,8,40,2", Err("the nearest that works is 6,6,40,2"));
        check("4294967295,4294967295,4294967295,4294967295", Err("the nearest that works is 1,1,1,512"));
        check("1,65536,65536,2", Err("the nearest that works is 1,1,256,2"));
    }

    #[test]
    fn the_nearest_that_fits_leaves_out_least() {
        let four = Topology { numa_nodes: 4, ..Topology::new(4, 9, 2) };
        assert_eq!(four.nearest_that(|topology| topology.cores_per_llc <= 8).to_string(), "4,4,8,2");
        assert_eq!(four.nearest_that(|topology| topology.llcs <= 3).to_string(), "3,3,9,2");
        assert_eq!(four.nearest_that(|topology| topology.threads_per_core == 1).to_string(), "4,4,9,1");
        assert_eq!(four.nearest_that(|topology| topology.cpus() < 4).to_string(), "1,1,1,1");
    }

    #[test]
    fn spreads_llcs_over_nodes() {
        let spread = |numa_nodes, llcs| -> Vec<u32> {
            Topology { numa_nodes, ..Topology::new(llcs, 1, 1) }.spread_llcs().collect()
        };
        assert_eq!(spread(2, 4), [2, 2]);
        assert_eq!(spread(3, 5), [2, 2, 1]);
        assert_eq!(spread(0, 5), []);
    }
}
