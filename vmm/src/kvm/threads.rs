//! The threads that run the vCPUs: made early, let go at once, and always brought back.

use super::breakpoints::Breakpoints;
use super::devices::Ports;
use super::early_clock::EarlyClock;
use super::join::{self, RETRY};
use super::kick::Kick;
use super::{Error, vcpu};
use crate::machine::{Exit, VcpuClock};
use crate::memory::GuestRam;
use crate::placement::{Place, Placed, run_here};
use crate::stops::Hook;
use kvm_ioctls::VcpuFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// Enough for the run loop; a test process may have hundreds of these.
const STACK_BYTES: usize = 128 << 10;

/// How long threads may take to leave their guests: far more than a host needs that works at all.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// What the threads and their owner share.
struct Shared {
    vcpus: Vec<Slot>,
    /// Whether the vCPUs may run.
    started: Mutex<bool>,
    changed: Condvar,
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

struct Slot {
    kick: Kick,
    /// The clock's last reading, once the thread is through.
    last_clock: Mutex<Option<VcpuClock>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every value behind these locks is replaced in one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// All vCPUs leave the guest and their threads end.
    fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.changed.notify_all();
        self.vcpus.iter().for_each(|slot| slot.kick.kick());
    }

    /// Waits for the start; false when there will be none.
    fn wait_for_start(&self) -> bool {
        let mut started = lock(&self.started);
        while !*started && !self.over.load(Ordering::SeqCst) {
            // The end may come between the look at `over` and the wait, for it does not take the lock: so look again.
            started = self.changed.wait_timeout(started, RETRY * 50).unwrap_or_else(PoisonError::into_inner).0;
        }
        !self.over.load(Ordering::SeqCst)
    }

    /// What the threads do that are not through.
    fn states(&self) -> String {
        let tids = self.vcpus.iter().enumerate().filter_map(|(number, slot)| Some((number, slot.kick.tid()?)));
        let states = tids.map(|(number, tid)| format!("vcpu{number}: {}", join::state_of(tid)));
        states.collect::<Vec<_>>().join(", ")
    }

    fn run(&self, number: usize, vcpu: &mut VcpuFd, ports: &Ports) {
        if self.wait_for_start()
            && let Some(exit) = vcpu::run((number, vcpu), ports, self.clock.as_ref(), self.breakpoints.get(), || {
                self.over.load(Ordering::Relaxed)
            })
        {
            lock(&self.exit).get_or_insert(exit);
            self.end();
        }
        let slot = &self.vcpus[number];
        *lock(&slot.last_clock) = slot.clock();
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
        let slots = vcpus.iter().map(|vcpu| Ok(Slot { kick: Kick::new(vcpu)?, last_clock: Mutex::new(None) }));
        let shared = Shared {
            vcpus: slots.collect::<Result<_, Error>>()?,
            started: Mutex::new(false),
            changed: Condvar::new(),
            over: AtomicBool::new(false),
            exit: Mutex::new(None),
            clock,
            breakpoints: OnceLock::new(),
            ram: ram.clone(),
        };
        let count = vcpus.len();
        let mut this = Self { shared: Arc::new(shared), threads: Vec::with_capacity(count) };
        let (sender, ready) = mpsc::channel();
        for (number, mut vcpu) in vcpus.into_iter().enumerate() {
            let (shared, ports, ready) = (Arc::clone(&this.shared), Arc::clone(ports), sender.clone());
            let place = places.get(number).copied();
            let body = move || {
                let _attached = shared.vcpus[number].kick.attach();
                let _ = ready.send(place.map(run_here));
                shared.run(number, &mut vcpu, &ports);
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
        *lock(&self.shared.started) = true;
        self.shared.changed.notify_all();
    }

    /// Why the machine is over, once it is.
    pub(super) fn exit(&self) -> Option<Exit> {
        lock(&self.shared.exit).clone()
    }

    /// The clocks of the vCPUs' threads; a thread that has ended keeps its last reading.
    pub(super) fn clocks(&self) -> Vec<VcpuClock> {
        self.shared.vcpus.iter().filter_map(|slot| slot.clock().or(*lock(&slot.last_clock))).collect()
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
