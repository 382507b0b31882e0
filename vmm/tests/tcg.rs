//! The tcg backend with a real kernel, the one that `KTSTR_KERNEL` names.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "kvm/init.rs"]
#[allow(dead_code)] // The tests of the kvm backend use the rest.
mod init;
#[path = "kvm/typing.rs"]
mod typing;

use ktstr_cache::Cache;
use ktstr_kernels::{Kernels, Spec};
use ktstr_vmm::{Chosen, Pace, Vm, VmConfig};
use ktstr_wire::{Machine, Topology};
use std::path::PathBuf;

#[test]
fn what_is_typed_reaches_the_console() {
    let dir = tempfile::tempdir().unwrap();
    let initramfs = dir.path().join("initramfs");
    typing::guest().write_initramfs(&initramfs);
    let config = VmConfig {
        kernel: kernel(),
        initramfs,
        machine: Machine::new(Topology::new(1, 2, 1), 512 << 20),
        reserved_bytes: 16 << 20,
        timers: None,
        kargs: Vec::new(),
        seed: 0,
        accel: Chosen::Tcg,
        placement: None,
        pace: Pace::default(),
    };
    typing::check(Vm::new(&config).unwrap());
}

fn kernel() -> PathBuf {
    let spec = std::env::var("KTSTR_KERNEL").ok().filter(|spec| !spec.is_empty());
    let spec: Spec = spec.as_deref().unwrap_or("latest").parse().unwrap();
    Kernels::new(Cache::open_default().unwrap()).resolve(&spec, &()).unwrap().vmlinux()
}
