//! Which topologies the host's KVM and processor can give a guest. Values in, values out.

use super::Error;
use super::cpuid::{self, Model};
use crate::apic_id::ApicIds;
use ktstr_wire::Topology;
use kvm_ioctls::Kvm;

/// What a host has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    max_vcpus: u64,
    max_vcpu_ids: u64,
    model: Model,
}

impl Limits {
    pub(super) fn of(kvm: &Kvm, model: Model) -> Self {
        Self { max_vcpus: kvm.get_max_vcpus() as u64, max_vcpu_ids: kvm.get_max_vcpu_id() as u64, model }
    }

    /// The APIC ids of a machine here.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub(super) fn apic_ids(&self, topology: Topology) -> Result<ApicIds, Error> {
        match self.broken(topology) {
            None => Ok(cpuid::apic_ids(self.model, topology)),
            Some((what, limit, needed)) => {
                let nearest = topology.nearest_that(|topology| self.broken(topology).is_none());
                Err(Error::Limit { what, limit, topology, needed, nearest })
            }
        }
    }

    /// The limit that a topology is beyond: what of, how many there may be, how many there would be.
    fn broken(&self, topology: Topology) -> Option<(&'static str, u64, u64)> {
        let ids = cpuid::apic_ids(self.model, topology);
        let most_per_llc = self.model.fixed_llc_shift().map_or(u64::MAX, |shift| 1 << shift);
        let limits = [
            ("vCPUs (KVM_CAP_MAX_VCPUS)", self.max_vcpus, u64::from(topology.cpus())),
            ("vCPU ids (KVM_CAP_MAX_VCPU_ID)", self.max_vcpu_ids, u64::from(ids.max()) + 1),
            ("threads per core", u64::from(self.model.most_threads()), u64::from(topology.threads_per_core)),
            ("LLCs", u64::from(self.model.most_llcs()), u64::from(topology.llcs)),
            ("APIC ids per LLC by its processor model", most_per_llc, 1 << ids.package_shift),
        ];
        limits.into_iter().find(|(_, limit, needed)| needed > limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvm::cpuid::tests::model;

    fn check(vendor: &[u8; 12], version: u32, topology: Topology, expected: Result<u32, &str>) {
        let limits = Limits { max_vcpus: 300, max_vcpu_ids: 1024, model: model(vendor, version) };
        let got = limits.apic_ids(topology).map(|ids| ids.max()).map_err(|error| error.to_string());
        match expected {
            Ok(max) => assert_eq!(got, Ok(max), "{topology}"),
            Err(part) => assert!(got.as_ref().unwrap_err().contains(part), "{got:?}"),
        }
    }

    const ZEN_1: u32 = 0x0080_0f11;
    const ZEN_2: u32 = 0x0083_0f10;

    #[test]
    fn refuses_what_the_host_cannot_have_and_says_what_it_can() {
        let (amd, intel, hygon) = (b"AuthenticAMD", b"GenuineIntel", b"HygonGenuine");
        check(
            intel,
            0x9_06ea,
            Topology::new(4, 50, 2),
            Err("vCPUs (KVM_CAP_MAX_VCPUS), and topology 1,4,50,2 needs 400; the nearest that works is 1,3,50,2"),
        );
        check(intel, 0x9_06ea, Topology::new(33, 5, 1), Ok(260));
        check(intel, 0x9_06ea, Topology::new(17, 17, 1), Ok(528));
        check(amd, ZEN_2, Topology::new(40, 5, 1), Ok(316));
        check(
            amd,
            ZEN_2,
            Topology { numa_nodes: 40, ..Topology::new(40, 5, 2) },
            Err("the nearest that works is 30,30,5,2"),
        );
        check(amd, ZEN_2, Topology::new(1, 1, 257), Err("the nearest that works is 1,1,1,256"));
        check(amd, ZEN_1, Topology::new(3, 2, 1), Ok(17));
        check(amd, ZEN_1, Topology::new(3, 9, 1), Err("the nearest that works is 1,3,8,1"));
        check(hygon, 0x0090_0f01, Topology::new(2, 4, 4), Err("the nearest that works is 1,2,2,4"));
        check(
            amd,
            0x663,
            Topology::new(257, 1, 1),
            Err("LLCs, and topology 1,257,1,1 needs 257; the nearest that works is 1,256,1,1"),
        );
    }
}
