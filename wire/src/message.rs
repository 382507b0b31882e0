//! The messages between agent and host.
//!
//! Milestones go over the control channel, so that they arrive even when the ring is unusable; bulk goes over the ring.
//! Times are nanoseconds of the guest's `CLOCK_MONOTONIC`.

use crate::MachineReport;
use crate::scheduler::{SchedulerEvent, SchedulerOrder, TimedMapWrite};
use crate::trace::{TraceEvent, TraceOrder};
use serde::{Deserialize, Serialize};

/// What the agent says to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestMessage {
    /// Control: the kernel has started the agent.
    Up {
        /// When.
        at_ns: u64,
    },
    /// Control: user space is set up and the reserved range is mapped.
    Hello(Hello),
    /// Control: the program has been started, and before it the scheduler under test, which is enabled.
    Started {
        /// When.
        at_ns: u64,
    },
    /// Ring, before `Hello`: the machine as the kernel sees it.
    Machine(MachineReport),
    /// Ring: output of the program.
    Output {
        /// Which of its two streams.
        stream: Stream,
        /// The bytes, cut anywhere.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// Ring: one frame that the program wrote to its report descriptor; only the harness knows what it means.
    Report(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Ring: something about the scheduler under test.
    Scheduler(SchedulerEvent),
    /// Ring: something about the trace that was ordered.
    Trace(TraceEvent),
    /// Control: the program is gone and everything that it said is in the ring.
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// When it had ended, or its time was up.
        at_ns: u64,
    },
    /// Control: the agent could not do its part.
    Fault(String),
    /// Control: the last word before power-off.
    Bye {
        /// When.
        at_ns: u64,
    },
}

/// The agent's first message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`crate::PROTOCOL_VERSION`] of the agent.
    pub protocol: u32,
    /// `uname -r`.
    pub release: String,
    /// Addresses of the kernel symbols that observers start from; one that the kernel doesn't have is left out.
    pub symbols: Vec<Symbol>,
    /// What the agent could not set up and can do without.
    pub warnings: Vec<String>,
    /// When.
    pub at_ns: u64,
}

/// A kernel symbol and its virtual address, KASLR included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbol {
    /// Name as in `/proc/kallsyms`.
    pub name: String,
    /// Guest-virtual address; for a per-CPU variable its offset in the per-CPU area.
    pub gva: u64,
}

/// One of a program's output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    /// It returned or called `exit` with this code.
    Code(i32),
    /// A signal of this number ended it.
    Signal(i32),
    /// It was still running when [`Run::deadline_ns`] had passed, and was killed.
    Deadline,
}

/// The one order that the host gives: what to run. It waits in the ring before the guest starts; only a person's input,
/// in [`HostMessage`]s, may follow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What the kernel's random numbers are made of from now on. Those of machines that go on from the same moment are the
    /// same without.
    pub entropy: Option<[u8; ENTROPY_BYTES]>,
    /// Program and arguments; the program is a path in the unpacked payload.
    pub argv: Vec<String>,
    /// Its whole environment, besides what the agent adds for the report descriptor.
    pub env: Vec<(String, String)>,
    /// Directory that it starts in.
    pub dir: String,
    /// What it reads from and writes to.
    pub streams: Streams,
    /// Put into a file whose path the program finds in [`CONTEXT_ENV`]; only the harness knows what it means.
    #[serde(with = "serde_bytes")]
    pub context: Vec<u8>,
    /// The program is killed when it still runs after this long.
    pub deadline_ns: u64,
    /// Schedulers that the program may ask for. The first one runs when the program starts, if `begin_scheduled`; where it
    /// cannot be enabled, the program is not started.
    pub schedulers: Vec<SchedulerOrder>,
    /// Whether the first of them is started.
    pub begin_scheduled: bool,
    /// What is written into its maps, and when. One that cannot be made is a [`GuestMessage::Fault`].
    pub map_writes: Vec<TimedMapWrite>,
    /// What is traced from before the first scheduler's start until the last one's end.
    pub trace: Option<TraceOrder>,
}

/// As much as a key of the kernel's random number generator has (drivers/char/random.c).
pub const ENTROPY_BYTES: usize = 32;

/// What the standard streams of a program are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Streams {
    /// There is nothing to read. Output goes over the ring, and is given up when the host does not take it.
    Captured,
    /// What it reads comes as [`HostMessage::Input`]. Output goes over the ring, and waits until the host takes it.
    Piped,
    /// The console, as its controlling terminal.
    Terminal(WindowSize),
}

/// Size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// What the host says after its order, over the same ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostMessage {
    /// Bytes for the program to read, at most [`MAX_INPUT_BYTES`].
    Input(#[serde(with = "serde_bytes")] Vec<u8>),
    /// There will be no more of them.
    InputEnd,
    /// The terminal has another size now.
    Resize(WindowSize),
}

/// The most bytes that one [`HostMessage::Input`] may have, so that several fit the ring.
pub const MAX_INPUT_BYTES: usize = 32 << 10;

/// Environment variable that holds the number of the descriptor to which the program writes its report frames, each a
/// little-endian `u32` length and that many bytes.
pub const REPORT_FD_ENV: &str = "KTSTR_REPORT_FD";

/// Environment variable that holds the path of the file with [`Run::context`].
pub const CONTEXT_ENV: &str = "KTSTR_CONTEXT";

/// The most bytes that one report frame may have.
pub const MAX_REPORT_BYTES: usize = 1 << 20;

/// Kernel symbols that [`Hello`] carries: the first of the image, which tells by how much KASLR moved all others.
///
/// The rest are in the kernel's image, where the host reads them at no cost to the guest: listing them in the guest takes
/// more than a second of its time under emulation.
pub const SYMBOLS: &[&str] = &["_text"];

/// Encodes a message of either direction.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    // The only failures of this encoder are a full output buffer and unsized sequences; neither occurs with a Vec and
    // the types above.
    postcard::to_stdvec(message).unwrap_or_default()
}

/// Decodes a message of either direction.
///
/// # Errors
/// When the bytes are not exactly one such message.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let (message, rest) = postcard::take_from_bytes(bytes).map_err(DecodeError::Malformed)?;
    if rest.is_empty() { Ok(message) } else { Err(DecodeError::TrailingBytes(rest.len())) }
}

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The decoder gave up.
    #[error("not a message of protocol version {version}: {0}", version = crate::PROTOCOL_VERSION)]
    Malformed(postcard::Error),
    /// Something follows the message.
    #[error("{0} bytes follow the message")]
    TrailingBytes(usize),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn output_survives_the_way(bytes: Vec<u8>, stderr: bool) {
            let stream = if stderr { Stream::Stderr } else { Stream::Stdout };
            let message = GuestMessage::Output { stream, bytes };
            prop_assert_eq!(decode::<GuestMessage>(&encode(&message)).unwrap(), message);
        }

        #[test]
        fn hostile_bytes_are_an_error_or_a_message(bytes: Vec<u8>) {
            let _ = decode::<GuestMessage>(&bytes);
            let _ = decode::<Run>(&bytes);
            let _ = decode::<HostMessage>(&bytes);
        }
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = encode(&GuestMessage::Bye { at_ns: 1 });
        bytes.push(0);
        assert!(matches!(decode::<GuestMessage>(&bytes), Err(DecodeError::TrailingBytes(1))));
    }
}
