//! What the agent tells of a trace: its events, and the kernel's text in them.

use ktstr_wire::message::encode;
use ktstr_wire::trace::{TraceEnd, TraceEvent, TraceProbe, TraceProbeKind};

/// Events, each behind its length.
pub(crate) fn run(bytes: &[u8]) {
    ktstr::fuzzing::trace(bytes);
}

/// A task that is stalled, and a queue that there is not.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let stall = [
        probe(TraceProbeKind::Function, "scx_vexit", None),
        probe(TraceProbeKind::Event, "sched/sched_switch", Some("why")),
        TraceEvent::Note(
            "bash[113] failed to run for 1.5s\nkworker/u8:1[47] triggered exit kind 1026 on CPU 1:\n  scx_vexit+0x6d/0xa0\n".to_owned(),
        ),
        text("# tracer: nop\n            bash-113     [000] d..2.     6.975033: sched_switch: prev_comm=bash prev_pid=113 prev_"),
        text("prio=120 prev_state=R ==> next_comm=bash next_pid=112 next_prio=120\n"),
        ended(),
    ];
    let queue = [
        TraceEvent::Note("non-existent DSQ 0xdead for bash[139]".to_owned()),
        text(
            "bash-1 [001] dN.31 8.3: scx_dispatch_enqueue: (scx_dispatch_enqueue+0x4/0x340) dsq_id=57005 comm=\"a b\"\n",
        ),
        ended(),
    ];
    vec![framed(&stall), framed(&queue)]
}

fn framed(events: &[TraceEvent]) -> Vec<u8> {
    let frames = events.iter().map(encode).map(|event| [&(event.len() as u16).to_le_bytes()[..], &event].concat());
    frames.collect::<Vec<_>>().concat()
}

fn probe(kind: TraceProbeKind, name: &str, error: Option<&str>) -> TraceEvent {
    TraceEvent::Probe(TraceProbe { kind, name: name.to_owned(), error: error.map(str::to_owned) })
}

fn text(text: &str) -> TraceEvent {
    TraceEvent::Text(text.as_bytes().to_vec())
}

fn ended() -> TraceEvent {
    TraceEvent::Ended(TraceEnd { at_ns: 9, stopped: true, lost_records: 0, left_out_bytes: 0 })
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_are_events() {
        assert!(super::seeds().iter().all(|seed| ktstr::fuzzing::trace(seed) == 1));
    }
}
