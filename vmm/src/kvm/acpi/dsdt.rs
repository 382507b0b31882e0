//! The devices that cannot be found by looking: two serial ports, and what "off" is.

use super::table;
use crate::layout::{COM1, COM2};
use acpi_tables::Aml;
use acpi_tables::aml::{Device, EISAName, IO, Interrupt, Name, Package, Path, ResourceTemplate, Scope};
use acpi_tables::sdt::Sdt;

/// Sleep type that the sleep control register takes for "off" (`_S5`, ACPI 6.5, section 7.4.2).
pub(crate) const SLEEP_TYPE_OFF: u8 = 5;

const REVISION: u8 = 6;
const UART_PORTS: u8 = 8;

pub(super) fn build() -> Sdt {
    let mut dsdt = table(*b"DSDT", REVISION);
    let mut aml = Vec::new();
    let off = Package::new(vec![&SLEEP_TYPE_OFF]);
    Name::new("_S5_".into(), &off).to_aml_bytes(&mut aml);
    for (name, number, (port, interrupt)) in [("COM1", 0_u8, COM1), ("COM2", 1, COM2)] {
        aml.extend(uart(name, number, port, interrupt));
    }
    dsdt.append_slice(&aml);
    dsdt
}

/// A 16550A (PNP0501).
fn uart(name: &str, number: u8, port: u16, interrupt: u32) -> Vec<u8> {
    let ports = IO::new(port, port, 0, UART_PORTS);
    // Legacy interrupts are edges, active high.
    let interrupt = Interrupt::new(true, true, false, false, interrupt);
    let resources = ResourceTemplate::new(vec![&ports, &interrupt]);
    let id = EISAName::new("PNP0501");
    let (id, unique) = (Name::new("_HID".into(), &id), Name::new("_UID".into(), &number));
    let resources = Name::new("_CRS".into(), &resources);
    let device = Device::new(Path::new(name), vec![&id, &unique, &resources]);
    let mut aml = Vec::new();
    Scope::new("_SB_".into(), vec![&device]).to_aml_bytes(&mut aml);
    aml
}
