//! Every guest-physical address and I/O port, in one place. Sizes are in bytes.

use ktstr_wire::Machine;

/// Low RAM ends here at the latest; what a machine has more of goes on at [`HIGH_RAM_START`]. Both backends leave the
/// range between for devices.
pub const LOW_RAM_MAX_END: u64 = 2 << 30;

/// Start of the RAM above the device hole.
pub const HIGH_RAM_START: u64 = 4 << 30;

/// Top of low RAM that the reserved range leaves free, because the emulator puts the initramfs and its firmware's
/// tables there (QEMU hw/i386/x86.c, `x86_load_linux`; SeaBIOS src/fw).
pub const TOP_GAP_BYTES: u64 = 32 << 20;

/// The largest initramfs that fits [`TOP_GAP_BYTES`] beside the firmware's tables.
pub const INITRAMFS_MAX_BYTES: u64 = TOP_GAP_BYTES - (4 << 20);

/// Alignment of the reserved range: a large page, so that mapping it splits none.
pub const RESERVED_ALIGN: u64 = Machine::MEMORY_STEP_BYTES;

/// What the kernel, its page structures and a small user space need besides the reserved range and the gap.
pub const MIN_KERNEL_RAM_BYTES: u64 = 160 << 20;

/// COM1, the kernel's console: I/O port base and ISA interrupt.
pub const COM1: (u16, u32) = (0x3f8, 4);

/// COM2, the control channel: I/O port base and ISA interrupt.
pub const COM2: (u16, u32) = (0x2f8, 3);

/// Keyboard controller: data port, and status and command port, through which the guest resets the machine.
pub const I8042: (u16, u16) = (0x60, 0x64);

/// kvm: ACPI sleep control and sleep status ports, through which the guest powers off.
pub const ACPI_SLEEP: (u16, u16) = (0x600, 0x601);

/// kvm: segment descriptors of the boot vCPU.
pub const BOOT_GDT_GPA: u64 = 0x500;

/// kvm: the kernel's boot parameters, one page (Documentation/arch/x86/zero-page.rst).
pub const BOOT_PARAMS_GPA: u64 = 0x7000;

/// kvm: page tables of the boot vCPU, three pages.
pub const BOOT_PAGE_TABLES_GPA: u64 = 0x9000;

/// kvm: the kernel's command line.
pub const CMDLINE_GPA: u64 = 0x2_0000;

/// kvm: room for the command line and its final zero; the kernel takes no more (arch/x86/include/asm/setup.h).
pub const CMDLINE_MAX_BYTES: u64 = 2048;

/// End of the RAM below 1 MiB that a PC offers.
pub const BASE_RAM_END: u64 = 0x9_fc00;

/// Where RAM goes on above the legacy hole, of video memory and firmware.
pub const EXTENDED_RAM_START: u64 = 1 << 20;

/// kvm: room for the ACPI tables, at the start of the gap above the reserved range.
pub const ACPI_MAX_BYTES: u64 = 1 << 20;

/// The interrupt controller of the legacy interrupts.
pub const IOAPIC_GPA: u32 = 0xfec0_0000;

/// Each CPU's local interrupt controller.
pub const LAPIC_GPA: u32 = 0xfee0_0000;

/// kvm: a page for KVM's own use, which real-mode emulation on older Intel CPUs needs (Documentation/virt/kvm/api.rst,
/// KVM_SET_IDENTITY_MAP_ADDR).
pub const KVM_IDENTITY_MAP_GPA: u64 = 0xfffb_c000;

/// kvm: three pages for KVM's own use, for the same reason (KVM_SET_TSS_ADDR).
pub const KVM_TSS_GPA: u64 = 0xfffb_d000;

const _: () = assert!(BOOT_GDT_GPA + 64 <= BOOT_PARAMS_GPA);
const _: () = assert!(BOOT_PARAMS_GPA + 4096 <= BOOT_PAGE_TABLES_GPA);
const _: () = assert!(BOOT_PAGE_TABLES_GPA + 3 * 4096 <= CMDLINE_GPA);
const _: () = assert!(CMDLINE_GPA + CMDLINE_MAX_BYTES <= BASE_RAM_END);
const _: () = assert!(BASE_RAM_END <= EXTENDED_RAM_START);
const _: () = assert!(ACPI_MAX_BYTES + INITRAMFS_MAX_BYTES <= TOP_GAP_BYTES);
const _: () = assert!(LOW_RAM_MAX_END <= IOAPIC_GPA as u64 && IOAPIC_GPA < LAPIC_GPA);
const _: () = assert!((LAPIC_GPA as u64) < KVM_IDENTITY_MAP_GPA);
const _: () = assert!(KVM_IDENTITY_MAP_GPA + 4096 <= KVM_TSS_GPA && KVM_TSS_GPA + 3 * 4096 <= HIGH_RAM_START);

const _: () = assert!(LOW_RAM_MAX_END <= HIGH_RAM_START);
const _: () = assert!(TOP_GAP_BYTES.is_multiple_of(RESERVED_ALIGN) && LOW_RAM_MAX_END.is_multiple_of(RESERVED_ALIGN));

/// A range of guest-physical addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub gpa: u64,
    /// Length.
    pub bytes: u64,
}

/// Where the RAM of a machine lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RamLayout {
    /// RAM from address 0.
    pub low: Range,
    /// RAM from [`HIGH_RAM_START`], if the machine has that much.
    pub high: Option<Range>,
    /// Reserved range, inside `low`.
    pub reserved: Range,
}

