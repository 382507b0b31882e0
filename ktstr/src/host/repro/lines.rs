//! The text of a trace (kernel/trace/trace.c, `print_trace_line`), line by line.

use crate::repro::TracedEvent;

/// The events of a text, in its order, and how many lines are none.
pub(super) fn parse(text: &str) -> (Vec<TracedEvent>, u64) {
    let mut strange = 0;
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let events = lines.filter_map(|line| {
        let event = event(line);
        strange += u64::from(event.is_none());
        event
    });
    (events.collect(), strange)
}

/// `     kworker/0:1-11      [000] d..2.     3.557653: sched_switch: prev_comm=…`.
fn event(line: &str) -> Option<TracedEvent> {
    let (task, cpu, rest) = whereabouts(line)?;
    let (comm, pid) = task.trim().rsplit_once('-')?;
    let (_flags, rest) = rest.trim_start().split_once(' ')?;
    let (at, rest) = rest.trim_start().split_once(": ")?;
    let (event, args) = rest.split_once(':')?;
    Some(TracedEvent {
        at_ns: nanoseconds(at)?,
        cpu,
        comm: comm.to_owned(),
        pid: pid.parse().ok()?,
        event: event.to_owned(),
        args: args.trim().to_owned(),
    })
}

/// What is before, in and behind the brackets around the CPU; a task's name may have brackets, too.
fn whereabouts(line: &str) -> Option<(&str, u32, &str)> {
    line.match_indices(" [").find_map(|(at, open)| {
        let (cpu, rest) = line[at + open.len()..].split_once("] ")?;
        let is_number = !cpu.is_empty() && cpu.bytes().all(|byte| byte.is_ascii_digit());
        let task = line[..at].trim_end();
        let ends_in_pid = task.rsplit_once('-').is_some_and(|(_, pid)| pid.parse::<i32>().is_ok());
        (is_number && ends_in_pid).then_some((task, cpu.parse().ok()?, rest))
    })
}

/// Seconds with a fraction, exactly.
fn nanoseconds(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    let is_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(seconds) || !is_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<9}").parse().ok()?;
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(line: &str, at_ns: u64, cpu: u32, task: (&str, i32), event: &str, args: &str) {
        let expected = TracedEvent {
            at_ns,
            cpu,
            comm: task.0.to_owned(),
            pid: task.1,
            event: event.to_owned(),
            args: args.to_owned(),
        };
        assert_eq!(super::event(line), Some(expected), "{line}");
    }

    #[test]
    fn lines_are_read() {
        check(
            "          <idle>-0       [000] d..2.     3.556805: sched_switch: prev_comm=swapper/0 prev_pid=0",
            3_556_805_000,
            0,
            ("<idle>", 0),
            "sched_switch",
            "prev_comm=swapper/0 prev_pid=0",
        );
        check(
            " a [001] b-7-11      [251] dN.31 12345.000001: f: (f+0x4/0x340) p=0x1 comm=\"x: y\"",
            12_345_000_001_000,
            251,
            ("a [001] b-7", 11),
            "f",
            "(f+0x4/0x340) p=0x1 comm=\"x: y\"",
        );
        check("a-1 [000] d 0.1: empty:", 100_000_000, 0, ("a", 1), "empty", "");
    }

    #[test]
    fn other_lines_are_counted() {
        let (events, strange) =
            parse("# tracer: nop\n##### CPU 1 buffer started ####\n\na-1 [000] d 0.1: e: x\nhalf a li");
        assert_eq!((events.len(), strange), (1, 1));
        for line in
            ["", "a-1 [000]", "a-1 [000] d 1: e: x", "a-x [000] d 0.1: e: x", "a-1 [] d 0.1: e: x", "a-1 [000] d 0.1 e"]
        {
            assert_eq!(event(line), None, "{line}");
        }
        assert_eq!((nanoseconds("99999999999999999999.0"), nanoseconds("1.0000000001")), (None, None));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text: String) {
            let lines = text.lines().count() as u64;
            let (events, strange) = parse(&text);
            prop_assert!(events.len() as u64 + strange <= lines);
        }

        #[test]
        fn what_is_printed_is_read(comm in "[a-z][a-z/ \\[\\]-]{0,14}", pid in 0..i32::MAX, cpu in 0_u32..512, at_us in 0..u64::MAX / 1000, args in "[ -~]{0,60}") {
            let (seconds, us) = (at_us / 1_000_000, at_us % 1_000_000);
            let line = format!("{comm:>16}-{pid:<7} [{cpu:03}] d..2. {seconds:>5}.{us:06}: event: {args}");
            let read = event(&line);
            prop_assert_eq!(read.as_ref().map(|read| (read.at_ns, read.cpu, read.pid)), Some((at_us * 1000, cpu, pid)));
            prop_assert_eq!(read.map(|read| (read.comm, read.args)), Some((comm, args.trim().to_owned())));
        }
    }
}
