//! The threads that run the vCPUs: made early, let go at once, halted and let go again, and always brought back.

use super::breakpoints::Breakpoints;
use super::devices::Ports;
use super::early_clock::{EarlyClock, Trap};
use super::join::{self, RETRY};
use super::kick::Kick;
use super::vcpu::Wanted;
use super::{Error, vcpu};
use crate::machine::{Exit, VcpuClock};
use crate::memory::GuestRam;
use crate::placement::{Place, Placed, run_here};
use crate::stops::Hook;
use kvm_ioctls::VcpuFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Enough for the run loop; a test process may have hundreds of these.
const STACK_BYTES: usize = 128 << 10;

/// How long threads may take to leave their guests: far more than a host needs that works at all.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// What the threads and their owner share.
struct Shared {
    vcpus: Vec<Slot>,
    gate: Mutex<Gate>,
    changed: Condvar,
    /// What [`Gate::open`] says the contrary of, for those who run.
    halt: AtomicBool,
    /// Set once, when all vCPUs must leave the guest.
    over: AtomicBool,
    exit: Mutex<Option<Exit>>,
    /// The trap in the kernel, if it has one.
    clock: Option<EarlyClock>,
    /// Stop points, since the start.
    breakpoints: OnceLock<Breakpoints>,
    /// What the guest runs on stays mapped as long as any thread may run it.
    ram: GuestRam,
}

/// Before which the threads wait.
struct Gate {
    /// Whether the vCPUs may run.
    open: bool,
    /// How many are behind it.
    running: usize,
}

struct Slot {
    /// Its thread has it while it runs.
    vcpu: Mutex<VcpuFd>,
    kick: Kick,
    /// The clock's last reading, once the thread is through.
    last_clock: Mutex<Option<VcpuClock>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every value behind these locks is replaced in one step, or KVM's own.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// All vCPUs leave the guest and their threads end.
    fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.changed.notify_all();
        self.vcpus.iter().for_each(|slot| slot.kick.kick());
    }

    /// Waits until the vCPUs may run; false when they never will.
    fn pass(&self) -> bool {
        let mut gate = lock(&self.gate);
        while !gate.open && !self.over.load(Ordering::SeqCst) {
            // The end may come between the look at `over` and the wait, for it does not take the lock: so look again.
            gate = self.changed.wait_timeout(gate, RETRY * 50).unwrap_or_else(PoisonError::into_inner).0;
        }
        let may_run = !self.over.load(Ordering::SeqCst);
        gate.running += usize::from(may_run);
        may_run
    }

    /// Says that a vCPU that might run stands still.
    fn stand(&self) {
        lock(&self.gate).running -= 1;
        self.changed.notify_all();
    }

    fn wanted(&self) -> Wanted {
        if self.over.load(Ordering::Relaxed) {
            Wanted::End
        } else if self.halt.load(Ordering::Relaxed) {
            Wanted::Stand
        } else {
            Wanted::Run
        }
    }

    /// What the threads do that are not through.
    fn states(&self) -> String {
        let tids = self.vcpus.iter().enumerate().filter_map(|(number, slot)| Some((number, slot.kick.tid()?)));
        let states = tids.map(|(number, tid)| format!("vcpu{number}: {}", join::state_of(tid)));
        states.collect::<Vec<_>>().join(", ")
    }

    fn run(&self, number: usize, ports: &Ports) {
        let slot = &self.vcpus[number];
        while self.pass() {
            let exit = self.run_until_halt(number, &mut lock(&slot.vcpu), ports);
            if let Some(exit) = exit {
                lock(&self.exit).get_or_insert(exit);
                self.end();
            }
            self.stand();
        }
        *lock(&slot.last_clock) = slot.clock();
    }

    fn run_until_halt(&self, number: usize, vcpu: &mut VcpuFd, ports: &Ports) -> Option<Exit> {
        // Whoever wants it to leave again says so again, until it has left.
        vcpu.set_kvm_immediate_exit(0);
        vcpu::run((number, vcpu), ports, self.clock.as_ref(), self.breakpoints.get(), || self.wanted())
    }
}

impl Slot {
    fn clock(&self) -> Option<VcpuClock> {
        VcpuClock::of_thread(std::process::id(), self.kick.tid()?)
    }
}

