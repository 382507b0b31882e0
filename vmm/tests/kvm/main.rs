//! The kvm backend on a real `/dev/kvm`: bare kernels for every way in which a guest ends, and a real kernel.
//!
//! They are ignored unless asked for, because most machines that build this cannot run them. `KTSTR_TEST_KERNEL` names an
//! uncompressed vmlinux for those that boot one.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bare;
mod clocks;
mod early_clock;
mod init;
mod limits;
mod placement;
mod snapshot;
mod stops;
mod typing;

use init::Init;
use ktstr_vmm::{Chosen, Exit, Pace, Vm, VmConfig};
use ktstr_wire::{Machine, Topology};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For a host that emulates the processor which runs the guest.
const PATIENCE: Duration = Duration::from_secs(240);

/// VMs of one process share its threads and its memory, which some tests count.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, kernel: &Path, topology: Topology) -> VmConfig {
        let initramfs = self.path("initramfs");
        if !initramfs.exists() {
            std::fs::write(&initramfs, []).unwrap();
        }
        VmConfig {
            kernel: kernel.to_owned(),
            initramfs,
            // A large machine needs more to boot a kernel, whatever it really runs.
            machine: Machine::new(topology, u64::max(512, 6 * u64::from(topology.cpus())) << 20),
            reserved_bytes: 16 << 20,
            timers: None,
            kargs: Vec::new(),
            seed: 0,
            accel: Chosen::Kvm,
            placement: None,
            pace: Pace::default(),
        }
    }

    /// A machine whose kernel is only this code.
    fn bare(&self, code: &[u8], cpus: u32) -> Vm {
        let kernel = self.path("kernel");
        bare::write_kernel(&kernel, code);
        Vm::new(&self.config(&kernel, Topology::new(1, cpus, 1))).unwrap()
    }

    /// A machine with the real kernel and this user space.
    fn linux(&self, init: Init, topology: Topology) -> Vm {
        Vm::new(&self.linux_config(init, topology)).unwrap()
    }

    fn linux_config(&self, init: Init, topology: Topology) -> VmConfig {
        let kernel = std::env::var_os("KTSTR_TEST_KERNEL").expect("KTSTR_TEST_KERNEL must name a vmlinux");
        init.write_initramfs(&self.path("initramfs"));
        self.config(Path::new(&kernel), topology)
    }
}

