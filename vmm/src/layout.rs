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

/// What the kernel needs besides for each CPU: its per-CPU area, stacks and runqueue.
pub const MIN_RAM_PER_CPU_BYTES: u64 = 4 << 20;

/// What the kernel needs in each NUMA node for the node's own structures.
pub const MIN_NODE_RAM_BYTES: u64 = 16 << 20;

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

/// kvm: room for the ACPI tables, at the start of the gap.
pub const ACPI_MAX_BYTES: u64 = 2 << 20;

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

/// Why memory cannot be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Not enough memory declared.
    #[error(
        "a machine with {} MiB of RAM is too small: this one needs at least {} MiB",
        ram_bytes >> 20,
        need_bytes.div_ceil(1 << 20)
    )]
    TooLittleRam {
        /// As declared.
        ram_bytes: u64,
        /// The least that works.
        need_bytes: u64,
    },
    /// Not enough memory declared for a node.
    #[error("node {node} with {} MiB of RAM is too small: it needs at least {} MiB", bytes >> 20, MIN_NODE_RAM_BYTES >> 20)]
    SmallNode {
        /// The node.
        node: usize,
        /// As declared.
        bytes: u64,
    },
    /// The reserved range fits into no node.
    #[error(
        "no node has room for the {} MiB that the harness reserves in one piece: give the first one at least {} MiB",
        reserved_bytes >> 20,
        need_bytes >> 20
    )]
    NoPlace {
        /// Size of the reserved range.
        reserved_bytes: u64,
        /// What the first node must have.
        need_bytes: u64,
    },
}

impl RamLayout {
    /// The layout of a machine whose nodes have `node_bytes`, multiples of [`RESERVED_ALIGN`], one after the other. The
    /// reserved range, rounded up to that, lies as high in low RAM as one node has it whole.
    ///
    /// # Errors
    /// What there is too little of.
    pub fn new(node_bytes: &[u64], reserved_bytes: u64) -> Result<Self, LayoutError> {
        let ram_bytes = node_bytes.iter().fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
        let need_bytes = Self::min_ram_bytes(reserved_bytes);
        if ram_bytes < need_bytes || ram_bytes > Machine::MAX_MEMORY_BYTES {
            return Err(LayoutError::TooLittleRam { ram_bytes, need_bytes });
        }
        if let Some((node, &bytes)) = node_bytes.iter().enumerate().find(|(_, bytes)| **bytes < MIN_NODE_RAM_BYTES) {
            return Err(LayoutError::SmallNode { node, bytes });
        }
        let low_bytes = ram_bytes.min(LOW_RAM_MAX_END);
        let high_bytes = ram_bytes - low_bytes;
        let reserved_bytes = reserved_bytes.next_multiple_of(RESERVED_ALIGN);
        let reserved_gpa = place(node_bytes, reserved_bytes, low_bytes - TOP_GAP_BYTES);
        let need_bytes = MIN_KERNEL_RAM_BYTES + reserved_bytes;
        let reserved_gpa = reserved_gpa.ok_or(LayoutError::NoPlace { reserved_bytes, need_bytes })?;
        Ok(Self {
            low: Range { gpa: 0, bytes: low_bytes },
            high: (high_bytes > 0).then_some(Range { gpa: HIGH_RAM_START, bytes: high_bytes }),
            reserved: Range { gpa: reserved_gpa, bytes: reserved_bytes },
        })
    }

    /// kvm: where the ACPI tables lie, at the start of the gap.
    pub const fn acpi(&self) -> Range {
        Range { gpa: self.low.bytes - TOP_GAP_BYTES, bytes: ACPI_MAX_BYTES }
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

/// The highest place below `top` for this many bytes in one node, which keeps what a node needs, above the kernel.
fn place(node_bytes: &[u64], bytes: u64, top: u64) -> Option<u64> {
    let mut start = 0;
    let places = node_bytes.iter().filter_map(|&node_bytes| {
        let (node_start, node_end) = (start, start + node_bytes);
        start = node_end;
        let gpa = node_end.min(top).checked_sub(bytes)?;
        let fits = gpa >= node_start.max(MIN_KERNEL_RAM_BYTES) && node_bytes - bytes >= MIN_NODE_RAM_BYTES;
        fits.then_some(gpa)
    });
    places.last()
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
        let layout = RamLayout::new(&[512 * MIB], 64 * MIB).unwrap();
        assert_eq!(layout.low, Range { gpa: 0, bytes: 512 * MIB });
        assert_eq!(layout.high, None);
        assert_eq!(layout.reserved, Range { gpa: (512 - 32 - 64) * MIB, bytes: 64 * MIB });
    }

    #[test]
    fn nothing_is_lost_above_the_hole() {
        let layout = RamLayout::new(&[5000 * MIB], 64 * MIB).unwrap();
        let high = layout.high.unwrap();
        assert_eq!(layout.low.bytes + high.bytes, 5000 * MIB);
        assert_eq!(high.gpa, HIGH_RAM_START);
        assert!(layout.reserved.gpa + layout.reserved.bytes <= layout.low.bytes);
    }

    #[test]
    fn nodes_share_all_ram() {
        let layout = RamLayout::new(&[5000 * MIB], 64 * MIB).unwrap();
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
        let layout = RamLayout::new(&[512 * MIB], 64 * MIB).unwrap();
        let acpi = layout.acpi();
        assert_eq!(acpi.gpa, (512 - 32) * MIB);
        assert!(layout.initramfs_gpa(INITRAMFS_MAX_BYTES).unwrap() >= acpi.gpa + acpi.bytes);
        assert_eq!(layout.initramfs_gpa(1).unwrap(), 512 * MIB - 4096);
        assert_eq!(layout.initramfs_gpa(INITRAMFS_MAX_BYTES + 1), None);
    }

    #[test]
    fn the_smallest_machine_is_the_smallest() {
        let least = RamLayout::min_ram_bytes(64 * MIB);
        assert!(RamLayout::new(&[least], 64 * MIB).is_ok());
        let too_little = RamLayout::new(&[least - RESERVED_ALIGN], 64 * MIB).unwrap_err().to_string();
        assert_eq!(too_little, "a machine with 254 MiB of RAM is too small: this one needs at least 256 MiB");
        assert!(RamLayout::new(&[u64::MAX, 1], 64 * MIB).is_err());
    }

    #[test]
    fn the_reserved_range_is_in_one_node() {
        let at = |nodes_mib: &[u64]| {
            let nodes: Vec<u64> = nodes_mib.iter().map(|mib| mib * MIB).collect();
            RamLayout::new(&nodes, 64 * MIB).map(|layout| layout.reserved.gpa / MIB).map_err(|error| error.to_string())
        };
        assert_eq!(at(&[512, 512]), Ok(1024 - 32 - 64));
        assert_eq!(at(&[512, 64]), Ok(512 - 64), "not across the border");
        assert_eq!(at(&[512, 72, 64]), Ok(512 - 64), "the second node would have too little left");
        assert_eq!(at(&[512, 128]), Ok(640 - 32 - 64));
        assert_eq!(at(&[4096, 512]), Ok(2048 - 32 - 64), "below the device hole");
        assert_eq!(at(&[512, 14]), Err("node 1 with 14 MiB of RAM is too small: it needs at least 16 MiB".to_owned()));
        let no_place = at(&[64; 8]).unwrap_err();
        assert!(
            no_place.ends_with("64 MiB that the harness reserves in one piece: give the first one at least 224 MiB"),
            "{no_place}"
        );
    }
}
