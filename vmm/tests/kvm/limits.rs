//! A host that has not enough of something for every vCPU.

use crate::{Files, assert_no_vcpu_threads, bare, in_a_process_of_its_own};
use ktstr_vmm::Vm;
use ktstr_wire::Topology;
use std::error::Error;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn no_files_for_all_vcpus() {
    if !in_a_process_of_its_own("limits::no_files_for_all_vcpus") {
        return;
    }
    let limit = libc::rlimit { rlim_cur: 128, rlim_max: 128 };
    // SAFETY: the limit outlives the call, which only reads it; the process is this test's own.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    let files = Files::new();
    let kernel = files.path("kernel");
    bare::write_kernel(&kernel, bare::SPIN);
    let before = open_files();
    let error = Vm::new(&files.config(&kernel, Topology::new(1, 300, 1))).err().unwrap();
    let text = format!("{error}: {:?}", error.source().map(ToString::to_string));
    assert!(text.contains("KVM_CREATE_VCPU") && text.contains("Too many open files"), "{text}");
    assert_no_vcpu_threads();
    assert_eq!(open_files(), before);
}
