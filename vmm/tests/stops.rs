//! Stop points on a real kernel, the one that `KTSTR_KERNEL` names, under emulation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "kvm/init.rs"]
#[allow(dead_code)] // The tests of the kvm backend use the rest.
mod init;

use init::Init;
use ktstr_cache::Cache;
use ktstr_kernels::{Kernel, Kernels, Spec};
use ktstr_vmm::stops::{self, Base, Read, Register};
use ktstr_vmm::{Chosen, Error, Exit, Pace, Vm, VmConfig};
use ktstr_wire::{Machine, Topology};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use vm_memory::{Bytes, GuestAddress};

const CPUS: u32 = 4;

/// A guest that does something, tells what its kernel counted, and ends.
struct Guest {
    kernel: Kernel,
    config: VmConfig,
    _folder: tempfile::TempDir,
}

impl Guest {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let initramfs = folder.path().join("initramfs");
        Init::new()
            .show("/proc/schedstat")
            .show("/proc/stat")
            .say("that was all\n")
            .power_off()
            .write_initramfs(&initramfs);
        let spec = std::env::var("KTSTR_KERNEL").ok().filter(|spec| !spec.is_empty());
        let spec: Spec = spec.as_deref().unwrap_or("latest").parse().unwrap();
        let kernel = Kernels::new(Cache::open_default().unwrap()).resolve(&spec, &()).unwrap();
        let config = VmConfig {
            kernel: kernel.vmlinux(),
            initramfs,
            machine: Machine::new(Topology::new(1, CPUS, 1), 512 << 20),
            reserved_bytes: 16 << 20,
            timers: None,
            // All that the kernel says, with its times.
            kargs: ["ignore_loglevel", "schedstats=enable"].map(String::from).to_vec(),
            seed: 1,
            accel: Chosen::Tcg,
            placement: None,
            pace: Pace::default(),
        };
        Self { kernel, config, _folder: folder }
    }

    fn vm(&self) -> Vm {
        Vm::new(&self.config).unwrap()
    }

    fn address(&self, symbol: &str) -> u64 {
        self.kernel.symbols().unwrap().address(symbol).unwrap_or_else(|| panic!("the kernel has no {symbol}"))
    }
}

/// What a run was, as far as the guest can tell.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    exit: Exit,
    console: String,
}