/// The threads of a machine.
pub(super) struct VcpuThreads {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl VcpuThreads {
    /// A thread for each vCPU, in its place if it has one, waiting to be let go; and what came of the places.
    ///
    /// # Errors
    /// [`Error::Call`]; no thread is left then.
    pub(super) fn new(
        vcpus: Vec<VcpuFd>,
        ports: &Arc<Ports>,
        ram: &GuestRam,
        places: &[Place],
        clock: Option<EarlyClock>,
    ) -> Result<(Self, Vec<Placed>), Error> {
        let count = vcpus.len();
        let slots = vcpus
            .into_iter()
            .map(|vcpu| Ok(Slot { kick: Kick::new(&vcpu)?, vcpu: Mutex::new(vcpu), last_clock: Mutex::new(None) }));
        let shared = Shared {
            vcpus: slots.collect::<Result<_, Error>>()?,
            gate: Mutex::new(Gate { open: false, running: 0 }),
            changed: Condvar::new(),
            halt: AtomicBool::new(false),
            over: AtomicBool::new(false),
            exit: Mutex::new(None),
            clock,
            breakpoints: OnceLock::new(),
            ram: ram.clone(),
        };
        let mut this = Self { shared: Arc::new(shared), threads: Vec::with_capacity(count) };
        let (sender, ready) = mpsc::channel();
        for number in 0..count {
            let (shared, ports, ready) = (Arc::clone(&this.shared), Arc::clone(ports), sender.clone());
            let place = places.get(number).copied();
            let body = move || {
                let _attached = shared.vcpus[number].kick.attach();
                let _ = ready.send(place.map(run_here));
                shared.run(number, &ports);
            };
            let thread = std::thread::Builder::new().name(format!("vcpu{number}")).stack_size(STACK_BYTES).spawn(body);
            this.threads.push(thread.map_err(Error::io("start a thread for a vCPU"))?);
        }
        // So that every clock can be read from now on.
        let placed = ready.iter().take(count).flatten().collect();
        Ok((this, placed))
    }

    /// Lets the vCPUs run, with these stop points.
    pub(super) fn start(&self, hooks: Vec<Hook>) {
        if !hooks.is_empty() {
            self.shared.breakpoints.get_or_init(|| Breakpoints::new(hooks, self.shared.ram.clone()));
        }
        self.open();
    }

    fn open(&self) {
        lock(&self.shared.gate).open = true;
        self.shared.changed.notify_all();
    }

    /// Makes all vCPUs stand still, and returns when they do; false when the guest has ended.
    ///
    /// # Errors
    /// [`Error::Stuck`] when the host's kernel keeps some of them.
    pub(super) fn halt(&self) -> Result<bool, Error> {
        let (shared, began) = (&*self.shared, Instant::now());
        lock(&shared.gate).open = false;
        shared.halt.store(true, Ordering::SeqCst);
        loop {
            shared.vcpus.iter().for_each(|slot| slot.kick.kick());
            let some_run = |gate: &mut Gate| gate.running > 0 && !shared.over.load(Ordering::SeqCst);
            let gate = shared.changed.wait_timeout_while(lock(&shared.gate), RETRY, some_run);
            let running = gate.unwrap_or_else(PoisonError::into_inner).0.running;
            if shared.over.load(Ordering::SeqCst) {
                return Ok(false);
            }
            if running == 0 {
                return Ok(true);
            }
            if began.elapsed() > STOP_LIMIT {
                return Err(Error::Stuck { threads: running, limit: STOP_LIMIT, states: shared.states() });
            }
        }
    }

    /// Lets vCPUs go on that stand still.
    pub(super) fn go_on(&self) {
        self.shared.halt.store(false, Ordering::SeqCst);
        self.open();
    }

    /// Gives vCPUs that do not run, in their order.
    pub(super) fn with_vcpus<T>(&self, look: impl FnOnce(&[&VcpuFd]) -> T) -> T {
        let held: Vec<_> = self.shared.vcpus.iter().map(|slot| lock(&slot.vcpu)).collect();
        look(&held.iter().map(|vcpu| &**vcpu).collect::<Vec<_>>())
    }

    /// The trap in the kernel, if it has not come there.
    pub(super) fn trap(&self) -> Option<Trap> {
        self.shared.clock.as_ref().and_then(EarlyClock::trap)
    }

    /// Why the machine is over, once it is.
    pub(super) fn exit(&self) -> Option<Exit> {
        lock(&self.shared.exit).clone()
    }

    /// The clocks of the vCPUs' threads, which begin at 0; a thread that has ended keeps its last reading.
    pub(super) fn clocks(&self) -> Vec<VcpuClock> {
        self.shared.vcpus.iter().map(|slot| slot.clock().or(*lock(&slot.last_clock)).unwrap_or_default()).collect()
    }

    /// Brings all threads back, whatever the guest does.
    ///
    /// # Errors
    /// [`Error::Stuck`] when the host's kernel keeps some of them; they are left alone, with all that they use.
    pub(super) fn stop(&mut self) -> Result<(), Error> {
        let shared = &self.shared;
        join::join_all(&mut self.threads, STOP_LIMIT, || shared.end()).map_err(|left| Error::Stuck {
            threads: left.len(),
            limit: STOP_LIMIT,
            states: shared.states(),
        })
    }
}

impl Drop for VcpuThreads {
    fn drop(&mut self) {
        // Whoever wants to know of threads that are left calls `stop`.
        let _ = self.stop();
    }
}
