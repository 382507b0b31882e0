//! Which APIC id a CPU has: thread, core and LLC number, each in its own bits (SDM volume 3, section 11.9.1).

use ktstr_wire::Topology;

/// How the bits of an APIC id are divided, on both backends. One package holds one LLC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ApicIds {
    topology: Topology,
    /// Bits below the core number.
    pub(crate) core_shift: u32,
    /// Bits below the package number, which is the LLC's.
    pub(crate) package_shift: u32,
}

/// Bits that number `count` things.
const fn bits_for(count: u32) -> u32 {
    count.next_power_of_two().trailing_zeros()
}

impl ApicIds {
    /// For a valid topology.
    pub(crate) const fn new(topology: Topology) -> Self {
        let core_shift = bits_for(topology.threads_per_core);
        Self { topology, core_shift, package_shift: core_shift + bits_for(topology.cores_per_llc) }
    }

    /// With at least this many bits below the package number.
    pub(crate) const fn with_package_shift(mut self, least: u32) -> Self {
        if self.package_shift < least {
            self.package_shift = least;
        }
        self
    }

    /// The APIC id of a CPU. CPUs are numbered through the threads of a core, the cores of an LLC, and the LLCs.
    pub(crate) const fn of_cpu(&self, cpu: u32) -> u32 {
        let Topology { cores_per_llc, threads_per_core, .. } = self.topology;
        let (core, thread) = (cpu / threads_per_core, cpu % threads_per_core);
        let (llc, core) = (core / cores_per_llc, core % cores_per_llc);
        (llc << self.package_shift) | (core << self.core_shift) | thread
    }

    /// The highest id of the machine.
    pub(crate) const fn max(&self) -> u32 {
        self.of_cpu(self.topology.cpus() - 1)
    }

    /// All of them, in CPU order.
    pub(crate) fn all(self) -> impl Iterator<Item = u32> {
        (0..self.topology.cpus()).map(move |cpu| self.of_cpu(cpu))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(topology: Topology, expected: &[u32]) {
        assert_eq!(ApicIds::new(topology).all().collect::<Vec<_>>(), expected, "{topology}");
    }

    #[test]
    fn every_part_has_its_bits() {
        check(Topology::new(1, 4, 1), &[0, 1, 2, 3]);
        check(Topology::new(2, 2, 2), &[0, 1, 2, 3, 4, 5, 6, 7]);
        check(Topology::new(2, 3, 1), &[0, 1, 2, 4, 5, 6]);
        check(Topology::new(2, 3, 2), &[0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13]);
        check(Topology::new(3, 1, 1), &[0, 1, 2]);
    }

    #[test]
    fn an_llc_can_have_more_ids_than_cpus() {
        let ids = |topology| ApicIds::new(topology).with_package_shift(3).all().collect::<Vec<_>>();
        assert_eq!(ids(Topology::new(3, 1, 2)), [0, 1, 8, 9, 16, 17]);
        assert_eq!(ids(Topology::new(2, 9, 1))[9], 16);
    }
}
