//! Fuzz targets: every parser of bytes that others wrote, one file each.
//!
//! A target takes any bytes and must not panic, hang, or take much memory; what else must hold of the outcome it
//! asserts. Its seeds are made by code. `cargo xtask fuzz` runs targets under libFuzzer; the ordinary tests replay the
//! seeds, and what is near to them.

mod boot_image;
mod btf;
mod cached;
mod console;
mod control;
mod deb;
mod kallsyms;
mod kconfig;
mod kernel_image;
mod kernel_payload;
mod kvm_state;
mod ld_cache;
mod memory;
mod message;
mod packages;
mod program;
mod qmp;
mod recipe;
mod reports;
mod reserved;
mod ring;
mod rt_app;
mod schedulers;
mod snapshot_manifest;
mod spec;
mod topology;
mod trace;
mod verifier_log;
mod vmlinux;

/// One parser.
#[derive(Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
    /// Inputs that reach far into it.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

const fn target(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds }
}

/// All targets, by name.
pub const TARGETS: &[Target] = &[
    target("boot_image", boot_image::run, boot_image::seeds),
    target("btf", btf::run, btf::seeds),
    target("cached", cached::run, cached::seeds),
    target("console", console::run, console::seeds),
    target("control", control::run, control::seeds),
    target("deb", deb::run, deb::seeds),
    target("kallsyms", kallsyms::run, kallsyms::seeds),
    target("kconfig", kconfig::run, kconfig::seeds),
    target("kernel_image", kernel_image::run, kernel_image::seeds),
    target("kernel_payload", kernel_payload::run, kernel_payload::seeds),
    target("kvm_state", kvm_state::run, kvm_state::seeds),
    target("ld_cache", ld_cache::run, ld_cache::seeds),
    target("message", message::run, message::seeds),
    target("packages", packages::run, packages::seeds),
    target("program", program::run, program::seeds),
    target("qmp", qmp::run, qmp::seeds),
    target("recipe", recipe::run, recipe::seeds),
    target("reports", reports::run, reports::seeds),
    target("reserved", reserved::run, reserved::seeds),
    target("ring", ring::run, ring::seeds),
    target("rt_app", rt_app::run, rt_app::seeds),
    target("schedulers", schedulers::run, schedulers::seeds),
    target("snapshot_manifest", snapshot_manifest::run, snapshot_manifest::seeds),
    target("spec", spec::run, spec::seeds),
    target("topology", topology::run, topology::seeds),
    target("trace", trace::run, trace::seeds),
    target("verifier_log", verifier_log::run, verifier_log::seeds),
    target("vmlinux", vmlinux::run, vmlinux::seeds),
];

/// The target of that name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variants of a seed: cut here, a bit turned there.
    const VARIANTS: usize = 200;

    #[test]
    fn seeds_and_what_is_near_to_them_do_no_harm() {
        for target in TARGETS {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{}", target.name);
            for seed in seeds {
                (target.run)(&seed);
                for at in (0..seed.len()).step_by(seed.len() / VARIANTS + 1) {
                    (target.run)(&seed[..at]);
                    let mut turned = seed.clone();
                    turned[at] ^= 1 << (at % 8);
                    (target.run)(&turned);
                }
            }
        }
    }

    #[test]
    fn names_are_found() {
        assert!(TARGETS.is_sorted_by_key(|target| target.name));
        assert!(find("ring").is_some_and(|target| target.name == "ring") && find("absent").is_none());
    }
}
