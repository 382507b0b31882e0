//! The QEMU command line of a machine: values in, words out.

use super::Version;
use super::numa;
use super::plugin;
use crate::access;
use crate::config::{Pace, VmConfig};
use crate::error::Error;
use crate::layout::LOW_RAM_MAX_END;
use crate::timers::KernelTimers;
use ktstr_wire::{Machine, Topology};
use std::ffi::OsString;
use std::os::fd::RawFd;

/// Guest nanoseconds per instruction are 2 to this power: a guest of 125 million instructions a second, which is what
/// one emulation thread does on common hosts, so that guest time and host time pass about equally fast.
pub(super) const ICOUNT_SHIFT: u32 = 3;

/// Start of the guest's real-time clock. Fixed, because the host's would make each run another.
const RTC_BASE: &str = "2026-01-01T00:00:00";

/// The console's character device.
pub(super) const COM1: &str = "com1";

/// Descriptors that the process inherits.
pub struct Files<'a> {
    /// Each NUMA node's RAM: descriptor and size in bytes.
    pub ram_nodes: &'a [(RawFd, u64)],
    /// COM1's log.
    pub console: RawFd,
    /// COM2's log.
    pub control: RawFd,
    /// The reading end of COM1's input.
    pub input: RawFd,
    /// The plugin, where it is needed.
    pub plugin: Option<RawFd>,
    /// What the plugin tells of stop points.
    pub stops: RawFd,
    /// Whether the machine is made of what another was.
    pub waits_for_state: bool,
}

impl Files<'_> {
    /// All of them.
    pub fn all(&self) -> Vec<RawFd> {
        let serial = [self.console, self.control, self.input, self.stops];
        self.ram_nodes.iter().map(|(fd, _)| *fd).chain(serial).chain(self.plugin).collect()
    }
}

/// What this backend adds to the kernel command line.
///
/// # Errors
/// As [`VmConfig::ram_layout`].
pub fn kernel_words(config: &VmConfig) -> Result<Vec<String>, Error> {
    let reserved = config.ram_layout()?.reserved;
    let mut words = vec![
        // QEMU's memory map has no way to reserve a range; the kernel's has.
        format!("memmap={:#x}${:#x}", reserved.bytes, reserved.gpa),
        // All vCPUs have the same emulated TSC: nothing to watch.
        "tsc=reliable".to_owned(),
        "no_timer_check".to_owned(),
    ];
    if config.pace == Pace::Instructions {
        // It counts guest time exactly: nothing to calibrate.
        words.push(format!("tsc_early_khz={}", plugin::TIMER_HZ / 1000));
    }
    // TSC counts a tick, by which the kernel delays. It would measure them on each CPU by waiting for ticks.
    words.extend(timers(config).map(|timers| format!("lpj={}", plugin::TIMER_HZ / u64::from(timers.hz.get()))));
    Ok(words)
}

/// The kernel's timers, where the emulated ones have the rates that we know: the TSC at the host's pace is the host's.
pub(super) fn timers(config: &VmConfig) -> Option<KernelTimers> {
    config.timers.filter(|_| config.pace == Pace::Instructions)
}