/// Lets the guest run to its end; returns why it ended and all of its console.
fn run_to_end(vm: &mut Vm) -> (Exit, String) {
    let begin = Instant::now();
    let mut console = Vec::new();
    vm.start().unwrap();
    loop {
        let exit = vm.exit();
        console.extend(vm.read_console().unwrap());
        match exit {
            Some(exit) => return (exit, String::from_utf8_lossy(&console).into_owned()),
            None => assert!(
                begin.elapsed() < PATIENCE,
                "the guest did not end; its console: {}",
                String::from_utf8_lossy(&console)
            ),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Lets the guest run until its console has this text.
fn run_to_text(vm: &mut Vm, text: &str) {
    let begin = Instant::now();
    let mut console = String::new();
    vm.start().unwrap();
    while !console.contains(text) {
        assert!(begin.elapsed() < PATIENCE, "the guest did not print {text:?}; its console: {console}");
        assert_eq!(vm.exit(), None, "the guest ended before it printed {text:?}; its console: {console}");
        console.push_str(&String::from_utf8_lossy(&vm.read_console().unwrap()));
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn vcpu_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.starts_with("vcpu")).count()
}

/// A thread that has been joined may still be listed for a moment.
fn assert_no_vcpu_threads() {
    let begin = Instant::now();
    while vcpu_threads() > 0 {
        assert!(begin.elapsed() < Duration::from_secs(10), "{} threads of vCPUs are left", vcpu_threads());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Memory of this process that is not a guest's RAM, in bytes.
fn own_memory_bytes() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut guest, mut bytes) = (false, 0);
    for line in maps.lines() {
        if line.split(' ').next().is_some_and(|word| word.contains('-') && !word.ends_with(':')) {
            guest = line.ends_with(" /dev/zero");
        } else if let Some(rest) = line.strip_prefix("Rss:").filter(|_| !guest) {
            bytes += rest.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10;
        }
    }
    bytes
}

/// Runs a test once more, alone in a fresh process, where memory that other tests left behind is not counted. True in
/// that process.
fn in_a_process_of_its_own(test: &str) -> bool {
    const MARK: &str = "KTSTR_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let mut command = std::process::Command::new(program);
    let status = command.args([test, "--exact", "--ignored", "--nocapture"]).env(MARK, "1").status().unwrap();
    assert!(status.success(), "{test} failed in a process of its own: {status}");
    false
}

fn check_bare(code: &[u8], expected: &Exit) {
    let _one = one_at_a_time();
    for cpus in [1, 4] {
        let (exit, _) = run_to_end(&mut Files::new().bare(code, cpus));
        assert_eq!(exit, *expected, "{cpus} CPUs");
    }
    assert_no_vcpu_threads();
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn a_guest_that_powers_off_is_off() {
    check_bare(bare::POWER_OFF, &Exit::PowerOff);
}

/// More CPUs than eight bits can number.
#[test]
#[ignore = "needs a /dev/kvm"]
fn a_large_machine_runs() {
    let _one = one_at_a_time();
    let files = Files::new();
    let mut vm = files.bare(bare::POWER_OFF, 300);
    assert_eq!(vm.vcpu_clocks().len(), 300);
    assert_eq!(run_to_end(&mut vm).0, Exit::PowerOff);
    drop(vm);
    assert_no_vcpu_threads();
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn a_guest_that_resets_is_over() {
    check_bare(bare::RESET, &Exit::Reset);
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn a_guest_that_dies_says_nothing_but_is_noticed() {
    check_bare(bare::DIE, &Exit::TripleFault);
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn an_empty_bus_reads_as_ones() {
    check_bare(bare::READ_NOTHING, &Exit::PowerOff);
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn the_last_byte_before_death_is_kept() {
    let _one = one_at_a_time();
    assert_eq!(run_to_end(&mut Files::new().bare(bare::LAST_WORD, 1)), (Exit::TripleFault, "K".to_owned()));
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn any_guest_can_be_stopped() {
    let _one = one_at_a_time();
    for code in [bare::SPIN, bare::HALT] {
        for cpus in [1, 4] {
            let files = Files::new();
            let mut vm = files.bare(code, cpus);
            vm.start().unwrap();
            let begin = Instant::now();
            while vm.vcpu_clocks()[0].run_ns < 1_000_000 && begin.elapsed() < Duration::from_millis(100) {
                std::thread::yield_now();
            }
            assert_eq!(vcpu_threads(), cpus as usize);
            vm.stop().unwrap();
            assert_no_vcpu_threads();
            assert_eq!(vm.exit(), None, "the host ended it, not the guest");
            assert_eq!(vm.vcpu_clocks().len(), cpus as usize, "the last readings stay");
            vm.stop().unwrap();
        }
    }
}

/// As in a program that handles its signals on one thread.
#[test]
#[ignore = "needs a /dev/kvm"]
fn a_guest_can_be_stopped_where_signals_are_blocked() {
    let _one = one_at_a_time();
    let stopped = std::thread::spawn(|| {
        // SAFETY: all-zero is valid storage for sigfillset to fill; only this thread and what it starts are changed.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
        }
        let files = Files::new();
        let mut vm = files.bare(bare::SPIN, 2);
        vm.start().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        vm.stop().unwrap();
    });
    stopped.join().unwrap();
    assert_no_vcpu_threads();
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn a_machine_that_never_ran_leaves_nothing() {
    let _one = one_at_a_time();
    let files = Files::new();
    let vm = files.bare(bare::SPIN, 8);
    assert_eq!(vm.vcpu_clocks().len(), 8);
    drop(vm);
    assert_no_vcpu_threads();
}

#[test]
#[ignore = "needs a genuine /dev/kvm"]
fn the_probe_says_yes() {
    ktstr_vmm::kvm::probe().unwrap();
}

#[test]
#[ignore = "needs a genuine /dev/kvm and KTSTR_TEST_KERNEL"]
fn linux_boots_and_powers_off() {
    let _one = one_at_a_time();
    if !in_a_process_of_its_own("linux_boots_and_powers_off") {
        return;
    }
    for cpus in [1, 4] {
        let files = Files::new();
        let init = Init::new().say("HELLO\n").show("/sys/devices/system/cpu/online").power_off();
        let mut vm = files.linux(init, Topology::new(1, cpus, 1));
        let (exit, console) = run_to_end(&mut vm);
        assert_eq!(exit, Exit::PowerOff, "{console}");
        let online = if cpus == 1 { "cpu/online=0\r\n" } else { "cpu/online=0-3\r\n" };
        assert!(console.contains("HELLO\r\n") && console.contains(online), "{console}");
        let bytes = own_memory_bytes();
        println!("{cpus} CPUs: {} KiB besides the guest's RAM", bytes >> 10);
        assert!(bytes <= 8 << 20, "{bytes} bytes besides the guest's RAM");
    }
    assert_no_vcpu_threads();
}

#[test]
#[ignore = "needs a genuine /dev/kvm and KTSTR_TEST_KERNEL"]
fn linux_sees_the_declared_topology() {
    let _one = one_at_a_time();
    let files = Files::new();
    let file = |cpu: u32, name: &str| format!("/sys/devices/system/cpu/cpu{cpu}/{name}");
    let init = Init::new()
        .show(&file(5, "topology/thread_siblings_list"))
        .show(&file(5, "topology/core_siblings_list"))
        .show(&file(5, "cache/index3/shared_cpu_list"))
        .show(&file(2, "cache/index2/shared_cpu_list"))
        .show("/sys/devices/system/node/node1/cpulist")
        .show("/sys/devices/system/clocksource/clocksource0/current_clocksource")
        .power_off();
    let mut vm = files.linux(init, Topology { numa_nodes: 2, ..Topology::new(2, 2, 2) });
    let (exit, console) = run_to_end(&mut vm);
    assert_eq!(exit, Exit::PowerOff, "{console}");
    for expected in [
        "topology/thread_siblings_list=4-5",
        "topology/core_siblings_list=4-7",
        "cache/index3/shared_cpu_list=4-7",
        "cache/index2/shared_cpu_list=2-3",
        "node1/cpulist=4-7",
    ] {
        assert!(console.contains(expected), "{expected} is not in: {console}");
    }
    assert!(["=kvm-clock", "=tsc"].iter().any(|clock| console.contains(clock)), "{console}");
}

/// More than the driver's buffer takes at once, so that it comes by interrupts.
#[test]
#[ignore = "needs a genuine /dev/kvm and KTSTR_TEST_KERNEL"]
fn what_linux_writes_to_its_second_port_arrives() {
    let _one = one_at_a_time();
    let files = Files::new();
    let text = "0123456789abcdef".repeat(1000);
    let mut vm = files.linux(Init::new().send("/dev/ttyS1", &text).power_off(), Topology::new(1, 1, 1));
    let (exit, console) = run_to_end(&mut vm);
    assert_eq!(exit, Exit::PowerOff, "{console}");
    assert_eq!(String::from_utf8_lossy(&vm.read_control().unwrap()), text, "{console}");
}

#[test]
#[ignore = "needs a genuine /dev/kvm and KTSTR_TEST_KERNEL"]
fn a_panic_is_a_reset_and_its_words_are_kept() {
    let _one = one_at_a_time();
    let files = Files::new();
    let (exit, console) = run_to_end(&mut files.linux(Init::new().exit(), Topology::new(1, 2, 1)));
    assert_eq!(exit, Exit::Reset, "{console}");
    assert!(console.contains("Kernel panic - not syncing: Attempted to kill init!"), "{console}");
}

#[test]
#[ignore = "needs a genuine /dev/kvm and KTSTR_TEST_KERNEL"]
fn an_idle_linux_can_be_stopped() {
    let _one = one_at_a_time();
    let files = Files::new();
    let mut vm = files.linux(Init::new().say("READY\n").pause(), Topology::new(1, 4, 1));
    run_to_text(&mut vm, "READY");
    vm.stop().unwrap();
    assert_no_vcpu_threads();
    assert_eq!(vm.exit(), None);
}

#[test]
#[ignore = "needs a genuine /dev/kvm and KTSTR_TEST_KERNEL"]
fn what_is_typed_reaches_the_console() {
    let _one = one_at_a_time();
    let files = Files::new();
    let mut config = files.linux_config(typing::guest(), Topology::new(1, 2, 1));
    // What the kernel says, of its clock on a slow host for one, would stand within the lines that come back.
    config.kargs = vec!["loglevel=1".to_owned()];
    typing::check(Vm::new(&config).unwrap());
    assert_no_vcpu_threads();
}
