//! The table of what is needed, for what, and which Debian package has it.

use super::Group::{self, Bpf, Browser, Emulator, Fuzz, KernelBuild, Lab, Packages, Programs, SchedExt};
use super::probe::Probe::{self, Clang, Header, Program, StaticProgram, Versioned};

/// One thing that a machine must have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// How it shows that it is there.
    pub(super) probe: Probe,
    /// The Debian package that has it.
    pub(super) package: &'static str,
    /// What it is needed for.
    groups: &'static [Group],
}

impl Need {
    /// Whether one of the groups needs it.
    pub(super) fn serves(&self, groups: &[Group]) -> bool {
        groups.iter().any(|group| self.groups.contains(group))
    }
}

const fn need(probe: Probe, package: &'static str, groups: &'static [Group]) -> Need {
    Need { probe, package, groups }
}

/// Everything. What a Rust toolchain itself needs (a linker, the C library's files) is there before this can run.
pub(super) const NEEDS: &[Need] = &[
    need(Program("qemu-system-x86_64"), "qemu-system-x86", &[Emulator, Lab]),
    need(Program("apt-get"), "apt", &[Packages, Lab]),
    need(Program("dpkg-deb"), "dpkg", &[Packages, Lab]),
    // The lab's first program, in an initramfs without libraries.
    need(StaticProgram("busybox"), "busybox-static", &[Lab]),
    need(Versioned("clang"), "clang", &[Bpf]),
    need(Program("pkg-config"), "pkg-config", &[Bpf]),
    // Those before leave out casts of arena pointers, and the verifier rejects what they make of scx_qmap.
    need(Clang { since: 22 }, "clang-22", &[SchedExt]),
    need(Program("python3"), "python3", &[SchedExt]),
    need(Header("zstd.h"), "libzstd-dev", &[SchedExt]),
    need(Program("make"), "make", &[Bpf, KernelBuild, SchedExt]),
    need(Program("gcc"), "gcc", &[Bpf, KernelBuild, SchedExt]),
    need(Header("gelf.h"), "libelf-dev", &[Bpf, KernelBuild, SchedExt]),
    need(Header("zlib.h"), "zlib1g-dev", &[Bpf, KernelBuild, SchedExt]),
    need(Program("c++"), "g++", &[Fuzz]),
    need(Program("hackbench"), "rt-tests", &[Programs]),
    need(Program("chromium"), "chromium", &[Browser]),
    need(Program("rt-app"), "rt-app", &[Programs]),
    need(Program("ld"), "binutils", &[KernelBuild]),
    need(Program("flex"), "flex", &[KernelBuild]),
    need(Program("bison"), "bison", &[KernelBuild]),
    need(Program("bc"), "bc", &[KernelBuild]),
    need(Program("perl"), "perl", &[KernelBuild]),
    need(Program("pahole"), "dwarves", &[KernelBuild]),
    need(Program("tar"), "tar", &[KernelBuild, SchedExt]),
    need(Program("xz"), "xz-utils", &[KernelBuild, SchedExt]),
    need(Header("openssl/opensslv.h"), "libssl-dev", &[KernelBuild]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_group_needs_something() {
        for group in Group::value_variants() {
            assert!(NEEDS.iter().any(|need| need.serves(&[*group])), "{group:?}");
        }
    }

    #[test]
    fn nothing_is_listed_twice() {
        for (number, need) in NEEDS.iter().enumerate() {
            assert!(NEEDS[number + 1..].iter().all(|other| other.probe != need.probe), "{}", need.probe);
        }
    }
}