impl RamLayout {
    /// The layout of a machine with `ram_bytes` of which `reserved_bytes` are reserved; `None` when too little is left
    /// for the kernel. Both are rounded up to [`RESERVED_ALIGN`].
    pub fn new(ram_bytes: u64, reserved_bytes: u64) -> Option<Self> {
        let ram_bytes = ram_bytes.checked_next_multiple_of(RESERVED_ALIGN)?;
        let reserved_bytes = reserved_bytes.checked_next_multiple_of(RESERVED_ALIGN)?;
        let low_bytes = ram_bytes.min(LOW_RAM_MAX_END);
        let reserved_gpa = low_bytes.checked_sub(TOP_GAP_BYTES)?.checked_sub(reserved_bytes)?;
        if reserved_gpa < MIN_KERNEL_RAM_BYTES {
            return None;
        }
        let high_bytes = ram_bytes - low_bytes;
        Some(Self {
            low: Range { gpa: 0, bytes: low_bytes },
            high: (high_bytes > 0).then_some(Range { gpa: HIGH_RAM_START, bytes: high_bytes }),
            reserved: Range { gpa: reserved_gpa, bytes: reserved_bytes },
        })
    }

    /// kvm: where the ACPI tables lie, right behind the reserved range.
    pub const fn acpi(&self) -> Range {
        Range { gpa: self.reserved.gpa + self.reserved.bytes, bytes: ACPI_MAX_BYTES }
    }

    /// kvm: the first byte of an initramfs of `bytes`, which ends at the top of low RAM; `None` when it is larger than
    /// [`INITRAMFS_MAX_BYTES`].
    pub const fn initramfs_gpa(&self, bytes: u64) -> Option<u64> {
        if bytes > INITRAMFS_MAX_BYTES {
            return None;
        }
        Some((self.low.bytes - bytes) & !0xfff)
    }

    /// The smallest machine that can have `reserved_bytes` reserved.
    pub const fn min_ram_bytes(reserved_bytes: u64) -> u64 {
        MIN_KERNEL_RAM_BYTES + TOP_GAP_BYTES + reserved_bytes.next_multiple_of(RESERVED_ALIGN)
    }
}

/// A piece of RAM of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeRange {
    /// The node.
    pub node: u32,
    /// Where.
    pub range: Range,
}

/// Where the nodes' RAM lies, given its sizes in bytes: nodes follow each other through low and then high RAM.
pub fn node_ranges(layout: &RamLayout, node_bytes: &[u64]) -> Vec<NodeRange> {
    let mut ranges = Vec::new();
    let mut start = 0;
    for (node, bytes) in (0..).zip(node_bytes) {
        let end = start + bytes;
        let low_end = end.min(layout.low.bytes);
        if start < low_end {
            ranges.push(NodeRange { node, range: Range { gpa: start, bytes: low_end - start } });
        }
        if let Some(high) = layout.high.filter(|_| end > layout.low.bytes) {
            let first = start.max(layout.low.bytes);
            let gpa = high.gpa + (first - layout.low.bytes);
            ranges.push(NodeRange { node, range: Range { gpa, bytes: end - first } });
        }
        start = end;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn small_machines_have_only_low_ram() {
        let layout = RamLayout::new(512 * MIB, 64 * MIB).unwrap();
        assert_eq!(layout.low, Range { gpa: 0, bytes: 512 * MIB });
        assert_eq!(layout.high, None);
        assert_eq!(layout.reserved, Range { gpa: (512 - 32 - 64) * MIB, bytes: 64 * MIB });
    }

    #[test]
    fn nothing_is_lost_above_the_hole() {
        let layout = RamLayout::new(5000 * MIB, 64 * MIB).unwrap();
        let high = layout.high.unwrap();
        assert_eq!(layout.low.bytes + high.bytes, 5000 * MIB);
        assert_eq!(high.gpa, HIGH_RAM_START);
        assert!(layout.reserved.gpa + layout.reserved.bytes <= layout.low.bytes);
    }

    #[test]
    fn nodes_share_all_ram() {
        let layout = RamLayout::new(5000 * MIB, 64 * MIB).unwrap();
        let sizes = [1500 * MIB, 1500 * MIB, 2000 * MIB];
        let ranges = node_ranges(&layout, &sizes);
        for (node, bytes) in (0..).zip(sizes) {
            let sum: u64 = ranges.iter().filter(|range| range.node == node).map(|range| range.range.bytes).sum();
            assert_eq!(sum, bytes, "node {node}");
        }
        assert_eq!(ranges[1].range, Range { gpa: 1500 * MIB, bytes: 548 * MIB });
        assert_eq!(ranges[2].range, Range { gpa: 4096 * MIB, bytes: 952 * MIB });
        assert_eq!(ranges[3], NodeRange { node: 2, range: Range { gpa: 5048 * MIB, bytes: 2000 * MIB } });
    }

    #[test]
    fn the_gap_holds_the_tables_and_the_largest_initramfs() {
        let layout = RamLayout::new(512 * MIB, 64 * MIB).unwrap();
        let acpi = layout.acpi();
        assert_eq!(acpi.gpa, (512 - 32) * MIB);
        assert!(layout.initramfs_gpa(INITRAMFS_MAX_BYTES).unwrap() >= acpi.gpa + acpi.bytes);
        assert_eq!(layout.initramfs_gpa(1).unwrap(), 512 * MIB - 4096);
        assert_eq!(layout.initramfs_gpa(INITRAMFS_MAX_BYTES + 1), None);
    }

    #[test]
    fn the_smallest_machine_is_the_smallest() {
        let least = RamLayout::min_ram_bytes(64 * MIB);
        assert!(RamLayout::new(least, 64 * MIB).is_some());
        assert!(RamLayout::new(least - RESERVED_ALIGN, 64 * MIB).is_none());
        assert!(RamLayout::new(u64::MAX, 64 * MIB).is_none());
    }
}
