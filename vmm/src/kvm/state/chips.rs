//! The interrupt controllers and the timer that all vCPUs share.

use crate::kvm::Error;
use kvm_bindings::{KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, kvm_irqchip, kvm_pit_state2};
use kvm_ioctls::VmFd;
use serde::{Deserialize, Serialize};

const CHIPS: [u32; 3] = [KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_IRQCHIP_IOAPIC];

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Chips {
    /// In the order of [`CHIPS`].
    controllers: [kvm_irqchip; CHIPS.len()],
    timer: kvm_pit_state2,
}

impl Chips {
    /// # Errors
    /// [`Error::Call`].
    pub(super) fn take(vm: &VmFd) -> Result<Self, Error> {
        let mut controllers = CHIPS.map(|chip_id| kvm_irqchip { chip_id, ..Default::default() });
        for chip in &mut controllers {
            vm.get_irqchip(chip).map_err(Error::call("read an interrupt controller (KVM_GET_IRQCHIP)"))?;
        }
        let timer = vm.get_pit2().map_err(Error::call("read the timer (KVM_GET_PIT2)"))?;
        Ok(Self { controllers, timer })
    }

    /// # Errors
    /// [`Error::Call`].
    pub(super) fn put(&self, vm: &VmFd) -> Result<(), Error> {
        for (chip, chip_id) in self.controllers.iter().zip(CHIPS) {
            // Whatever number was saved, this is the one that is meant.
            let chip = kvm_irqchip { chip_id, ..*chip };
            vm.set_irqchip(&chip).map_err(Error::call("set an interrupt controller (KVM_SET_IRQCHIP)"))?;
        }
        vm.set_pit2(&self.timer).map_err(Error::call("set the timer (KVM_SET_PIT2)"))
    }
}
