//! The model-specific registers of a vCPU.

use crate::kvm::Error;
use kvm_bindings::{Msrs, kvm_msr_entry};
use kvm_ioctls::{Kvm, VcpuFd};
use serde::{Deserialize, Serialize};
use std::io;

/// The time stamp counter, and the deadline that is set in it: [`super::Time`] sets both.
const TSC: u32 = 0x10;
pub(super) const TSC_DEADLINE: u32 = 0x6e0;

/// Where KVM writes the host's time into the guest's memory at each write (Documentation/virt/kvm/x86/msr.rst): a guest that
/// wants to know writes anew.
const WALL_CLOCK: [u32; 2] = [0x11, 0x4b56_4d00];

/// Registers of Hyper-V's guests, which ours are not told to be.
const HYPER_V: std::ops::Range<u32> = 0x4000_0000..0x4000_0200;

/// KVM takes no more at once (arch/x86/kvm/x86.c, MAX_IO_MSRS).
const MOST_AT_ONCE: usize = 256;

/// Values of registers.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Values(Vec<(u32, u64)>);

/// The registers that are to be saved.
///
/// # Errors
/// [`Error::Call`].
pub(super) fn all(kvm: &Kvm) -> Result<Vec<u32>, Error> {
    let list = kvm.get_msr_index_list().map_err(Error::call("list a vCPU's registers (KVM_GET_MSR_INDEX_LIST)"))?;
    Ok(list.as_slice().iter().copied().filter(|index| is_saved(*index)).collect())
}

fn is_saved(index: u32) -> bool {
    ![TSC, TSC_DEADLINE].contains(&index) && !WALL_CLOCK.contains(&index) && !HYPER_V.contains(&index)
}

impl Values {
    /// Those of the registers that the vCPU has.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub(super) fn take(vcpu: &VcpuFd, indices: &[u32]) -> Result<Self, Error> {
        let (mut values, mut rest) = (Vec::with_capacity(indices.len()), indices);
        while !rest.is_empty() {
            let now = rest.get(..MOST_AT_ONCE).unwrap_or(rest);
            let mut msrs = list(now.iter().map(|index| (*index, 0)))?;
            let got = vcpu.get_msrs(&mut msrs).map_err(Error::call("read registers of a vCPU (KVM_GET_MSRS)"))?;
            values.extend(msrs.as_slice().iter().take(got).map(|msr| (msr.index, msr.data)));
            // KVM stops at the first that this vCPU lacks.
            let done = if got < now.len() { got + 1 } else { got };
            rest = rest.get(done..).unwrap_or_default();
        }
        Ok(Self(values))
    }

    /// Gives a vCPU those that it has not. So what cannot be written, and is as it was, is no obstacle.
    ///
    /// # Errors
    /// [`Error::MsrRefused`], [`Error::Call`].
    pub(super) fn put(&self, vcpu: &VcpuFd) -> Result<(), Error> {
        let indices: Vec<u32> = self.0.iter().map(|(index, _)| *index).collect();
        let present = Self::take(vcpu, &indices)?;
        let other: Vec<_> = self.0.iter().filter(|value| !present.0.contains(value)).copied().collect();
        other.chunks(MOST_AT_ONCE).try_for_each(|values| set(vcpu, values))
    }
}

/// Reads one register.
///
/// # Errors
/// [`Error::Call`].
pub(super) fn get(vcpu: &VcpuFd, index: u32) -> Result<u64, Error> {
    // One that is not there is as good as one that was never set.
    Ok(Values::take(vcpu, &[index])?.0.first().map_or(0, |(_, value)| *value))
}

/// Sets registers.
///
/// # Errors
/// [`Error::MsrRefused`], [`Error::Call`].
pub(in crate::kvm) fn set(vcpu: &VcpuFd, values: &[(u32, u64)]) -> Result<(), Error> {
    let msrs = list(values.iter().copied())?;
    let done = vcpu.set_msrs(&msrs).map_err(Error::call("set registers of a vCPU (KVM_SET_MSRS)"))?;
    // KVM stops at the first that it refuses.
    values.get(done).map_or(Ok(()), |&(index, _)| Err(Error::MsrRefused { index }))
}

fn list(values: impl Iterator<Item = (u32, u64)>) -> Result<Msrs, Error> {
    let entries: Vec<_> = values.map(|(index, data)| kvm_msr_entry { index, data, ..Default::default() }).collect();
    Msrs::from_entries(&entries)
        .map_err(|error| Error::io("list a vCPU's registers")(io::Error::other(format!("{error:?}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_not_saved_with_the_rest() {
        const MSR_STAR: u32 = 0xc000_0081;
        const KVM_SYSTEM_TIME: u32 = 0x4b56_4d01;
        for (index, expected) in
            [(TSC, false), (TSC_DEADLINE, false), (0x4000_0020, false), (MSR_STAR, true), (KVM_SYSTEM_TIME, true)]
        {
            assert_eq!(is_saved(index), expected, "{index:#x}");
        }
    }
}
