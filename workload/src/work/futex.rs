//! Workers that wait for each other on futexes.

use super::system::{futex_wait, futex_wake};
use crate::meter::Meter;
use crate::team::Team;
use std::io;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

/// Words of each team of [`fan_out`]: the round, and how many have done it.
pub(super) const FAN_OUT_WORDS: usize = 2;

/// Pairs, one word each that says whose turn it is.
pub(super) fn ping_pong(meter: &mut Meter<'_>, team: &Team<'_>) -> io::Result<()> {
    let (partner, turn) = (team.index ^ 1, &team.word(team.index / 2).futex);
    let (own, other) = (team.index as u32 % 2, partner as u32 % 2);
    while meter.goes_on() {
        if turn.load(Acquire) != own {
            meter.wait(|| futex_wait(turn, other));
            continue;
        }
        meter.unit();
        turn.store(other, Release);
        team.wakes(partner);
        futex_wake(turn, 1);
        meter.iteration();
    }
    Ok(())
}

/// In each team the first worker wakes all others at once, and waits until all have done what `work` says.
pub(super) fn fan_out(
    meter: &mut Meter<'_>,
    team: &Team<'_>,
    team_size: usize,
    work: impl Fn(&mut Meter<'_>),
) -> io::Result<()> {
    let number = team.index / team_size;
    let first = number * team_size;
    let (round, ready) = (&team.word(number * FAN_OUT_WORDS).futex, &team.word(number * FAN_OUT_WORDS + 1).futex);
    let others = team_size as u32 - 1;
    if team.index == first {
        while meter.goes_on() {
            meter.unit();
            ready.store(0, Release);
            round.fetch_add(1, AcqRel);
            (first + 1..first + team_size).for_each(|index| team.wakes(index));
            futex_wake(round, others);
            await_all(meter, ready, others);
            meter.iteration();
        }
        return Ok(());
    }
    let mut seen = 0;
    while meter.goes_on() {
        let now = round.load(Acquire);
        if now == seen {
            meter.wait(|| futex_wait(round, seen));
            continue;
        }
        seen = now;
        work(meter);
        if ready.fetch_add(1, AcqRel) + 1 == others {
            team.wakes(first);
            futex_wake(ready, 1);
        }
        meter.iteration();
    }
    Ok(())
}

fn await_all(meter: &mut Meter<'_>, ready: &std::sync::atomic::AtomicU32, others: u32) {
    while meter.goes_on() {
        let so_far = ready.load(Acquire);
        if so_far == others {
            return;
        }
        meter.wait(|| futex_wait(ready, so_far));
    }
}

/// The first worker wakes the whole herd for one thing, which one of them gets.
pub(super) fn thundering_herd(meter: &mut Meter<'_>, team: &Team<'_>) -> io::Result<()> {
    // Counts up with the rounds, so whoever raises it first has what the round brought.
    let (round, taken) = (&team.word(0).futex, &team.word(1).value);
    fan_out(meter, team, team.size(), |meter| {
        let (now, before) = (u64::from(round.load(Acquire)), taken.load(Acquire));
        if before < now && taken.compare_exchange(before, now, AcqRel, Acquire).is_ok() {
            meter.unit();
        }
    })
}
