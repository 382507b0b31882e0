//! One command in one machine: pass its output on, wait for its end.

use super::console::Console;
use super::control::{self, Ended, Message};
use super::machine::{Machine, Streams};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long the rest of the output may take once the command has ended.
const DRAIN: Duration = Duration::from_secs(30);

/// How often the machine gets an interrupt from outside.
///
/// QEMU's emulated VMRUN (`helper_vmrun`) sets a bit of the CPU's pending interrupts without a lock, so that now and then
/// it wipes out one that another thread sets at that moment. When that one was the outer kernel's timer, the inner guest
/// keeps the CPU for ever, for nothing else interrupts it. Any other interrupt makes QEMU look at all that are pending.
const WAKE_EVERY: Duration = Duration::from_millis(100);

/// XON: the terminal behind the console takes it as "go on", and neither keeps nor echoes it.
const WAKE: u8 = 0x11;

/// How a session ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The command ended with this code, and all its output has been passed on.
    Exited(i32),
    /// The time limit passed. Whether the command had been started by then.
    TimedOut {
        /// Whether the command was running, not the machine still booting.
        running: bool,
    },
    /// The machine ended before the command did. Whether the command had been started by then.
    Died {
        /// Whether the command was running, not the machine still booting.
        running: bool,
    },
    /// Whoever read our stdout or stderr does so no more.
    Unread,
    /// The command ended, but some of its output did not arrive.
    Lost,
}

#[derive(Debug)]
enum Event {
    Control(Message),
    ControlClosed,
    Bytes(Side, u64),
    Unread,
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Out,
    Err,
}

/// Runs until the command or the machine has ended or the time is up; the machine is gone afterwards.
pub(super) fn run(mut machine: Machine, streams: Streams, console: &Console, timeout: Duration) -> Outcome {
    let deadline = Instant::now() + timeout;
    let (events, received) = channel();
    let Streams { console: serial, control, out, err, qemu } = streams;
    thread::scope(|scope| {
        let (end_waking, woken) = channel();
        if let Ok(serial) = serial.try_clone() {
            scope.spawn(move || keep_awake(serial, &woken));
        }
        scope.spawn(|| console.follow(serial));
        scope.spawn(|| console.follow(qemu));
        let sender = events.clone();
        scope.spawn(move || follow_control(control, &sender));
        let sender = events.clone();
        scope.spawn(move || pass_on(out, io::stdout(), Side::Out, &sender));
        scope.spawn(move || pass_on(err, io::stderr(), Side::Err, &events));
        let outcome = State::default().wait(&received, deadline);
        drop(end_waking);
        // Its death ends the streams, and so the threads.
        machine.kill();
        outcome
    })
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    ended: Option<Ended>,
    out_bytes: u64,
    err_bytes: u64,
}

impl State {
    fn wait(mut self, received: &Receiver<Event>, mut deadline: Instant) -> Outcome {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match received.recv_timeout(left) {
                Ok(Event::Control(Message::Start)) => self.running = true,
                Ok(Event::Control(Message::Exit(ended))) => {
                    self.ended = Some(ended);
                    deadline = Instant::now() + DRAIN;
                }
                Ok(Event::Bytes(Side::Out, count)) => self.out_bytes += count,
                Ok(Event::Bytes(Side::Err, count)) => self.err_bytes += count,
                Ok(Event::Unread) => return Outcome::Unread,
                Ok(Event::ControlClosed) | Err(RecvTimeoutError::Disconnected) if self.ended.is_none() => {
                    return Outcome::Died { running: self.running };
                }
                Ok(Event::ControlClosed) => {}
                Err(RecvTimeoutError::Timeout) if self.ended.is_none() => {
                    return Outcome::TimedOut { running: self.running };
                }
                Err(_) => return Outcome::Lost,
            }
            if let Some(ended) = self.ended
                && (self.out_bytes, self.err_bytes) == (ended.out_bytes, ended.err_bytes)
            {
                return Outcome::Exited(ended.code);
            }
        }
    }
}

/// Nobody listens for events any more only after the outcome is known, so a failing `send` means nothing.
fn follow_control(control: impl Read, events: &Sender<Event>) {
    for line in BufReader::new(control).lines().map_while(Result::ok) {
        if let Some(message) = control::parse(&line) {
            let _ = events.send(Event::Control(message));
        }
    }
    let _ = events.send(Event::ControlClosed);
}

/// Interrupts the machine at intervals until `end` is dropped or the machine is gone.
fn keep_awake(mut serial: UnixStream, end: &Receiver<()>) {
    // A machine that takes no input for a while has others waiting already: that is no error.
    let _ = serial.set_write_timeout(Some(WAKE_EVERY));
    while matches!(end.recv_timeout(WAKE_EVERY), Err(RecvTimeoutError::Timeout)) {
        match serial.write(&[WAKE]) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

fn pass_on(mut source: impl Read, mut sink: impl Write, side: Side, events: &Sender<Event>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = source.read(&mut buffer) {
        let written = buffer.get(..count).map_or(Ok(()), |bytes| sink.write_all(bytes)).and_then(|()| sink.flush());
        let event = if written.is_ok() { Event::Bytes(side, count as u64) } else { Event::Unread };
        let _ = events.send(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDED: Ended = Ended { code: 7, out_bytes: 3, err_bytes: 1 };

    fn check(events: Vec<Event>, expected: Outcome) {
        let (sender, received) = channel();
        for event in events {
            sender.send(event).unwrap();
        }
        assert_eq!(State::default().wait(&received, Instant::now()), expected);
    }

    #[test]
    fn exit_waits_for_all_output() {
        let exit = || Event::Control(Message::Exit(ENDED));
        check(vec![Event::Bytes(Side::Out, 3), Event::Bytes(Side::Err, 1), exit()], Outcome::Exited(7));
        check(vec![exit(), Event::Bytes(Side::Err, 1), Event::Bytes(Side::Out, 3)], Outcome::Exited(7));
    }

    #[test]
    fn an_end_without_exit_is_a_death() {
        let start = Event::Control(Message::Start);
        check(vec![start, Event::ControlClosed], Outcome::Died { running: true });
        check(vec![Event::ControlClosed], Outcome::Died { running: false });
    }

    #[test]
    fn a_machine_is_woken_until_the_end() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (end, ended) = channel();
        let waker = thread::spawn(move || keep_awake(ours, &ended));
        let mut bytes = [0; 2];
        theirs.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, [WAKE; 2]);
        drop::<Sender<()>>(end);
        waker.join().unwrap();
        // Nor does a machine that is gone keep it.
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let (_end, ended) = channel();
        keep_awake(ours, &ended);
    }

    #[test]
    fn time_runs_out() {
        check(vec![], Outcome::TimedOut { running: false });
        check(vec![Event::Control(Message::Start)], Outcome::TimedOut { running: true });
    }

    #[test]
    fn a_closed_sink_ends_it() {
        check(vec![Event::Control(Message::Start), Event::Unread], Outcome::Unread);
    }
}
