//! What is in a snapshot of a machine under KVM.

/// Reads it, and again what comes of it.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_vmm::fuzzing::kvm_state(bytes);
}

/// A machine that has not run.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![ktstr_vmm::fuzzing::a_kvm_state()]
}
