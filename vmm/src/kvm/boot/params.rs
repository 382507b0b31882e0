//! The kernel's boot parameters ("zero page") and its memory map. Values only.
//!
//! Source: Documentation/arch/x86/zero-page.rst, arch/x86/include/uapi/asm/bootparam.h.

use crate::layout::{BASE_RAM_END, CMDLINE_GPA, EXTENDED_RAM_START, RamLayout, Range};
use linux_loader::loader::bootparam::{boot_e820_entry, boot_params};

const BOOT_FLAG: u16 = 0xaa55;
const HEADER_MAGIC: u32 = u32::from_le_bytes(*b"HdrS");
/// The newest protocol that the fields below need: 2.14, of Linux 5.0, with the ACPI root pointer.
const PROTOCOL_VERSION: u16 = 0x020e;
/// "Undefined" boot loader; the kernel refuses an initramfs from none.
const LOADER_UNDEFINED: u8 = 0xff;
const KERNEL_ALIGNMENT: u32 = 0x100_0000;

const E820_RAM: u32 = 1;
const E820_RESERVED: u32 = 2;
const E820_ACPI: u32 = 3;

/// The memory map: ranges and their e820 types, ascending and without overlap.
pub(super) fn memory_map(layout: &RamLayout) -> Vec<(Range, u32)> {
    let between = |gpa: u64, end: u64| Range { gpa, bytes: end - gpa };
    let (reserved, acpi) = (layout.reserved, layout.acpi());
    let acpi_end = acpi.gpa + acpi.bytes;
    let reserved_end = reserved.gpa + reserved.bytes;
    let mut map = vec![
        (between(0, BASE_RAM_END), E820_RAM),
        (between(BASE_RAM_END, EXTENDED_RAM_START), E820_RESERVED),
        (between(EXTENDED_RAM_START, reserved.gpa), E820_RAM),
        (reserved, E820_RESERVED),
        (between(reserved_end, acpi.gpa), E820_RAM),
        (acpi, E820_ACPI),
        (between(acpi_end, layout.low.bytes), E820_RAM),
    ];
    map.extend(layout.high.map(|high| (high, E820_RAM)));
    // The reserved range mostly ends where the tables begin.
    map.retain(|(range, _)| range.bytes > 0);
    map
}

/// The boot parameters, one page. `initramfs` is its first byte and size, `rsdp_gpa` the root of the ACPI tables.
pub(super) fn build(layout: &RamLayout, cmdline_bytes: u32, initramfs: (u64, u64), rsdp_gpa: u64) -> Vec<u8> {
    let mut params = boot_params { acpi_rsdp_addr: rsdp_gpa, ..Default::default() };
    params.hdr.boot_flag = BOOT_FLAG;
    params.hdr.header = HEADER_MAGIC;
    params.hdr.version = PROTOCOL_VERSION;
    params.hdr.type_of_loader = LOADER_UNDEFINED;
    params.hdr.kernel_alignment = KERNEL_ALIGNMENT;
    params.hdr.cmd_line_ptr = CMDLINE_GPA as u32;
    params.hdr.cmdline_size = cmdline_bytes;
    // Low RAM ends below 4 GiB, and so does the initramfs.
    params.hdr.ramdisk_image = initramfs.0 as u32;
    params.hdr.ramdisk_size = initramfs.1 as u32;
    let map = memory_map(layout);
    params.e820_entries = map.len() as u8;
    let mut table = params.e820_table;
    for (entry, (range, kind)) in table.iter_mut().zip(&map) {
        *entry = boot_e820_entry { addr: range.gpa, size: range.bytes, r#type: *kind };
    }
    params.e820_table = table;
    let start = (&raw const params).cast::<u8>();
    // SAFETY: `params` is packed, so that every one of its bytes is initialized, and lives to the end of the call.
    unsafe { std::slice::from_raw_parts(start, size_of::<boot_params>()) }.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::HIGH_RAM_START;

    const MIB: u64 = 1 << 20;

    fn field<const N: usize>(params: &[u8], offset: usize) -> [u8; N] {
        params[offset..offset + N].try_into().unwrap()
    }

    /// Offsets as in the kernel's own documentation.
    #[test]
    fn the_kernel_finds_its_fields() {
        let layout = RamLayout::new(&[512 * MIB], 64 * MIB).unwrap();
        let params = build(&layout, 77, (0x1fff_0000, 4321), 0x1e00_0000);
        assert_eq!(params.len(), 4096);
        assert_eq!(u64::from_le_bytes(field(&params, 0x070)), 0x1e00_0000);
        assert_eq!(params[0x1e8], 6);
        assert_eq!(field(&params, 0x1fe), [0x55, 0xaa]);
        assert_eq!(&field(&params, 0x202), b"HdrS");
        assert_eq!(params[0x210], 0xff);
        assert_eq!(u32::from_le_bytes(field(&params, 0x218)), 0x1fff_0000);
        assert_eq!(u32::from_le_bytes(field(&params, 0x21c)), 4321);
        assert_eq!(u32::from_le_bytes(field(&params, 0x228)), CMDLINE_GPA as u32);
        assert_eq!(u32::from_le_bytes(field(&params, 0x238)), 77);
        assert_eq!(u64::from_le_bytes(field(&params, 0x2d0)), 0);
        assert_eq!(u64::from_le_bytes(field(&params, 0x2d0 + 8)), BASE_RAM_END);
    }

    #[test]
    fn the_map_covers_all_ram_once() {
        for (nodes_mib, reserved_mib) in [(&[512][..], 64), (&[2048], 64), (&[5000], 512), (&[256, 512, 64], 64)] {
            let nodes: Vec<u64> = nodes_mib.iter().map(|mib| mib * MIB).collect();
            let layout = RamLayout::new(&nodes, reserved_mib * MIB).unwrap();
            let map = memory_map(&layout);
            for pair in map.windows(2) {
                let end = pair[0].0.gpa + pair[0].0.bytes;
                assert!(end == pair[1].0.gpa || pair[1].0.gpa == HIGH_RAM_START, "{pair:?}");
            }
            assert_eq!(map.iter().map(|(range, _)| range.bytes).sum::<u64>(), nodes.iter().sum::<u64>());
            assert!(map.contains(&(layout.reserved, E820_RESERVED)));
            assert!(map.iter().all(|(range, _)| range.bytes > 0));
        }
    }
}
