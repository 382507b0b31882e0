//! The fixed table: what kind of platform this is, and the registers for power-off and reset (ACPI 6.5, section 5.2.9).

use super::{OEM, OEM_REVISION, OEM_TABLE};
use crate::kvm::devices::RESET_COMMAND;
use crate::layout::{ACPI_SLEEP, I8042};
use acpi_tables::fadt::{FADT, FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};

/// No display, no real-time clock, and, by the missing bit 1, no keyboard controller to look for
/// (ACPI 6.5, table 5.10: IA-PC boot architecture flags).
const NO_VGA_NO_RTC: u16 = 1 << 2 | 1 << 5;

fn port(number: u16) -> GAS {
    GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, u64::from(number))
}

pub(super) fn build(dsdt_gpa: u64) -> FADT {
    let mut table = FADTBuilder::new(OEM, OEM_TABLE, OEM_REVISION)
        .dsdt_64(dsdt_gpa)
        .flag(Flags::HwReducedAcpi)
        .flag(Flags::ResetRegSup)
        .flag(Flags::Headless);
    table.iapc_boot_arch = NO_VGA_NO_RTC.into();
    table.reset_reg = port(I8042.1);
    table.reset_value = RESET_COMMAND;
    table.sleep_control_reg = port(ACPI_SLEEP.0);
    table.sleep_status_reg = port(ACPI_SLEEP.1);
    table.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use acpi_tables::Aml;

    /// Offsets as in the specification.
    #[test]
    fn linux_finds_the_registers() {
        let mut bytes = Vec::new();
        build(0x1234_5678).to_aml_bytes(&mut bytes);
        assert_eq!(bytes.len(), 276);
        assert_eq!(u32::from_le_bytes(bytes[112..116].try_into().unwrap()) & (1 << 20 | 1 << 10), 1 << 20 | 1 << 10);
        assert_eq!(bytes[116..129], [1, 8, 0, 1, 0x64, 0, 0, 0, 0, 0, 0, 0, 0xfe]);
        assert_eq!(bytes[140..148], 0x1234_5678_u64.to_le_bytes());
        assert_eq!(bytes[244..256], [1, 8, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[256..268], [1, 8, 0, 1, 1, 6, 0, 0, 0, 0, 0, 0]);
        assert_eq!(u16::from_le_bytes([bytes[109], bytes[110]]) & 1 << 1, 0, "no keyboard controller to probe");
    }
}
