//! The machine's ACPI tables. Values only: a topology goes in, bytes come out.
//!
//! The platform is "hardware-reduced" (ACPI 6.5, section 4.1): no legacy interrupt controller, timer or power registers
//! for the guest to try out, which is most of what a PC's boot waits for. Power-off goes through the sleep control
//! register, reset through the keyboard controller's port.
//!
//! There is no PPTT: Linux takes the topology of x86 processors from CPUID, and is built without a reader of that table
//! (drivers/acpi/Kconfig, ACPI_PPTT, which only other architectures select).

mod dsdt;
mod fadt;
mod hmat;
mod madt;
mod numa;

pub(crate) use dsdt::SLEEP_TYPE_OFF;

use crate::access;
use crate::apic_id::ApicIds;
use crate::layout::{NodeRange, Range};
use acpi_tables::Aml;
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;
use ktstr_wire::Machine;

const OEM: [u8; 6] = *b"KTSTR ";
const OEM_TABLE: [u8; 8] = *b"KTSTRVM ";
const OEM_REVISION: u32 = 1;

/// The tables of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tables {
    /// All of them, to be put at the address that they were built for.
    pub(crate) bytes: Vec<u8>,
    /// Address of the root pointer among them.
    pub(crate) rsdp_gpa: u64,
}

/// The tables of a machine, to be put at `place.gpa`; `None` when they do not fit into `place.bytes`. `memory` says
/// which RAM is whose, and matters where there are several NUMA nodes.
pub(crate) fn build(machine: &Machine, ids: &ApicIds, memory: &[NodeRange], place: Range) -> Option<Tables> {
    let mut heap = Heap { base_gpa: place.gpa, bytes: Vec::new() };
    let dsdt_gpa = heap.put(&dsdt::build());
    let mut root = XSDT::new(OEM, OEM_TABLE, OEM_REVISION);
    root.add_entry(heap.put(&fadt::build(dsdt_gpa)));
    root.add_entry(heap.put(&madt::build(ids)));
    if machine.nodes.len() > 1 {
        root.add_entry(heap.put(&numa::affinities(machine, ids, memory)));
        root.add_entry(heap.put(&numa::distances(machine)));
    }
    if access::differs(machine) {
        root.add_entry(heap.put(&hmat::build(machine)));
    }
    let root_gpa = heap.put(&root);
    let rsdp_gpa = heap.put(&Rsdp::new(OEM, root_gpa));
    (heap.bytes.len() as u64 <= place.bytes).then_some(Tables { bytes: heap.bytes, rsdp_gpa })
}

/// Tables one after the other.
struct Heap {
    base_gpa: u64,
    bytes: Vec<u8>,
}

impl Heap {
    fn put(&mut self, table: &dyn Aml) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let gpa = self.base_gpa + self.bytes.len() as u64;
        table.to_aml_bytes(&mut self.bytes);
        gpa
    }
}

/// A table with nothing but its header yet.
fn table(signature: [u8; 4], revision: u8) -> Sdt {
    const HEADER_BYTES: u32 = 36;
    Sdt::new(signature, HEADER_BYTES, revision, OEM, OEM_TABLE, OEM_REVISION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::ACPI_MAX_BYTES;
    use ktstr_wire::Topology;

    const GPA: u64 = 0x1e00_0000;

    /// Finds tables as an operating system does: from the root pointer, checking every length and sum on the way.
    struct Reader<'a>(&'a Tables);

    impl<'a> Reader<'a> {
        fn at(&self, gpa: u64) -> &'a [u8] {
            &self.0.bytes[(gpa - GPA) as usize..]
        }

        fn checked(&self, gpa: u64) -> &'a [u8] {
            let table = self.at(gpa);
            let length = u32::from_le_bytes(table[4..8].try_into().unwrap()) as usize;
            assert_eq!(sum(&table[..length]), 0, "{:?}", String::from_utf8_lossy(&table[..4]));
            &table[..length]
        }

        fn tables(&self) -> Vec<&'a [u8]> {
            let pointer = self.at(self.0.rsdp_gpa);
            assert_eq!((&pointer[..8], sum(&pointer[..20]), sum(&pointer[..36])), (b"RSD PTR ".as_slice(), 0, 0));
            let root = self.checked(u64::from_le_bytes(pointer[24..32].try_into().unwrap()));
            assert_eq!(&root[..4], b"XSDT");
            root[36..].chunks(8).map(|entry| self.checked(u64::from_le_bytes(entry.try_into().unwrap()))).collect()
        }

        fn names(&self) -> Vec<String> {
            self.tables().iter().map(|table| String::from_utf8_lossy(&table[..4]).into_owned()).collect()
        }
    }

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
    }

    fn tables_of(machine: &Machine, bytes: u64) -> Option<Tables> {
        build(machine, &ApicIds::new(machine.topology), &[], Range { gpa: GPA, bytes })
    }

    fn built(topology: Topology) -> Tables {
        tables_of(&Machine::new(topology, 1 << 30), ACPI_MAX_BYTES).unwrap()
    }

    #[test]
    fn the_root_leads_to_every_table() {
        let tables = built(Topology::new(1, 4, 1));
        assert_eq!(Reader(&tables).names(), ["FACP", "APIC"]);
        let tables = built(Topology { numa_nodes: 2, ..Topology::new(2, 2, 1) });
        assert_eq!(Reader(&tables).names(), ["FACP", "APIC", "SRAT", "SLIT"]);
        let machine = Machine::new(Topology::new(1, 1, 1), 1 << 30).with_memory_only_nodes(&[1 << 30]);
        let tables = tables_of(&machine, ACPI_MAX_BYTES).unwrap();
        assert_eq!(Reader(&tables).names(), ["FACP", "APIC", "SRAT", "SLIT", "HMAT"]);
    }

    #[test]
    fn the_fixed_table_leads_to_the_devices() {
        let tables = built(Topology::new(1, 1, 1));
        let reader = Reader(&tables);
        let fixed = reader.tables()[0];
        let dsdt = reader.checked(u64::from_le_bytes(fixed[140..148].try_into().unwrap()));
        assert_eq!(&dsdt[..4], b"DSDT");
        let has = |name: &[u8]| dsdt.windows(name.len()).any(|window| window == name);
        assert!(has(b"_S5_") && has(b"COM1") && has(b"COM2"));
    }

    #[test]
    fn the_largest_machine_fits() {
        let topology = Topology { numa_nodes: 512, ..Topology::new(512, 1, 1) };
        let machine = Machine::new(topology, 1 << 30).with_distances(vec![vec![30; 512]; 512]);
        let tables = tables_of(&machine, ACPI_MAX_BYTES).unwrap();
        assert_eq!(Reader(&tables).names().len(), 5);
        assert_eq!(tables_of(&machine, 4096), None);
    }
}
