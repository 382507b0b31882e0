//! The state in which a vCPU enters 64-bit code: segments, control registers, page tables. Values only.

use kvm_bindings::{kvm_segment, kvm_sregs};

/// Segment descriptors, in table order: the null one, 64-bit code, data, task state.
pub(super) const GDT: [u64; 4] =
    [0, descriptor(TYPE_CODE, true), descriptor(TYPE_DATA, false), descriptor(TYPE_BUSY_TASK, false)];

/// Selector of the code segment.
pub(super) const CODE_SELECTOR: u16 = 0x08;
/// Selector of the data segments, as the boot protocol wants it.
const DATA_SELECTOR: u16 = 0x10;
const TASK_SELECTOR: u16 = 0x18;

const TYPE_CODE: u8 = 0xb;
const TYPE_DATA: u8 = 0x3;
/// Intel's processors refuse to enter a guest without a busy task segment (SDM volume 3, section 28.3.1.2).
const TYPE_BUSY_TASK: u8 = 0xb;

const CR0_PE: u64 = 1;
const CR0_ET: u64 = 1 << 4;
const CR0_NE: u64 = 1 << 5;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;

/// Bytes of [`identity_map`].
pub(super) const PAGE_TABLE_BYTES: usize = 3 * PAGE_BYTES;
const PAGE_BYTES: usize = 4096;
const PRESENT_WRITABLE: u64 = 0b11;
const LARGE_PAGE: u64 = 1 << 7;

/// A flat descriptor of 4 GiB, present, privilege level 0 (SDM volume 3, section 3.4.5).
const fn descriptor(kind: u8, long: bool) -> u64 {
    let code_or_data = (kind != TYPE_BUSY_TASK || long) as u64;
    let (long, default_32) = (long as u64, !long as u64);
    0xffff | (kind as u64) << 40 | code_or_data << 44 | 1 << 47 | 0xf << 48 | long << 53 | default_32 << 54 | 1 << 55
}

fn segment(selector: u16, kind: u8, long: bool, code_or_data: bool) -> kvm_segment {
    kvm_segment {
        limit: 0xffff_ffff,
        selector,
        type_: kind,
        present: 1,
        db: u8::from(!long),
        s: u8::from(code_or_data),
        l: u8::from(long),
        g: 1,
        ..Default::default()
    }
}

/// Page tables that map the first GiB to itself with pages of 2 MiB, to be put at `gpa`: PML4, PDPT, PD.
pub(super) fn identity_map(gpa: u64) -> Vec<u8> {
    let page = PAGE_BYTES as u64;
    let entries_per_page = PAGE_BYTES / 8;
    let mut entries = vec![0_u64; 3 * entries_per_page];
    entries[0] = (gpa + page) | PRESENT_WRITABLE;
    entries[entries_per_page] = (gpa + 2 * page) | PRESENT_WRITABLE;
    for (index, entry) in (0_u64..).zip(&mut entries[2 * entries_per_page..]) {
        *entry = (index << 21) | PRESENT_WRITABLE | LARGE_PAGE;
    }
    entries.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// [`GDT`] in bytes.
pub(super) fn gdt_bytes() -> Vec<u8> {
    GDT.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// Changes the reset state of a vCPU to 64-bit mode at privilege level 0 with flat segments.
pub(super) fn enter_long_mode(sregs: &mut kvm_sregs, gdt_gpa: u64, page_tables_gpa: u64) {
    let data = segment(DATA_SELECTOR, TYPE_DATA, false, true);
    sregs.cs = segment(CODE_SELECTOR, TYPE_CODE, true, true);
    (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss) = (data, data, data, data, data);
    sregs.tr = segment(TASK_SELECTOR, TYPE_BUSY_TASK, false, false);
    sregs.gdt.base = gdt_gpa;
    sregs.gdt.limit = (size_of_val(&GDT) - 1) as u16;
    sregs.idt.base = 0;
    sregs.idt.limit = 0;
    sregs.cr3 = page_tables_gpa;
    sregs.cr4 = CR4_PAE;
    sregs.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
    sregs.efer = EFER_LME | EFER_LMA;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_the_ones_that_everyone_uses() {
        assert_eq!(GDT, [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_8b00_0000_ffff]);
    }

    /// Walks the tables as a processor does.
    #[test]
    fn every_address_below_one_gib_maps_to_itself() {
        let gpa = 0x9000;
        let tables = identity_map(gpa);
        assert_eq!(tables.len(), PAGE_TABLE_BYTES);
        let entry = |table: u64, index: u64| {
            let at = (table - gpa + index * 8) as usize;
            u64::from_le_bytes(tables[at..at + 8].try_into().unwrap())
        };
        for address in [0_u64, 0x1000, 0x100_0000, 0x3fff_ffff] {
            let pdpt = entry(gpa, (address >> 39) & 511) & !0xfff;
            let pd = entry(pdpt, (address >> 30) & 511) & !0xfff;
            let page = entry(pd, (address >> 21) & 511);
            assert_eq!(page & 0x83, 0x83);
            assert_eq!((page & !0x1f_ffff) | (address & 0x1f_ffff), address);
        }
    }
}
