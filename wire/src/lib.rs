//! What the guest's agent and the host share: messages, the framing of the control channel, the ring, and the layout of
//! the reserved range of guest memory. Both ends build against this crate, so neither can disagree with the other.
//!
//! Every byte that comes from the guest is a claim: decoders return errors, never panic, and never allocate more than
//! the bytes at hand justify.

pub mod control;
mod cpu_set;
pub mod dump;
pub mod frames;
pub mod machine;
mod mark;
pub mod message;
pub mod region;
mod report;
pub mod reserved;
pub mod ring;
pub mod scheduler;
pub mod topology;
pub mod trace;

pub use cpu_set::{CpuSet, CpuSetError};
pub use machine::{Machine, Node};
pub use mark::MARK;
pub use message::{ExitStatus, GuestMessage, Hello, HostMessage, Run, Stream, Streams, Symbol, WindowSize};
pub use region::{MappedRegion, Region};
pub use report::{CpuFact, CpuValue, MachineReport, NodeReport};
pub use reserved::Reserved;
pub use topology::Topology;

/// Version of everything in this crate. An agent of another version is refused at `Hello`.
pub const PROTOCOL_VERSION: u32 = 6;

/// CRC-32 (IEEE 802.3) over `bytes`, which guards the frames of the control channel.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}
