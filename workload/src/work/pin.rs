//! Work that changes its own affinity.

use super::system::done;
use crate::meter::Meter;
use std::io;

/// Bytes of a mask of as many CPUs as a kernel can have.
const MASK_BYTES: usize = 1024;
/// Units of work that are done on each CPU.
const UNITS: u64 = 16;

pub(super) type Mask = [u8; MASK_BYTES];

pub(super) fn churn(meter: &mut Meter<'_>) -> io::Result<()> {
    let all = allowed()?;
    let has = |cpu: &usize| all[cpu / 8] >> (cpu % 8) & 1 != 0;
    while meter.goes_on() {
        for cpu in (0..MASK_BYTES * 8).filter(has) {
            let mut one: Mask = [0; MASK_BYTES];
            one[cpu / 8] = 1 << (cpu % 8);
            // Not having it is no error: it may be offline by now, or not in the cpuset any more.
            let _ = set(&one);
            (0..UNITS).for_each(|_| meter.unit());
            meter.iteration();
            if !meter.goes_on() {
                break;
            }
        }
    }
    // What comes after it in a sequence has them all again.
    let _ = set(&all);
    Ok(())
}

/// The CPUs that this worker was given.
pub(super) fn allowed() -> io::Result<Mask> {
    let mut all: Mask = [0; MASK_BYTES];
    // SAFETY: room for a mask of this size.
    done(unsafe { libc::sched_getaffinity(0, MASK_BYTES, all.as_mut_ptr().cast()) }.into())?;
    Ok(all)
}

pub(super) fn set(mask: &Mask) -> io::Result<i64> {
    // SAFETY: a mask of this size; the kernel takes any alignment.
    done(unsafe { libc::sched_setaffinity(0, MASK_BYTES, mask.as_ptr().cast()) }.into())
}
