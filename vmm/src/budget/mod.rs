//! The host's CPUs as a budget that all machines share, whoever runs them: a lock file for each host CPU.
//!
//! A machine holds as many of them as it can keep busy, so machines that run side by side do not take the host's time
//! from each other. The locks are the kernel's (flock(2)): they end with the process that holds them, however it ends.
//! Who waits stands in a queue, and only its first collects. So two that each have a part never wait for each other, and
//! a stream of small machines does not keep a large one waiting.

mod folder;
mod holders;
mod queue;

use folder::{Folder, SlotLock};
use holders::Holders;
use queue::Ticket;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Names the directory of the lock files; `none`: no budget.
const FOLDER_VARIABLE: &str = "KTSTR_BUDGET_DIR";

/// Time between two tries.
const RETRY: Duration = Duration::from_millis(10);

/// A wait is said after this long, and from then on each time that it has doubled.
const SAY_AFTER: Duration = Duration::from_secs(3);

/// Why there is no budget here. A machine can go on without, but may disturb others and be disturbed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user wants none.
    #[error("{FOLDER_VARIABLE} is `none`")]
    Off,
    /// No directory for the lock files.
    #[error(
        "{} cannot hold the lock files of the vCPU budget: {source} (remove it, or name another directory in {FOLDER_VARIABLE})",
        path.display()
    )]
    Folder {
        /// The directory.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// A lock file that is of no use.
    #[error(
        "{} is of no use to the vCPU budget: {source} (remove it, or name another directory in {FOLDER_VARIABLE})",
        path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
}

thread_local! {
    /// How many leases this thread has.
    static OWN_LEASES: Cell<u32> = const { Cell::new(0) };
}

/// The CPUs that this process may use, and where they are booked.
#[derive(Debug)]
pub struct Budget {
    folder: Folder,
    cpus: Vec<usize>,
}

impl Budget {
    /// The budget of this host, in `/run/lock` where everyone may write there and else in `/tmp`; or in the directory
    /// that the variable `KTSTR_BUDGET_DIR` names. It has a CPU for each that this process may keep busy, by its
    /// affinity and its cgroup's quota.
    ///
    /// # Errors
    /// Why there is none.
    pub fn of_host() -> Result<Self, Error> {
        match std::env::var_os(FOLDER_VARIABLE).filter(|value| !value.is_empty()) {
            Some(value) if value == "none" => Err(Error::Off),
            Some(path) => Self::new(Path::new(&path), crate::host_cpus::usable()),
            None => Self::new(&folder::of_host(), crate::host_cpus::usable()),
        }
    }

    /// A budget of these CPUs, in this directory, which is made if need be.
    ///
    /// # Errors
    /// [`Error::Folder`].
    pub fn new(path: &Path, cpus: Vec<usize>) -> Result<Self, Error> {
        Ok(Self { folder: Folder::open(path)?, cpus })
    }

    /// The CPUs, by the host's numbers, in ascending order.
    pub fn cpus(&self) -> &[usize] {
        &self.cpus
    }

    /// Takes a CPU for each vCPU, or all that there are.
    ///
    /// # Errors
    /// As [`Budget::take`].
    pub fn take_any(&self, vcpus: usize, say: impl FnMut(&str)) -> Result<Lease, Error> {
        let count = vcpus.clamp(1, self.cpus.len().max(1));
        self.take(|free| free.get(..count.min(self.cpus.len())).map(<[_]>::to_vec), say)
    }

    /// Waits until `choose` finds what it wants among the free CPUs, which it is told in ascending order, and takes that.
    /// It must find something when all are free. `say` is told what a long wait is for.
    ///
    /// A thread that has a lease, and a process below one that has, takes nothing: what is above it would wait for it
    /// for ever. It shares.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn take(
        &self,
        mut choose: impl FnMut(&[usize]) -> Option<Vec<usize>>,
        mut say: impl FnMut(&str),
    ) -> Result<Lease, Error> {
        let mut wait = Wait::begin(self);
        if OWN_LEASES.get() > 0 || Holders::find(&self.folder, &self.cpus).has_ancestor() {
            return Ok(Lease::new(Vec::new(), wait.began.elapsed()));
        }
        let mut ticket = Ticket::draw(&self.folder)?;
        while !ticket.is_first()? {
            wait.rest(&mut say);
        }
        let mut held = BTreeMap::new();
        loop {
            self.collect(&mut held)?;
            let free: Vec<usize> = held.keys().copied().collect();
            if let Some(chosen) = choose(&free) {
                held.retain(|cpu, _| chosen.contains(cpu));
                break;
            }
            wait.rest(&mut say);
        }
        Ok(Lease::new(held.into_iter().collect(), wait.began.elapsed()))
    }

    /// Locks every CPU that nobody has.
    fn collect(&self, held: &mut BTreeMap<usize, SlotLock>) -> Result<(), Error> {
        for cpu in &self.cpus {
            if !held.contains_key(cpu)
                && let Some(lock) = self.folder.try_lock(*cpu)?
            {
                held.insert(*cpu, lock);
            }
        }
        Ok(())
    }
}

/// A wait, and when to say that it goes on.
struct Wait<'a> {
    budget: &'a Budget,
    began: Instant,
    next: Duration,
}

impl<'a> Wait<'a> {
    fn begin(budget: &'a Budget) -> Self {
        Self { budget, began: Instant::now(), next: SAY_AFTER }
    }

    fn rest(&mut self, say: &mut impl FnMut(&str)) {
        std::thread::sleep(RETRY);
        let waited = self.began.elapsed();
        if waited >= self.next {
            self.next *= 2;
            let holders = Holders::find(&self.budget.folder, &self.budget.cpus);
            say(&format!("waiting for host CPUs for {} s so far; {holders}", waited.as_secs()));
        }
    }
}

/// CPUs of the host that are one machine's, until it is dropped.
#[derive(Debug)]
pub struct Lease {
    locks: Vec<(usize, SlotLock)>,
    waited: Duration,
    /// It counts for the thread that took it.
    _of_this_thread: PhantomData<*const ()>,
}

impl Lease {
    fn new(locks: Vec<(usize, SlotLock)>, waited: Duration) -> Self {
        OWN_LEASES.set(OWN_LEASES.get() + 1);
        Self { locks, waited, _of_this_thread: PhantomData }
    }

    /// The CPUs, by the host's numbers, in ascending order; none when it shares those of a machine around it.
    pub fn cpus(&self) -> Vec<usize> {
        self.locks.iter().map(|(cpu, _)| *cpu).collect()
    }

    /// How long it took to get them.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        OWN_LEASES.set(OWN_LEASES.get() - 1);
    }
}

#[cfg(test)]
mod tests;
