//! The KVM device of the host and what it must be able to do.

use super::Error;
use kvm_bindings::{KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2};
use kvm_ioctls::{Cap, Kvm, VmFd};
use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Stands in for `/dev/kvm` when set.
const DEVICE_VARIABLE: &str = "KTSTR_KVM_DEVICE";

/// The only version since Linux 2.6.22 (Documentation/virt/kvm/api.rst, KVM_GET_API_VERSION).
const API_VERSION: i32 = 12;

/// What every machine of ours uses.
const NEEDED: &[(Cap, &str)] = &[
    (Cap::UserMemory, "KVM_CAP_USER_MEMORY"),
    (Cap::Irqchip, "KVM_CAP_IRQCHIP"),
    (Cap::Irqfd, "KVM_CAP_IRQFD"),
    (Cap::Pit2, "KVM_CAP_PIT2"),
    (Cap::ExtCpuid, "KVM_CAP_EXT_CPUID"),
    (Cap::SetTssAddr, "KVM_CAP_SET_TSS_ADDR"),
    (Cap::SetIdentityMapAddr, "KVM_CAP_SET_IDENTITY_MAP_ADDR"),
    (Cap::MpState, "KVM_CAP_MP_STATE"),
    (Cap::ImmediateExit, "KVM_CAP_IMMEDIATE_EXIT"),
    (Cap::TscDeadlineTimer, "KVM_CAP_TSC_DEADLINE_TIMER"),
];

/// Opens the device and checks that it has what a machine needs.
///
/// # Errors
/// Which of it is missing.
pub(crate) fn open() -> Result<Kvm, Error> {
    open_at(std::env::var_os(DEVICE_VARIABLE).filter(|path| !path.is_empty()).unwrap_or_else(|| "/dev/kvm".into()))
}

fn open_at(device: OsString) -> Result<Kvm, Error> {
    let path = CString::new(device.as_bytes());
    let device = PathBuf::from(device);
    let path = path.map_err(|error| Error::Open { device: device.clone(), source: error.into() })?;
    let kvm = Kvm::new_with_path(&path).map_err(|error| cannot_open(&device, error.errno()))?;
    let found = kvm.get_api_version();
    if found != API_VERSION {
        return Err(Error::ApiVersion { device, found });
    }
    match NEEDED.iter().find(|(capability, _)| !kvm.check_extension(*capability)) {
        Some((_, capability)) => Err(Error::MissingCapability { capability }),
        None => Ok(kvm),
    }
}

fn cannot_open(device: &Path, errno: i32) -> Error {
    let device = device.to_owned();
    let source = io::Error::from_raw_os_error(errno);
    match source.kind() {
        io::ErrorKind::NotFound => Error::NoDevice { device },
        io::ErrorKind::PermissionDenied => Error::NotPermitted { device },
        _ => Error::Open { device, source },
    }
}

/// An empty machine.
///
/// # Errors
/// [`Error::Call`].
pub(crate) fn create_vm(kvm: &Kvm) -> Result<VmFd, Error> {
    loop {
        match kvm.create_vm() {
            // The call waits for other CPUs and gives up when a signal comes.
            Err(error) if error.errno() == libc::EINTR => {}
            other => return other.map_err(Error::call("create a machine (KVM_CREATE_VM)")),
        }
    }
}

/// What KVM can tell a guest of its processors.
///
/// # Errors
/// [`Error::Call`].
pub(crate) fn supported_cpuid(kvm: &Kvm) -> Result<Vec<kvm_cpuid_entry2>, Error> {
    let supported = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES);
    let supported = supported.map_err(Error::call("list the features of its guests (KVM_GET_SUPPORTED_CPUID)"))?;
    Ok(supported.as_slice().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(device: &str, expected: &str) {
        let error = open_at(device.into()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{device}: {error}");
    }

    #[test]
    fn says_why_a_device_is_of_no_use() {
        check("/dev/there-is-no-kvm", "there is no /dev/there-is-no-kvm");
        check("/dev/null", "/dev/null speaks KVM API version -");
        check("/dev/n\0ull", "nul byte");
        check("/proc", "cannot open /proc");
    }

    #[test]
    fn a_refused_device_says_which_group_helps() {
        let error = cannot_open(Path::new("/dev/kvm"), libc::EACCES).to_string();
        assert!(error.contains("/dev/kvm may not be opened") && error.contains("group"), "{error}");
    }
}
