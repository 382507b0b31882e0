//! The interrupt controllers: one local one for each CPU, one for the devices (ACPI 6.5, section 5.2.12).

use super::table;
use crate::apic_id::ApicIds;
use crate::layout::{IOAPIC_GPA, LAPIC_GPA};
use acpi_tables::sdt::Sdt;

const REVISION: u8 = 5;
const LOCAL_APIC: u8 = 0;
const IO_APIC: u8 = 1;
const LOCAL_X2APIC: u8 = 9;
const ENABLED: u32 = 1;

/// The highest id that the short form of an entry can have; 255 means all CPUs.
const MAX_SHORT_ID: u32 = 254;

pub(super) fn build(ids: &ApicIds) -> Sdt {
    let mut body = Vec::new();
    body.extend(LAPIC_GPA.to_le_bytes());
    body.extend(0_u32.to_le_bytes());
    for (cpu, id) in (0..).zip(ids.all()) {
        body.extend(local_apic(cpu, id));
    }
    // One that serves interrupts from 0 on.
    body.extend([IO_APIC, 12, 0, 0]);
    body.extend(IOAPIC_GPA.to_le_bytes());
    body.extend(0_u32.to_le_bytes());
    let mut madt = table(*b"APIC", REVISION);
    madt.append_slice(&body);
    madt
}

fn local_apic(cpu: u32, id: u32) -> Vec<u8> {
    if id <= MAX_SHORT_ID {
        return [&[LOCAL_APIC, 8, cpu as u8, id as u8], &ENABLED.to_le_bytes()[..]].concat();
    }
    let words = [id, ENABLED, cpu].into_iter().flat_map(u32::to_le_bytes);
    [LOCAL_X2APIC, 16, 0, 0].into_iter().chain(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_wire::Topology;

    /// The APIC ids in the table, read as the kernel does: type, length, then the entry.
    fn listed(topology: Topology) -> (Vec<u32>, usize) {
        let madt = build(&ApicIds::new(topology));
        let (mut at, mut ids, mut io_apics) = (44, Vec::new(), 0);
        let bytes = madt.as_slice();
        while at < bytes.len() {
            let word = |offset| u32::from_le_bytes(bytes[at + offset..at + offset + 4].try_into().unwrap());
            match bytes[at] {
                LOCAL_APIC => ids.push(u32::from(bytes[at + 3])),
                LOCAL_X2APIC => ids.push(word(4)),
                IO_APIC => io_apics += usize::from(word(4) == IOAPIC_GPA),
                other => panic!("entry of type {other}"),
            }
            at += usize::from(bytes[at + 1]);
        }
        assert_eq!(at, bytes.len());
        (ids, io_apics)
    }

    #[test]
    fn lists_every_cpu_and_one_io_apic() {
        for topology in
            [Topology::new(1, 1, 1), Topology::new(2, 3, 2), Topology::new(4, 64, 2), Topology::new(512, 1, 1)]
        {
            assert_eq!(listed(topology), (ApicIds::new(topology).all().collect(), 1), "{topology}");
        }
    }
}