fn run(vm: &mut Vm) -> Run {
    let begin = Instant::now();
    let mut console = Vec::new();
    vm.start().unwrap();
    loop {
        let exit = vm.exit();
        console.extend(vm.read_console().unwrap());
        if let Some(exit) = exit {
            return Run { exit, console: String::from_utf8_lossy(&console).into_owned() };
        }
        let console = String::from_utf8_lossy(&console);
        assert!(begin.elapsed() < Duration::from_secs(240), "the guest did not end; its console: {console}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The number behind a word at the beginning of a line.
fn number(console: &str, word: &str) -> u64 {
    let line =
        console.lines().find_map(|line| line.split(word).nth(1)).unwrap_or_else(|| panic!("no {word} in {console}"));
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Counts hits, and keeps what it was when another stop point was reached last.
#[derive(Clone, Default)]
struct Counter {
    now: Arc<AtomicU64>,
    at_look: Arc<AtomicU64>,
}

impl Counter {
    fn count(&self) {
        self.now.fetch_add(1, Ordering::SeqCst);
    }

    fn look(&self) {
        self.at_look.store(self.now.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

#[test]
fn hooks_count_what_the_kernel_counts_and_change_nothing() {
    let guest = Guest::new();
    let bare = run(&mut guest.vm());
    assert_eq!(bare.exit, Exit::PowerOff, "{}", bare.console);
    assert!(bare.console.contains("that was all"), "{}", bare.console);

    let mut vm = guest.vm();
    let (switches, forks, attempts, activations) =
        (Counter::default(), Counter::default(), Counter::default(), Counter::default());
    for (symbol, counter, stands) in [
        ("__switch_to", &switches, true),
        ("wake_up_new_task", &forks, false),
        ("try_to_wake_up", &attempts, true),
        ("ttwu_do_activate", &activations, false),
    ] {
        let counter = counter.clone();
        if stands {
            vm.stop_at(guest.address(symbol), move |_, _| counter.count()).unwrap();
        } else {
            vm.record_at(guest.address(symbol), &[], move |_| counter.count()).unwrap();
        }
    }
    let all = [switches.clone(), forks.clone(), attempts.clone(), activations.clone()];
    vm.record_at(guest.address("nr_context_switches"), &[], move |_| all.iter().for_each(Counter::look)).unwrap();
    let hooked = run(&mut vm);
    assert_eq!(hooked, bare, "the guest could tell that it had stop points");

    let at_look = |counter: &Counter| counter.at_look.load(Ordering::SeqCst);
    let near = |seen: u64, told: u64| assert!(seen.abs_diff(told) <= u64::from(CPUS), "seen {seen}, told {told}");
    near(at_look(&switches), number(&hooked.console, "ctxt "));
    // The kernel counts the idle tasks of the other CPUs too, which nobody wakes.
    near(at_look(&forks) + u64::from(CPUS) - 1, number(&hooked.console, "processes "));
    let woken: u64 = (0..CPUS).map(|cpu| woken(&hooked.console, cpu)).sum();
    // An attempt can come too late, and who is awake still needs no activation.
    let bounds = at_look(&activations)..=at_look(&attempts);
    assert!(bounds.contains(&woken) && woken > 100, "{woken} wakeups told, {bounds:?} seen");
}

/// Wakeups on a CPU (Documentation/scheduler/sched-stats.rst: the fifth number).
fn woken(console: &str, cpu: u32) -> u64 {
    let line = console.lines().find_map(|line| line.strip_prefix(&format!("cpu{cpu} "))).unwrap();
    line.split(' ').nth(4).unwrap().parse().unwrap()
}

#[test]
fn a_hit_tells_vcpu_time_registers_and_memory() {
    let guest = Guest::new();
    let mut vm = guest.vm();
    let per_cpu =
        |symbol| Read { base: Base::Register(Register::GsBase), offset: guest.address(symbol).cast_signed(), bytes: 8 };
    let behind_the_second = Read { base: Base::Value(1), offset: 0, bytes: 20 };
    let nowhere = Read { base: Base::None, offset: 0x10, bytes: 4 };
    let reads = [Read { bytes: 4, ..per_cpu("cpu_number") }, per_cpu("current_task"), behind_the_second, nowhere];
    let hits = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&hits);
    vm.record_at(guest.address("__switch_to"), &reads, move |hit| into.lock().unwrap().push(hit.clone())).unwrap();
    assert_eq!(run(&mut vm).exit, Exit::PowerOff);
    let hits = hits.lock().unwrap();
    assert!(hits.len() > 100, "{} hits", hits.len());
    assert!(hits.is_sorted_by_key(|hit| hit.time) && hits.iter().all(|hit| hit.time < Duration::from_secs(100)));
    for hit in hits.iter() {
        let [Some(cpu), Some(current), Some(task), None] = &hit.values[..] else { panic!("{hit:?}") };
        assert_eq!(cpu.number(), u64::from(hit.vcpu), "{hit:?}");
        // The task that the function switches from is still the one that runs.
        assert_eq!(hit.registers.unwrap().argument(0), Some(current.number()), "{hit:?}");
        assert_eq!(task.bytes().len(), 20);
    }
    for cpu in 0..CPUS {
        assert!(hits.iter().any(|hit| hit.vcpu == cpu), "vCPU {cpu} never switched");
    }
}

#[test]
fn memory_is_as_the_guest_has_it_while_it_stands_still() {
    let guest = Guest::new();
    let mut vm = guest.vm();
    let jiffies = guest.address("jiffies_64");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&seen);
    vm.stop_at(guest.address("sched_tick"), move |hit, ram| {
        // Where an ELF file's kernel is mapped that KASLR has not moved.
        let gpa = GuestAddress(jiffies - 0xffff_ffff_8000_0000);
        into.lock().unwrap().push((hit.time, ram.mapped().read_obj::<u64>(gpa).unwrap()));
    })
    .unwrap();
    assert_eq!(run(&mut vm).exit, Exit::PowerOff);
    let seen = seen.lock().unwrap();
    // Ticks of one clock: it stands where no time has passed, and goes with the guest's time.
    let (first, last) = (seen[0], seen[seen.len() - 1]);
    let ticks = Duration::from_millis(4) * u32::try_from(last.1 - first.1).unwrap();
    assert!(seen.len() > 20 && (last.0 - first.0).abs_diff(ticks) < Duration::from_millis(20), "{first:?} to {last:?}");
}

#[test]
fn a_callback_that_panics_ends_the_machine() {
    let guest = Guest::new();
    let mut vm = guest.vm();
    let address = guest.address("__switch_to");
    vm.stop_at(address, |_, _| panic!("this callback is wrong")).unwrap();
    let begin = Instant::now();
    let Run { exit, .. } = run(&mut vm);
    let why = format!("the callback of the stop point at {address:#x} panicked: this callback is wrong");
    assert_eq!(exit, Exit::Broken(why));
    vm.stop().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(60));
}

#[test]
fn what_cannot_be_stopped_at_is_refused() {
    let guest = Guest::new();
    let mut vm = guest.vm();
    let code = guest.address("__switch_to");
    let error = |result: Result<(), Error>| match result {
        Err(Error::Stop(error)) => error,
        other => panic!("{other:?}"),
    };
    for data in [guest.address("jiffies_64"), 0, 0x40_0000, u64::MAX] {
        let error = error(vm.stop_at(data, |_, _| {}));
        assert!(matches!(error, stops::Error::NoCode { address, .. } if address == data), "{error}");
    }
    let behind = Read { base: Base::Value(0), offset: 0, bytes: 8 };
    assert!(matches!(error(vm.record_at(code, &[behind], |_| {})), stops::Error::Behind { .. }));
    for _ in 0..64 {
        vm.stop_at(code, |_, _| {}).unwrap();
    }
    assert!(matches!(error(vm.stop_at(code, |_, _| {})), stops::Error::TooMany { limit: 64, .. }));
    vm.start().unwrap();
    assert!(matches!(error(vm.stop_at(code, |_, _| {})), stops::Error::Running { .. }));
}
