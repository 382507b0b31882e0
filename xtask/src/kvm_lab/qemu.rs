//! QEMU's arguments for the lab's outer machine.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::path::Path;

/// The emulator that is run.
pub(super) const PROGRAM: &str = "qemu-system-x86_64";

/// The outer CPU: AMD with SVM and nested paging. Emulated SVM does not intercept XSETBV, so what an inner guest puts into
/// XCR0 would reach the outer kernel's processes: nobody in the lab gets XSAVE, hence no AVX either.
const CPU: &str = "max,+svm,+npt,-erms,-fsrm,-xsave,-xsaveopt,-xsavec,-xsaves,-avx,-avx2";

/// `mitigations=off` and `tsc=reliable` save emulated work. `no_timer_check`: a loaded host may be too slow for the timer
/// check. `panic=-1` with `-no-reboot`: a dead kernel ends the process at once.
const COMMAND_LINE: &str = "rdinit=/init console=ttyS0 quiet panic=-1 oops=panic tsc=reliable no_timer_check \
    mitigations=off nokaslr raid=noautodetect random.trust_cpu=on module.sig_enforce=0";

/// What the outer machine is made of.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    /// Uncompressed ELF kernel with a PVH entry.
    pub(super) kernel: &'a Path,
    /// Inherited file descriptor of the initramfs.
    pub(super) initramfs: RawFd,
    /// Outer vCPUs.
    pub(super) vcpus: u32,
    /// Additions to the outer CPU's properties, as QEMU's option `-cpu` takes them.
    pub(super) cpu: Option<&'a str>,
    /// Guest RAM in MiB.
    pub(super) memory_mib: u64,
    /// Inherited sockets, in this order: console, control, stdout, stderr.
    pub(super) sockets: [RawFd; 4],
}

/// Names of the virtio ports, in the order of [`Machine::sockets`] after the console.
const PORTS: [&str; 3] = ["control", "out", "err"];

/// The arguments of [`PROGRAM`].
pub(super) fn arguments(machine: &Machine<'_>) -> Vec<OsString> {
    let [console, ports @ ..] = machine.sockets;
    let mut args: Vec<OsString> = Vec::new();
    let mut add = |option: &str, value: &dyn AsRef<OsStr>| {
        args.push(option.into());
        args.push(value.as_ref().to_owned());
    };
    add("-machine", &"pc,usb=off,vmport=off");
    add("-accel", &"tcg,thread=single");
    add("-cpu", &[CPU].into_iter().chain(machine.cpu).collect::<Vec<_>>().join(","));
    add("-smp", &machine.vcpus.to_string());
    add("-m", &format!("{}M", machine.memory_mib));
    add("-display", &"none");
    add("-kernel", &machine.kernel);
    add("-initrd", &format!("/proc/self/fd/{}", machine.initramfs));
    add("-append", &COMMAND_LINE);
    add("-chardev", &format!("socket,id=console,fd={console}"));
    add("-serial", &"chardev:console");
    add("-device", &"virtio-serial-pci");
    for (name, fd) in PORTS.iter().zip(ports) {
        add("-chardev", &format!("socket,id={name},fd={fd}"));
        add("-device", &format!("virtserialport,chardev={name},name={name}"));
    }
    add("-fsdev", &"local,id=host,path=/,security_model=none,readonly=on,multidevs=remap");
    add("-device", &"virtio-9p-pci,fsdev=host,mount_tag=host");
    args.extend(["-nodefaults", "-no-user-config", "-no-reboot"].map(OsString::from));
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_carry_the_machine() {
        let machine = Machine {
            kernel: Path::new("/cache/lab/a b/vmlinux"),
            initramfs: 9,
            vcpus: 2,
            cpu: Some("family=23,model=1"),
            memory_mib: 3072,
            sockets: [3, 4, 5, 6],
        };
        let args = arguments(&machine);
        let after = |option: &str| -> Vec<&str> {
            let pairs = args.windows(2).filter(|pair| pair[0] == option);
            pairs.map(|pair| pair[1].to_str().unwrap()).collect()
        };
        assert_eq!(after("-kernel"), ["/cache/lab/a b/vmlinux"]);
        assert_eq!(after("-initrd"), ["/proc/self/fd/9"]);
        assert_eq!((after("-smp"), after("-m")), (vec!["2"], vec!["3072M"]));
        let sockets = ["console,fd=3", "control,fd=4", "out,fd=5", "err,fd=6"].map(|text| format!("socket,id={text}"));
        assert_eq!(after("-chardev"), sockets);
        assert_eq!(after("-cpu"), [format!("{CPU},family=23,model=1")]);
        assert_eq!(after("-accel"), ["tcg,thread=single"]);
        assert!(after("-fsdev")[0].contains("readonly=on,multidevs=remap"));
    }
}
