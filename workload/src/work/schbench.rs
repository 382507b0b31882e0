//! Message threads that hand requests to worker threads, as schbench does.

use super::system::{futex_wait, futex_wake};
use crate::meter::Meter;
use crate::team::Team;
use std::io;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

/// State of a worker thread's word.
const IDLE: u32 = 0;
const REQUESTED: u32 = 1;
/// Units of work that a request takes.
const REQUEST_UNITS: u64 = 8;

/// The first of each team is its message thread. A word each: a worker thread's has its state, a message thread's counts
/// how often one of its worker threads became idle.
pub(super) fn run(meter: &mut Meter<'_>, team: &Team<'_>, team_size: usize) -> io::Result<()> {
    let first = team.index / team_size * team_size;
    if team.index == first { message(meter, team, first..first + team_size) } else { worker(meter, team, first) }
}

fn message(meter: &mut Meter<'_>, team: &Team<'_>, members: std::ops::Range<usize>) -> io::Result<()> {
    let idle = &team.word(members.start).futex;
    while meter.goes_on() {
        // Before the look around: who becomes idle after it has changed this.
        let seen = idle.load(Acquire);
        for index in members.clone().skip(1) {
            let state = &team.word(index).futex;
            if state.load(Acquire) == IDLE {
                meter.unit();
                state.store(REQUESTED, Release);
                team.wakes(index);
                futex_wake(state, 1);
                meter.iteration();
            }
        }
        meter.wait(|| futex_wait(idle, seen));
    }
    Ok(())
}

fn worker(meter: &mut Meter<'_>, team: &Team<'_>, first: usize) -> io::Result<()> {
    let (state, idle) = (&team.word(team.index).futex, &team.word(first).futex);
    while meter.goes_on() {
        if state.load(Acquire) == IDLE {
            meter.wait(|| futex_wait(state, IDLE));
            continue;
        }
        (0..REQUEST_UNITS).for_each(|_| meter.unit());
        state.store(IDLE, Release);
        idle.fetch_add(1, AcqRel);
        team.wakes(first);
        futex_wake(idle, 1);
        meter.iteration();
    }
    Ok(())
}
