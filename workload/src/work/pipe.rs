//! Pairs that pass a byte back and forth through pipes. Pipe number `n` is what worker `n` reads from.

use super::memory::touch;
use super::system::{Memory, done};
use crate::meter::Meter;
use crate::team::Team;
use std::io;

/// Words in a cache line of 64 bytes.
const LINE_WORDS: usize = 8;

pub(super) fn io(meter: &mut Meter<'_>, team: &Team<'_>) -> io::Result<()> {
    pass_on(meter, team, |meter| meter.unit())
}

/// As [`io`], and each touches all of its memory in every round, so that whoever runs next finds a cold cache.
pub(super) fn cache(meter: &mut Meter<'_>, team: &Team<'_>, bytes: u64) -> io::Result<()> {
    let mut memory = Memory::new(bytes)?;
    pass_on(meter, team, |meter| meter.unit_of(|| touch(memory.words(), LINE_WORDS)))
}

fn pass_on(meter: &mut Meter<'_>, team: &Team<'_>, mut work: impl FnMut(&mut Meter<'_>)) -> io::Result<()> {
    let partner = team.index ^ 1;
    let (from, (_, into)) = (team.pipe(team.index).0, team.pipe(partner));
    let mut byte = 0_u8;
    let mut has_it = team.index < partner;
    while meter.goes_on() {
        if !has_it {
            // SAFETY: room for a byte.
            let got = meter.wait(|| unsafe { libc::read(from, (&raw mut byte).cast(), 1) });
            has_it = got > 0;
            continue;
        }
        work(meter);
        team.wakes(partner);
        // SAFETY: a live byte. There is never more than this one in the pipe, so it does not block.
        done(unsafe { libc::write(into, (&raw const byte).cast(), 1) } as i64)?;
        has_it = false;
        meter.iteration();
    }
    Ok(())
}
