//! The thread that calls back, and how it waits for hits.

use super::layout::{self, Counts};
use super::looks::Looks;
use super::{Mapping, State, wake};
use crate::memory::GuestRam;
use crate::stops::{Callback, Hit, Hook, Registers, Value, panicked};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How long hits that the machine does not wait for may be left alone.
const PERIOD: Duration = Duration::from_millis(20);

/// How long the next hit is looked for where the machine waits for callbacks. Hits that come less often may cost what it
/// takes to wake a thread.
const LOOK_NS: u64 = 1_000_000;

/// What the thread has.
pub(super) struct Caller {
    pub(super) shared: Arc<Mapping>,
    pub(super) state: Arc<State>,
    pub(super) hooks: Vec<Hook>,
    pub(super) ram: GuestRam,
}

impl Caller {
    /// Calls back until the machine is gone.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let counts = shared.counts();
        let looks = Looks::new();
        let mut handled = counts.handled.load(Ordering::SeqCst);
        let mut stood_still = false;
        loop {
            let was_over = self.state.over.load(Ordering::SeqCst);
            if counts.written.load(Ordering::SeqCst) == handled {
                if was_over {
                    return;
                }
                if !(stood_still && look_for_more(&looks, counts, handled)) {
                    sleep_until_more(counts, handled);
                }
                continue;
            }
            match self.call(handled) {
                Ok(machine_waits) => stood_still = machine_waits,
                Err(failure) => {
                    *self.state.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                    return;
                }
            }
            handled = handled.wrapping_add(1);
            counts.handled.store(handled, Ordering::SeqCst);
            if counts.machine_sleeps.load(Ordering::SeqCst) != 0 {
                wake(&counts.handled);
            }
        }
    }

    /// Makes the callback of one hit, and says whether the machine waits for it.
    fn call(&mut self, number: u32) -> Result<bool, String> {
        let raw = self.shared.hit(number);
        let Some(hook) = self.hooks.get_mut(raw.hook as usize) else {
            return Err(format!("the emulator told of stop point {}, and there is none", raw.hook));
        };
        let hit = decode(&raw, hook);
        let (address, ram) = (hook.address, &self.ram);
        let called = catch_unwind(AssertUnwindSafe(|| hook.call(&hit, ram)));
        called.map_err(|payload| panicked(address, payload.as_ref()))?;
        Ok(matches!(hook.callback, Callback::Standing(_)))
    }
}

fn decode(raw: &layout::Hit, hook: &Hook) -> Hit {
    let mut word = 0;
    let values = (0..).zip(&hook.reads).map(|(number, read)| {
        let from = word;
        word += read.bytes.div_ceil(8);
        let bytes = raw.value.iter().skip(from).flat_map(|word| word.to_le_bytes());
        (raw.read & 1 << number != 0).then(|| Value(bytes.take(read.bytes).collect()))
    });
    Hit {
        values: values.collect(),
        vcpu: raw.vcpu,
        time: Duration::from_nanos(raw.time_ns),
        registers: (raw.has_registers != 0).then_some(Registers(raw.register)),
    }
}

/// Looks for the next hit while the machine runs; true when there is one.
fn look_for_more(looks: &Looks, counts: &Counts, handled: u32) -> bool {
    // SAFETY: it only returns a number.
    let cpu = unsafe { libc::sched_getcpu() };
    if counts.machine_cpu.load(Ordering::Relaxed) == cpu.cast_unsigned() {
        // The machine cannot run on this CPU while somebody looks there.
        looks.was_in_vain();
        return false;
    }
    let begin = Instant::now();
    looks.look(LOOK_NS, || begin.elapsed().as_nanos() as u64, || counts.written.load(Ordering::SeqCst) != handled)
}

fn sleep_until_more(counts: &Counts, handled: u32) {
    counts.harness_sleeps.store(1, Ordering::SeqCst);
    // What is written after the look is either seen by the system call, or its writer sees that somebody sleeps.
    sleep(&counts.written, handled, PERIOD);
    counts.harness_sleeps.store(0, Ordering::SeqCst);
}

/// Sleeps while the word has this value, at most so long.
fn sleep(word: &AtomicU32, value: u32, at_most: Duration) {
    let limit = libc::timespec { tv_sec: 0, tv_nsec: i64::from(at_most.subsec_nanos()) };
    // SAFETY: a system call on a word that stays mapped, and a limit that lives as long as the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, &raw const limit) };
}
