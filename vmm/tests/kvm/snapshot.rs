//! Machines that go on from a snapshot, on a real KVM.

use crate::typing::wait_for;
use crate::{Files, Init, PATIENCE, assert_no_vcpu_threads, bare, one_at_a_time};
use ktstr_vmm::{Exit, Snapshot, Vm, VmConfig};
use ktstr_wire::Topology;
use std::path::Path;
use std::time::{Duration, Instant};

const IDENTITY: &str = "a machine of this test";

/// How long a machine stands still: far longer than any step of a guest takes.
const STILL: Duration = Duration::from_secs(8);
/// Longer than any step of a guest takes, whose memory comes page by page when it goes on, on a slow host.
const STEP_S: f64 = 6.0;

pub(crate) fn save(vm: &mut Vm, dir: &Path) -> Snapshot {
    std::fs::create_dir(dir).unwrap();
    assert!(vm.freeze().unwrap());
    vm.save(dir, IDENTITY).unwrap();
    Snapshot::open(dir, IDENTITY).unwrap()
}

fn fork(config: &VmConfig, snapshot: &Snapshot) -> Vm {
    let mut vm = Vm::fork(config, snapshot).unwrap();
    vm.start().unwrap();
    vm
}

pub(crate) fn wait_for_exit(vm: &mut Vm, console: &mut String) -> Exit {
    let begin = Instant::now();
    loop {
        let exit = vm.exit();
        console.push_str(&String::from_utf8_lossy(&vm.read_console().unwrap()));
        if let Some(exit) = exit {
            return exit;
        }
        assert!(begin.elapsed() < PATIENCE, "the guest did not end; its console: {console}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Each gets another line, of which the first half is typed before the snapshot is taken.
#[test]
#[ignore = "needs a genuine /dev/kvm and KTSTR_TEST_KERNEL"]
fn forks_share_nothing() {
    let _one = one_at_a_time();
    for cpus in [1, 4] {
        let files = Files::new();
        let init = Init::new()
            .no_echo()
            .say("READY\n")
            .repeat_line("first half, second of 0\n".len())
            .say("END\n")
            .power_off();
        let mut config = files.linux_config(init, Topology::new(1, cpus, 1));
        config.kargs = vec!["loglevel=1".to_owned()];
        let begin = Instant::now();
        let mut vm = Vm::new(&config).unwrap();
        vm.start().unwrap();
        let mut before = String::new();
        wait_for(&mut vm, &mut before, "READY\r\n");
        let booted = begin.elapsed();
        vm.type_into_console(b"first half, ").unwrap();
        let begin = Instant::now();
        let snapshot = save(&mut vm, &files.path("snapshot"));
        let saved = begin.elapsed();
        drop(vm);
        let mut forks: Vec<(Vm, Instant)> =
            (0..2).map(|_| (Instant::now(), fork(&config, &snapshot))).map(|(begin, vm)| (vm, begin)).collect();
        for (number, (vm, begin)) in forks.iter_mut().enumerate() {
            vm.type_into_console(format!("second of {number}\n").as_bytes()).unwrap();
            let mut console = String::new();
            wait_for(vm, &mut console, "second");
            let forked = begin.elapsed();
            println!(
                "{cpus} vCPUs: booted in {booted:?}, saved and opened in {saved:?}, forked, and the guest has answered, in {forked:?}"
            );
            assert_eq!(wait_for_exit(vm, &mut console), Exit::PowerOff, "{console}");
            let expected = format!("{before}first half, second of {number}\r\nEND\r\n");
            assert!(console.starts_with(&expected), "not {expected} but {console}");
        }
        drop(forks);
        // All of it is compared with what was saved.
        Snapshot::open(&files.path("snapshot"), IDENTITY).unwrap();
    }
    assert_no_vcpu_threads();
}

/// The seconds in what the kernel prints: `[    1.234567] tick`.
fn ticks(console: &str) -> Vec<f64> {
    let lines = console.lines().filter(|line| line.ends_with("tick"));
    lines.map(|line| line.split(['[', ']']).nth(1).unwrap().trim().parse().unwrap()).collect()
}

/// The seconds since the boot, as the kernel's clock for programs has them: `1.23 4.56`. The guest was stopped wherever it
/// was, so the last line may be cut.
fn uptimes(control: &str) -> Vec<f64> {
    let lines = control.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
}

fn assert_steady(times: &[f64], what: &str) {
    assert!(times.len() >= 50, "{what}: {times:?}");
    println!("{what}: the longest step is {} s", times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max));
    for pair in times.windows(2) {
        assert!((0.0..STEP_S).contains(&(pair[1] - pair[0])), "{what}: {pair:?} of {times:?}");
    }
}

fn run_to_ticks(vm: &mut Vm, console: &mut String, count: usize) {
    let begin = Instant::now();
    while console.matches("tick\r\n").count() < count {
        assert!(begin.elapsed() < PATIENCE, "the guest does not go on; its console: {console}");
        assert_eq!(vm.exit(), None, "{console}");
        console.push_str(&String::from_utf8_lossy(&vm.read_console().unwrap()));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Of a machine that has just gone on.
fn check_time(mut vm: Vm, mut console: String) {
    run_to_ticks(&mut vm, &mut console, 60);
    assert_steady(&ticks(&console), "the kernel's log");
    vm.stop().unwrap();
    assert_steady(&uptimes(&String::from_utf8_lossy(&vm.read_control().unwrap())), "/proc/uptime");
    for word in ["BUG", "WARNING", "stall", "lockup", "lagging", "unstable"] {
        assert!(!console.contains(word), "{word}: {console}");
    }
}

/// On every CPU of one that has several: the guest goes from one to the next. The machine itself goes on, too.
#[test]
#[ignore = "needs a genuine /dev/kvm and KTSTR_TEST_KERNEL"]
fn time_stands_still_with_the_machine() {
    let _one = one_at_a_time();
    for cpus in [1, 4] {
        let files = Files::new();
        let init = (0..500).fold(Init::new(), |init, number| {
            init.go_to(number % cpus)
                .send("/dev/kmsg", "<0>tick\n")
                .copy("/proc/uptime", "/dev/ttyS1")
                .sleep_ms(u64::from(number % 4) * 10)
        });
        let mut config = files.linux_config(init.pause(), Topology::new(1, cpus, 1));
        config.kargs = vec!["printk.devkmsg=on".to_owned(), "printk.time=1".to_owned()];
        let mut vm = Vm::new(&config).unwrap();
        vm.start().unwrap();
        let mut before = String::new();
        run_to_ticks(&mut vm, &mut before, 20);
        let snapshot = save(&mut vm, &files.path("snapshot"));
        std::thread::sleep(STILL);
        assert_eq!(vm.exit(), None);
        vm.resume().unwrap();
        check_time(vm, before);
        // One after the other, so that none waits for another's turn on the host.
        (0..2).for_each(|_| check_time(fork(&config, &snapshot), String::new()));
    }
    assert_no_vcpu_threads();
}

/// Of a counter: several seconds, and less than [`STILL`] if it counts faster than 625 MHz.
const MAX_STEP: u64 = 5_000_000_000;

/// A machine that runs [`bare::COUNT`], and what it has written.
struct Counting {
    vm: Vm,
    bytes: Vec<u8>,
}

impl Counting {
    fn started(mut vm: Vm) -> Self {
        vm.start().unwrap();
        Self { vm, bytes: Vec::new() }
    }

    /// Lets it write a few hundred counters more.
    fn run(&mut self) {
        let (begin, enough) = (Instant::now(), self.bytes.len() + 3000);
        while self.bytes.len() < enough {
            assert!(begin.elapsed() < PATIENCE, "{} bytes have come of {enough}", self.bytes.len());
            self.bytes.extend(self.vm.read_console().unwrap());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// No counter is torn or twice, wherever it was interrupted, and none is further behind the one before it than a
    /// counter comes in the time that the machine stood still.
    fn check(mut self, what: &str) {
        self.run();
        self.vm.stop().unwrap();
        let counters = self.bytes.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        let counters: Vec<u64> = counters.collect();
        let steps: Vec<u64> = counters.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        assert!(steps.iter().all(|step| (1..MAX_STEP).contains(step)), "{what}: {:?}", steps.iter().max());
    }
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn a_guest_is_interrupted_anywhere() {
    let _one = one_at_a_time();
    let files = Files::new();
    let kernel = files.path("kernel");
    bare::write_kernel(&kernel, bare::COUNT);
    let config = files.config(&kernel, Topology::new(1, 2, 1));
    let mut first = Counting::started(Vm::new(&config).unwrap());
    for number in 0..3 {
        first.run();
        let snapshot = save(&mut first.vm, &files.path(&format!("snapshot {number}")));
        if number == 0 {
            std::thread::sleep(STILL);
        }
        let mut fork = Counting::started(Vm::fork(&config, &snapshot).unwrap());
        fork.run();
        // That of a fork is as good as any.
        let again = save(&mut fork.vm, &files.path(&format!("snapshot of a fork {number}")));
        fork.vm.resume().unwrap();
        fork.check("a fork");
        Counting::started(Vm::fork(&config, &again).unwrap()).check("a fork of a fork");
        first.vm.resume().unwrap();
    }
    first.check("the first");
    assert_no_vcpu_threads();
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn what_cannot_be_done_is_said() {
    let _one = one_at_a_time();
    let files = Files::new();
    let mut vm = files.bare(bare::SPIN, 2);
    let told = |result: Result<String, ktstr_vmm::Error>, expected: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    told(vm.freeze().map(|_| String::new()), "cannot freeze a machine: the machine has not been started");
    vm.start().unwrap();
    told(vm.save(&files.path("snapshot"), IDENTITY).map(|()| String::new()), "the machine is not frozen");
    told(vm.resume().map(|()| String::new()), "the machine is not frozen");
    let snapshot = save(&mut vm, &files.path("snapshot"));
    assert!(vm.freeze().unwrap(), "it is so already");
    let mut config = files.config(&files.path("kernel"), Topology::new(1, 4, 1));
    told(Vm::fork(&config, &snapshot).map(|_| String::new()), "it is of 2 vCPUs, and the machine has 4");
    config.machine = ktstr_wire::Machine::new(Topology::new(1, 1, 2), 512 << 20);
    told(Vm::fork(&config, &snapshot).map(|_| String::new()), "another processor than here, by CPUID leaf");
    config.machine = ktstr_wire::Machine::new(Topology::new(1, 2, 1), 600 << 20);
    told(Vm::fork(&config, &snapshot).map(|_| String::new()), "536870912 bytes of RAM");
    vm.stop().unwrap();
    let mut vm = files.bare(bare::DIE, 1);
    vm.start().unwrap();
    let mut console = String::new();
    assert_eq!(wait_for_exit(&mut vm, &mut console), Exit::TripleFault);
    assert!(!vm.freeze().unwrap(), "there is nothing left to stand still");
    assert_no_vcpu_threads();
}

/// Whatever KVM makes of a state, this process and the host live on; the manifest is made to agree with it.
#[test]
#[ignore = "needs a /dev/kvm"]
fn a_wrong_state_is_refused_or_runs_into_a_wall() {
    let _one = one_at_a_time();
    let files = Files::new();
    let mut vm = files.bare(bare::SPIN, 2);
    vm.start().unwrap();
    let dir = files.path("snapshot");
    drop(save(&mut vm, &dir));
    drop(vm);
    let (state, manifest) = (dir.join("state"), dir.join("snapshot.json"));
    let (good, text) = (std::fs::read(&state).unwrap(), std::fs::read_to_string(&manifest).unwrap());
    let hash = |bytes: &[u8]| blake3::hash(bytes).to_string();
    let config = files.config(&files.path("kernel"), Topology::new(1, 2, 1));
    let mut refused = 0;
    for round in 0..60_u64 {
        let mut bad = good.clone();
        for change in 0..1 + round % 8 {
            let noise = (round * 8 + change + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            bad[(noise >> 16) as usize % good.len()] ^= 1 << (noise >> 8 & 7);
        }
        std::fs::write(&state, &bad).unwrap();
        std::fs::write(&manifest, text.replace(&hash(&good), &hash(&bad))).unwrap();
        let snapshot = Snapshot::open(&dir, IDENTITY).unwrap();
        match Vm::fork(&config, &snapshot).and_then(|mut vm| vm.start().map(|()| vm)) {
            Err(_) => refused += 1,
            Ok(mut vm) => {
                std::thread::sleep(Duration::from_millis(10));
                vm.stop().unwrap();
            }
        }
    }
    println!("{refused} of 60 are refused");
    assert_no_vcpu_threads();
}
