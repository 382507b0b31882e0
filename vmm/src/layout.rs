//! Every guest-physical address and I/O port, in one place. Sizes are in bytes.

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
pub const RESERVED_ALIGN: u64 = 2 << 20;

/// What the kernel, its page structures and a small user space need besides the reserved range and the gap.
pub const MIN_KERNEL_RAM_BYTES: u64 = 160 << 20;

/// COM1, the kernel's console: I/O port base and ISA interrupt.
pub const COM1: (u16, u32) = (0x3f8, 4);

/// COM2, the control channel: I/O port base and ISA interrupt.
pub const COM2: (u16, u32) = (0x2f8, 3);

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

    /// The smallest machine that can have `reserved_bytes` reserved.
    pub const fn min_ram_bytes(reserved_bytes: u64) -> u64 {
        MIN_KERNEL_RAM_BYTES + TOP_GAP_BYTES + reserved_bytes.next_multiple_of(RESERVED_ALIGN)
    }
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
    fn the_smallest_machine_is_the_smallest() {
        let least = RamLayout::min_ram_bytes(64 * MIB);
        assert!(RamLayout::new(least, 64 * MIB).is_some());
        assert!(RamLayout::new(least - RESERVED_ALIGN, 64 * MIB).is_none());
        assert!(RamLayout::new(u64::MAX, 64 * MIB).is_none());
    }
}
