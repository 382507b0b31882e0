//! Lives of schedulers, told as what is seen and what is done about it.

use super::kernel::{Kernel, State};
use super::life::{Act, Life, Seen};
use Act::{AskToEnd, Kill, TellDisabled, TellEnabled};
use State::{Between, Disabled, Enabled};
use ktstr_wire::scheduler::EndCause;

const S: u64 = 1_000_000_000;
const LOAD_DEADLINE_NS: u64 = 20 * S;
const STOP_DEADLINE_NS: u64 = 5 * S;

/// One moment: what is seen then, and what is done.
struct Moment {
    at_s: u64,
    ask: bool,
    state: State,
    seq: u64,
    gone: bool,
    output: bool,
    acts: Vec<Act>,
}

/// Nothing has changed since the start.
fn at(at_s: u64) -> Moment {
    Moment { at_s, ask: false, state: Disabled, seq: 0, gone: false, output: true, acts: vec![] }
}

impl Moment {
    fn asked(mut self) -> Self {
        self.ask = true;
        self
    }

    fn kernel(mut self, state: State, seq: u64) -> Self {
        (self.state, self.seq) = (state, seq);
        self
    }

    fn gone(mut self) -> Self {
        (self.gone, self.output) = (true, false);
        self
    }

    fn heard(mut self) -> Self {
        self.output = true;
        self
    }

    fn acts(mut self, acts: impl Into<Vec<Act>>) -> Self {
        self.acts = acts.into();
        self
    }
}

fn check(moments: impl IntoIterator<Item = Moment>) {
    let mut life = Life::new(0, LOAD_DEADLINE_NS, STOP_DEADLINE_NS);
    for Moment { at_s, ask, state, seq, gone, output, acts } in moments {
        let now_ns = at_s * S;
        if ask {
            life.ask_to_end(now_ns);
        }
        let kernel = Kernel { state, enable_seq: seq };
        let seen = Seen { now_ns, kernel, process_is_gone: gone, output_is_open: output };
        assert_eq!(life.step(&seen), acts, "after {at_s} s: {life:?}");
    }
}

fn ended(cause: EndCause) -> Act {
    Act::TellEnded { cause, killed: false }
}

#[test]
fn it_is_loaded_and_stopped() {
    check([
        at(0),
        at(1).kernel(Between, 0),
        // Enabled, but not yet counted.
        at(2).kernel(Enabled, 0),
        at(2).kernel(Enabled, 1).acts([TellEnabled]),
        at(9).kernel(Enabled, 1),
        at(10).asked().kernel(Enabled, 1).acts([AskToEnd]),
        at(11).kernel(Between, 1),
        at(11).kernel(Disabled, 1),
        at(12).kernel(Disabled, 1).gone().acts([Kill, ended(EndCause::Asked)]),
        at(13).kernel(Disabled, 1).gone(),
    ]);
}

#[test]
fn it_ends_before_it_is_enabled() {
    check([at(0), at(1).gone().acts([Kill, ended(EndCause::Itself)])]);
}

#[test]
fn it_is_not_enabled_in_time() {
    let life = [
        at(19).kernel(Between, 0),
        at(20).kernel(Between, 0).acts([AskToEnd]),
        at(21).gone().acts([Kill, ended(EndCause::NotEnabled)]),
    ];
    check(life);
}

#[test]
fn the_kernel_disables_it_and_it_prints_why() {
    check([
        at(1).kernel(Enabled, 1).acts([TellEnabled]),
        at(5).kernel(Between, 1),
        at(5).kernel(Disabled, 1).acts([TellDisabled]),
        at(6).kernel(Disabled, 1).gone().heard().acts([Kill]),
        at(6).kernel(Disabled, 1).gone().acts([ended(EndCause::Itself)]),
    ]);
}

#[test]
fn one_that_prints_why_is_not_disturbed_for_a_while() {
    check([
        at(1).kernel(Enabled, 1).acts([TellEnabled]),
        at(5).asked().kernel(Between, 1),
        at(5).kernel(Disabled, 1).acts([TellDisabled]),
        at(6).kernel(Disabled, 1).gone().acts([Kill, ended(EndCause::Itself)]),
    ]);
    check([
        at(1).kernel(Enabled, 1).acts([TellEnabled]),
        at(5).asked().kernel(Disabled, 1).acts([TellDisabled]),
        at(6).kernel(Disabled, 1).acts([AskToEnd]),
        at(7).kernel(Disabled, 1).gone().acts([Kill, ended(EndCause::Asked)]),
    ]);
}

#[test]
fn one_that_is_loaded_again_meanwhile_is_stopped_as_enabled() {
    check([
        at(1).kernel(Enabled, 1).acts([TellEnabled]),
        at(5).kernel(Disabled, 1).acts([TellDisabled]),
        at(6).asked().kernel(Between, 1),
        at(6).kernel(Enabled, 2).acts([TellEnabled, AskToEnd]),
        at(7).kernel(Disabled, 2).gone().acts([Kill, ended(EndCause::Asked)]),
    ]);
}

#[test]
fn it_is_killed_by_somebody() {
    let life = [
        at(1).kernel(Enabled, 1).acts([TellEnabled]),
        at(2).kernel(Disabled, 1).gone().acts([TellDisabled, Kill, ended(EndCause::Itself)]),
    ];
    check(life);
}

#[test]
fn its_process_loads_it_again() {
    check([
        at(1).kernel(Enabled, 1).acts([TellEnabled]),
        at(2).kernel(Disabled, 1).acts([TellDisabled]),
        at(3).kernel(Enabled, 1),
        at(3).kernel(Enabled, 2).acts([TellEnabled]),
        // So soon that nobody has seen it disabled.
        at(4).kernel(Enabled, 3).acts([TellDisabled, TellEnabled]),
    ]);
}

#[test]
fn its_children_keep_it_enabled() {
    check([
        at(1).kernel(Enabled, 1).acts([TellEnabled]),
        at(2).kernel(Enabled, 1).gone().heard(),
        at(9).asked().kernel(Enabled, 1).gone().heard().acts([Kill]),
        at(9).kernel(Disabled, 1).gone().acts([ended(EndCause::Asked)]),
    ]);
}

#[test]
fn it_ignores_its_signal() {
    check([
        at(1).kernel(Enabled, 1).acts([TellEnabled]),
        at(10).asked().kernel(Enabled, 1).acts([AskToEnd]),
        at(14).kernel(Enabled, 1),
        at(15).kernel(Enabled, 1).acts([Kill]),
        at(16).kernel(Disabled, 1).gone().acts([Kill, Act::TellEnded { cause: EndCause::Asked, killed: true }]),
    ]);
}

#[test]
fn not_even_killing_helps() {
    check([
        at(1).kernel(Enabled, 1).acts([TellEnabled]),
        at(10).asked().kernel(Enabled, 1).acts([AskToEnd]),
        at(15).kernel(Between, 1).acts([Kill]),
        at(20).kernel(Between, 1),
        at(21).kernel(Between, 1).acts([Act::TellEnded { cause: EndCause::Asked, killed: true }]),
    ]);
}

#[test]
fn somebody_else_holds_its_pipes() {
    check([at(1).gone().heard().acts([Kill]), at(2).gone().heard().acts([ended(EndCause::Itself)])]);
}
