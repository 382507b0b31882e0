//! Work that touches memory.

use super::system::{Memory, yield_cpu};
use crate::meter::Meter;
use std::hint::black_box;
use std::io;

/// Words in a cache line of 64 bytes.
const LINE_WORDS: usize = 8;
/// Cache lines in a unit of work.
const LINES_PER_UNIT: usize = 1024;

pub(super) fn pressure(meter: &mut Meter<'_>, bytes: u64) -> io::Result<()> {
    walk(meter, bytes, || {})
}

pub(super) fn pressure_and_yield(meter: &mut Meter<'_>, bytes: u64) -> io::Result<()> {
    walk(meter, bytes, yield_cpu)
}

/// A round is one walk through all of the memory.
fn walk(meter: &mut Meter<'_>, bytes: u64, after_unit: impl Fn()) -> io::Result<()> {
    let mut memory = Memory::new(bytes)?;
    while meter.goes_on() {
        for unit in memory.words().chunks_mut(LINES_PER_UNIT * LINE_WORDS) {
            meter.unit_of(|| touch(unit, LINE_WORDS));
            after_unit();
        }
        meter.iteration();
    }
    Ok(())
}

/// Writes one word of every `stride`, without reading it: a page that is read first is mapped twice, and the second time
/// interrupts the CPUs of other threads. Quick without optimisation as well.
pub(super) fn touch(words: &mut [u64], stride: usize) {
    let mut at = 0;
    while at < words.len() {
        *black_box(&mut words[at]) = at as u64;
        at += stride;
    }
}