/// The whole command line, without the program and what [`super::process`] adds.
pub fn build(version: Version, config: &VmConfig, files: &Files<'_>, cmdline: &str) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let mut add = |option: &str, value: String| words.extend([option.into(), value.into()]);
    add("-accel", "tcg,thread=single".to_owned());
    match config.pace {
        Pace::Instructions => {
            add("-icount", format!("shift={ICOUNT_SHIFT},sleep=off"));
            add("-rtc", format!("base={RTC_BASE},clock=vm"));
        }
        Pace::Host => add("-rtc", "base=utc,clock=host".to_owned()),
    }
    if let Some(fd) = files.plugin {
        let first = files.ram_nodes.iter().find(|(_, bytes)| *bytes > 0).copied().unwrap_or_default();
        add("-plugin", plugin::Tasks::new(version, timers(config).as_ref()).option(fd, files.stops, first));
    }
    add("-seed", config.seed.to_string());
    add("-machine", machine(&config.machine));
    add("-cpu", cpu(version));
    add("-smp", smp(&config.machine.topology));
    let ram_mib: u64 = files.ram_nodes.iter().map(|(_, bytes)| bytes >> 20).sum();
    add("-m", format!("{ram_mib}M"));
    for (node, (fd, bytes)) in files.ram_nodes.iter().enumerate() {
        add("-object", format!("memory-backend-file,id=ram{node},size={bytes},mem-path=/proc/self/fd/{fd},share=on"));
    }
    for option in numa::options(&config.machine) {
        add("-numa", option);
    }
    for (port, fd) in [(COM1, files.console), ("com2", files.control)] {
        add("-chardev", format!("file,id={port},path=/proc/self/fd/{fd},append=on"));
        add("-serial", format!("chardev:{port}"));
    }
    add("-kernel", config.kernel.display().to_string());
    add("-initrd", config.initramfs.display().to_string());
    add("-append", cmdline.to_owned());
    if files.waits_for_state {
        add("-incoming", "defer".to_owned());
    }
    add("-display", "none".to_owned());
    words.extend(["-nodefaults", "-no-user-config", "-no-reboot", "-S"].map(OsString::from));
    words
}

fn machine(machine: &Machine) -> String {
    let memory = match machine.nodes.len() {
        1 => ",memory-backend=ram0",
        _ if access::differs(machine) => ",hmat=on",
        _ => "",
    };
    format!("pc,max-ram-below-4g={LOW_RAM_MAX_END},usb=off,vmport=off,hpet=off{memory}")
}

/// The vendor decides how caches are described: with Intel's leaf 4 every socket has an L3 of its own. Random numbers of the
/// processor would be others in each process of QEMU's, and so in each machine that goes on from the same state. String
/// instructions are emulated a byte or a word at a time, so the kernel had better not think that the byte ones are fast.
fn cpu(_version: Version) -> String {
    "max,vendor=GenuineIntel,-erms,-fsrm,-rdrand,-rdseed".to_owned()
}

/// One socket per LLC: the one shape that every QEMU since 7.2 turns into one L3 each.
fn smp(topology: &Topology) -> String {
    let Topology { llcs, cores_per_llc, threads_per_core, .. } = topology;
    format!("{},sockets={llcs},cores={cores_per_llc},threads={threads_per_core}", topology.cpus())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accel::Chosen;

    fn words(topology: Topology) -> String {
        let config = VmConfig {
            kernel: "/k/vmlinux".into(),
            initramfs: "/k/initramfs".into(),
            machine: Machine::new(topology, 512 << 20),
            reserved_bytes: 64 << 20,
            timers: None,
            kargs: Vec::new(),
            seed: 7,
            accel: Chosen::Tcg,
            placement: None,
            pace: Pace::default(),
        };
        let nodes: Vec<(RawFd, u64)> = (0..topology.numa_nodes).map(|node| (10 + node as RawFd, 256 << 20)).collect();
        let files = Files {
            ram_nodes: &nodes,
            console: 20,
            control: 21,
            input: 22,
            plugin: Some(23),
            stops: 24,
            waits_for_state: false,
        };
        let words = build(Version { major: 7, minor: 2 }, &config, &files, "quiet");
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    fn check(topology: Topology, expected: &[&str]) {
        let words = words(topology);
        for part in expected {
            assert!(words.contains(part), "{part} is not in {words}");
        }
    }

    #[test]
    fn every_run_is_deterministic() {
        check(Topology::new(1, 2, 1), &["thread=single", "-icount shift=", "sleep=off", "-seed 7", "clock=vm"]);
    }

    #[test]
    fn turns_are_counted_in_instructions() {
        check(Topology::new(1, 2, 1), &["-plugin /proc/self/fd/23,stops=24,turn=62500"]);
    }

    #[test]
    fn topology_becomes_sockets() {
        check(Topology::new(3, 2, 2), &["-smp 12,sockets=3,cores=2,threads=2", "memory-backend=ram0"]);
        check(
            Topology { numa_nodes: 2, ..Topology::new(4, 1, 1) },
            &["-numa node,nodeid=1,memdev=ram1", "-numa cpu,node-id=1,socket-id=2", "mem-path=/proc/self/fd/11"],
        );
    }
}
