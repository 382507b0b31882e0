//! The sleep control register of a hardware-reduced ACPI platform (ACPI 6.5, section 4.8.3.7).

use crate::kvm::acpi::SLEEP_TYPE_OFF;

const SLEEP_ENABLE: u8 = 1 << 5;
const SLEEP_TYPE_SHIFT: u8 = 2;
const SLEEP_TYPE_MASK: u8 = 0b111;

/// The register keeps nothing: a sleep that is entered ends the machine.
pub(super) struct SleepControl;

impl SleepControl {
    /// Whether this write turns the machine off.
    pub(super) fn write(value: u8) -> bool {
        value & SLEEP_ENABLE != 0 && value >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK == SLEEP_TYPE_OFF
    }

    /// Awake.
    pub(super) fn read() -> u8 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_enabling_the_off_state_turns_off() {
        assert!(SleepControl::write(SLEEP_ENABLE | SLEEP_TYPE_OFF << 2));
        assert!(!SleepControl::write(SLEEP_TYPE_OFF << 2));
        assert!(!SleepControl::write(SLEEP_ENABLE | 1 << 2));
    }
}
