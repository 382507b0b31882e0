//! The threads that run the vCPUs: made early, let go at once, and always brought back.

use super::Error;
use super::devices::Ports;
use super::kick::Kick;
use super::vcpu;
use crate::machine::{Exit, VcpuClock};
use kvm_ioctls::VcpuFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// Enough for the run loop; a test process may have hundreds of these.
const STACK_BYTES: usize = 128 << 10;

/// Time between two tries to get threads out of their guests.
const RETRY: Duration = Duration::from_millis(1);

/// What the threads and their owner share.
struct Shared {
    vcpus: Vec<Slot>,
    /// Whether the vCPUs may run.
    started: Mutex<bool>,
    changed: Condvar,
    /// Set once, when all vCPUs must leave the guest.
    over: AtomicBool,
    exit: Mutex<Option<Exit>>,
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

    fn run(&self, number: usize, vcpu: &mut VcpuFd, ports: &Ports) {
        if self.wait_for_start()
            && let Some(exit) = vcpu::run(vcpu, ports, || self.over.load(Ordering::Relaxed))
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
    /// A thread for each vCPU, waiting to be let go.
    ///
    /// # Errors
    /// [`Error::Call`]; no thread is left then.
    pub(super) fn new(vcpus: Vec<VcpuFd>, ports: &Arc<Ports>) -> Result<Self, Error> {
        let slots = vcpus.iter().map(|vcpu| Ok(Slot { kick: Kick::new(vcpu)?, last_clock: Mutex::new(None) }));
        let shared = Shared {
            vcpus: slots.collect::<Result<_, Error>>()?,
            started: Mutex::new(false),
            changed: Condvar::new(),
            over: AtomicBool::new(false),
            exit: Mutex::new(None),
        };
        let count = vcpus.len();
        let mut this = Self { shared: Arc::new(shared), threads: Vec::with_capacity(count) };
        let (sender, ready) = mpsc::channel();
        for (number, mut vcpu) in vcpus.into_iter().enumerate() {
            let (shared, ports, ready) = (Arc::clone(&this.shared), Arc::clone(ports), sender.clone());
            let body = move || {
                let _attached = shared.vcpus[number].kick.attach();
                let _ = ready.send(());
                shared.run(number, &mut vcpu, &ports);
            };
            let thread = std::thread::Builder::new().name(format!("vcpu{number}")).stack_size(STACK_BYTES).spawn(body);
            this.threads.push(thread.map_err(Error::io("start a thread for a vCPU"))?);
        }
        // So that every clock can be read from now on.
        ready.iter().take(count).for_each(drop);
        Ok(this)
    }

    /// Lets the vCPUs run.
    pub(super) fn start(&self) {
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
    pub(super) fn stop(&mut self) {
        self.shared.end();
        while !self.threads.iter().all(JoinHandle::is_finished) {
            std::thread::sleep(RETRY);
            self.shared.end();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for VcpuThreads {
    fn drop(&mut self) {
        self.stop();
    }
}
