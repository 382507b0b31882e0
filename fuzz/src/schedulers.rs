//! What the agent tells of schedulers: its events, and the words of kernel and program in them.

use ktstr_wire::message::encode;
use ktstr_wire::scheduler::{EndCause, SchedulerEnd, SchedulerEvent};
use ktstr_wire::{ExitStatus, Stream};

/// Events, each behind its length.
pub(crate) fn run(bytes: &[u8]) {
    ktstr::fuzzing::schedulers(bytes);
}

/// A scheduler that stalls, and one that the verifier rejects.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let stalls = [
        starting(),
        SchedulerEvent::Enabled { ops: "one".to_owned(), pid: Some(7), at_ns: 20 },
        kernel("3: sched_ext: BPF scheduler \"one\" disabled (runnable task stall)"),
        kernel("3: sched_ext: one: sh[192] failed to run for 7.556s"),
        kernel("6:    scx_exit+0x50/0x70"),
        stderr(
            "DEBUG DUMP\n================================\nsh[1] triggered exit kind 1026 on CPU 0:\n\
             ================================\nEXIT: runnable task stall (sh[192] failed to run for 7.556s) on CPU 0\n",
        ),
        SchedulerEvent::Disabled { at_ns: 30 },
        ended(0),
    ];
    let rejected = [
        starting(),
        stderr(
            "libbpf: prog 'x': -- BEGIN PROG LOAD LOG --\n0: (b7) r0 = 0\nprocessed 1 insns\n-- END PROG LOAD LOG --\n\
             libbpf: failed to load object 'one': -EACCES\n[SCX_BUG] a.c:1 (Permission denied) (os error 13)\n",
        ),
        ended(1),
    ];
    vec![framed(&stalls), framed(&rejected)]
}

fn framed(events: &[SchedulerEvent]) -> Vec<u8> {
    let frames = events.iter().map(encode).map(|event| [&(event.len() as u16).to_le_bytes()[..], &event].concat());
    frames.collect::<Vec<_>>().concat()
}

fn starting() -> SchedulerEvent {
    SchedulerEvent::Starting { name: "one".to_owned(), at_ns: 10 }
}

fn kernel(line: &str) -> SchedulerEvent {
    SchedulerEvent::Kernel { at_ns: 25, line: line.to_owned() }
}

fn stderr(text: &str) -> SchedulerEvent {
    SchedulerEvent::Output { stream: Stream::Stderr, bytes: text.as_bytes().to_vec() }
}

fn ended(code: i32) -> SchedulerEvent {
    let (status, state) = (Some(ExitStatus::Code(code)), "disabled".to_owned());
    SchedulerEvent::Ended(SchedulerEnd { at_ns: 40, cause: EndCause::Itself, status, killed: false, state })
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_are_findings() {
        assert!(super::seeds().iter().all(|seed| ktstr::fuzzing::schedulers(seed) == 1));
    }
}
