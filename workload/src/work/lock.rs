//! A lock that is passed on in the order in which it was asked for, so that all wait when its holder does not run.

use super::system::{futex_wait, futex_wake, yield_cpu};
use crate::meter::Meter;
use crate::shared::Word;
use crate::team::Team;
use std::io;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

/// Words before those of the places: the next ticket.
pub(super) const OWN_WORDS: usize = 1;
/// Units of work that are done with the lock, before and after the holder lets others go first, and without it.
const HELD_UNITS: u64 = 4;
/// Workers of a group that are told apart.
const MAX_WORKERS: u64 = 1 << 16;

pub(super) fn convoy(meter: &mut Meter<'_>, team: &Team<'_>) -> io::Result<()> {
    // A waiter that is to stop keeps its ticket: nobody passes it by, and those behind it are to stop as well.
    while meter.goes_on() {
        let Some(ticket) = lock(meter, team) else { break };
        (0..HELD_UNITS).for_each(|_| meter.unit());
        yield_cpu();
        (0..HELD_UNITS).for_each(|_| meter.unit());
        unlock(team, ticket);
        meter.unit();
        meter.iteration();
    }
    Ok(())
}

/// The place where the holder of a ticket waits. There are as many as workers, and each has one ticket at a time.
fn place<'a>(team: &Team<'a>, ticket: u32) -> &'a Word {
    team.word(OWN_WORDS + ticket as usize % team.size())
}

/// The ticket, once it is its turn; ticket 0 has it at once.
fn lock(meter: &mut Meter<'_>, team: &Team<'_>) -> Option<u32> {
    let ticket = team.word(0).futex.fetch_add(1, AcqRel);
    let place = place(team, ticket);
    place.value.store(u64::from(ticket) * MAX_WORKERS + team.index as u64, Release);
    while meter.goes_on() {
        let turn = place.futex.load(Acquire);
        if turn == ticket {
            return Some(ticket);
        }
        meter.wait(|| futex_wait(&place.futex, turn));
    }
    None
}

fn unlock(team: &Team<'_>, ticket: u32) {
    let next = ticket.wrapping_add(1);
    let place = place(team, next);
    place.futex.store(next, Release);
    let waiter = place.value.load(Acquire);
    // Otherwise nobody has that ticket yet.
    if waiter / MAX_WORKERS == u64::from(next) {
        team.wakes((waiter % MAX_WORKERS) as usize);
    }
    futex_wake(&place.futex, 1);
}
