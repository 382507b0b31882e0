//! Performance mode: what the report says is what the host's kernel says.

use crate::init::Init;
use crate::{Files, assert_no_vcpu_threads, bare, one_at_a_time, run_to_end};
use ktstr_vmm::budget::{Budget, Lease};
use ktstr_vmm::placement::{Part, Plan, reserve};
use ktstr_vmm::{Exit, Vm, VmConfig};
use ktstr_wire::{Machine, Topology};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

const HUGE_PAGES: &str = "/proc/sys/vm/nr_hugepages";

/// The host's CPUs in order, booked in a directory of the test's own.
fn usable() -> Vec<usize> {
    (0..std::thread::available_parallelism().unwrap().get()).collect()
}

fn reserved(files: &Files, machine: &Machine) -> (Lease, Plan) {
    let (lease, plan) = reserve(Budget::new(&files.path("vcpus"), usable()), machine, |_| {});
    (lease.unwrap(), plan)
}

/// A machine of one vCPU that spins, and the host CPUs that it has.
fn placed(files: &Files) -> (Lease, Vm) {
    let kernel = files.path("kernel");
    bare::write_kernel(&kernel, bare::SPIN);
    let config = files.config(&kernel, Topology::new(1, 1, 1));
    let (lease, plan) = reserved(files, &config.machine);
    (lease, Vm::new(&VmConfig { placement: Some(plan), ..config }).unwrap())
}

fn has(vm: &Vm, part: Part) -> bool {
    let report = vm.placement().unwrap();
    let (had, lacked) = (report.applied.contains(&part), report.missing.iter().any(|missing| missing.part == part));
    assert!(had != lacked, "{part:?} is in one list: {report:?}");
    had
}

fn vcpu_tid() -> i32 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(Result::unwrap);
    let name = |task: &fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    let vcpu = tasks.into_iter().find(|task| name(task).trim() == "vcpu0").unwrap();
    vcpu.file_name().to_str().unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs a /dev/kvm, and root for real time"]
fn a_vcpu_s_thread_is_where_the_report_says() {
    let _one = one_at_a_time();
    let files = Files::new();
    let (lease, mut vm) = placed(&files);
    println!("{:?}", vm.placement());
    assert!(has(&vm, Part::PinnedVcpus) && has(&vm, Part::Llcs) && has(&vm, Part::ExclusiveCpus));
    let tid = vcpu_tid();
    let status = fs::read_to_string(format!("/proc/self/task/{tid}/status")).unwrap();
    assert!(status.contains(&format!("Cpus_allowed_list:\t{}\n", lease.cpus()[0])), "{status}");
    // SAFETY: plain system calls; a SCHED_FIFO thread may be asked for by anyone.
    let policy = unsafe { libc::sched_getscheduler(tid) };
    // SAFETY: plain system call without pointers.
    let is_root = unsafe { libc::geteuid() } == 0;
    assert_eq!(has(&vm, Part::RealTime), usable().len() > 1 && is_root);
    assert_eq!(policy == libc::SCHED_FIFO, has(&vm, Part::RealTime));
    // It never leaves the guest by itself, and nothing else may run on its CPU.
    vm.start().unwrap();
    while vm.vcpu_clocks()[0].run_ns < 1_000_000 {
        std::thread::sleep(Duration::from_millis(1));
    }
    vm.stop().unwrap();
    assert_no_vcpu_threads();
}

/// Idle and spinning vCPUs do not leave the guest, where the host lets them; a kernel does both.
#[test]
#[ignore = "needs a genuine /dev/kvm and KTSTR_TEST_KERNEL"]
fn linux_runs_on_cpus_of_its_own() {
    let _one = one_at_a_time();
    let files = Files::new();
    let config = files.linux_config(Init::new().say("HELLO\n").power_off(), Topology::new(1, 1, 1));
    let (_lease, plan) = reserved(&files, &config.machine);
    let mut vm = Vm::new(&VmConfig { placement: Some(plan), ..config }).unwrap();
    println!("{:?}", vm.placement());
    let (exit, console) = run_to_end(&mut vm);
    assert_eq!(exit, Exit::PowerOff, "{console}");
    assert!(console.contains("HELLO"), "{console}");
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn ram_is_bound_to_its_node() {
    let _one = one_at_a_time();
    let files = Files::new();
    let (_lease, vm) = placed(&files);
    let policies = fs::read_to_string("/proc/self/numa_maps").unwrap_or_default();
    let bound = policies.lines().any(|line| line.contains(" bind:"));
    assert_eq!(bound, has(&vm, Part::LocalMemory), "{policies}");
}

/// Huge pages for the host to give, as long as it lives.
struct HugePages {
    before: u64,
}

impl HugePages {
    fn reserve(more: u64) -> Self {
        let before = fs::read_to_string(HUGE_PAGES).unwrap().trim().parse().unwrap();
        let pages = Self { before };
        fs::write(HUGE_PAGES, (before + more).to_string()).expect("only root can reserve huge pages");
        assert!(free_huge_pages() >= more, "the host has no room for {more} huge pages");
        pages
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        let _ = fs::write(HUGE_PAGES, self.before.to_string());
    }
}

fn free_huge_pages() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let free = |name: &str| -> u64 {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    // Those that are set aside are free too, and not to be had.
    free("HugePages_Free:") - free("HugePages_Rsvd:")
}

/// What this process has in reserved huge pages.
fn own_huge_pages(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Private_Hugetlb:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 11
}

/// The machines of these tests have 512 MiB.
const PAGES: u64 = 256;

#[test]
#[ignore = "needs a /dev/kvm, and root for huge pages"]
fn huge_pages_are_used_and_given_back() {
    let _one = one_at_a_time();
    let files = Files::new();
    let (_lease, vm) = placed(&files);
    // Not had without any, and the machine is there all the same.
    assert!(!has(&vm, Part::HugePages) || own_huge_pages(std::process::id()) == PAGES);
    drop((_lease, vm));
    let _pages = HugePages::reserve(PAGES);
    let free = free_huge_pages();
    let (_lease, vm) = placed(&files);
    assert!(has(&vm, Part::HugePages), "{:?}", vm.placement());
    assert_eq!((own_huge_pages(std::process::id()), free_huge_pages()), (PAGES, free - PAGES));
    drop(vm);
    assert_eq!((own_huge_pages(std::process::id()), free_huge_pages()), (0, free));
}

/// Has a machine until the process is killed.
fn hold_a_machine() -> ! {
    let files = Files::new();
    let (_lease, mut vm) = placed(&files);
    vm.start().unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
#[ignore = "needs a /dev/kvm, and root for huge pages"]
fn huge_pages_come_back_from_a_killed_process() {
    const MARK: &str = "KTSTR_TEST_TO_BE_KILLED";
    if std::env::var_os(MARK).is_some() {
        hold_a_machine();
    }
    let _one = one_at_a_time();
    let _pages = HugePages::reserve(PAGES);
    let free = free_huge_pages();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["placement::huge_pages_come_back_from_a_killed_process", "--exact", "--ignored"]);
    let mut child = command.env("TMPDIR", folder.path()).env(MARK, "1").spawn().unwrap();
    let begin = Instant::now();
    while own_huge_pages(child.id()) < PAGES {
        assert!(begin.elapsed() < crate::PATIENCE, "the machine did not come up");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(free_huge_pages(), free);
}
