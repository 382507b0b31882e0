//! The guest's agent, built by this crate's build script.

/// A static x86-64 program.
pub(crate) const AGENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ktstr-agent"));

/// Another one for any other [`AGENT`].
pub(crate) const AGENT_STAMP: &str = include_str!(concat!(env!("OUT_DIR"), "/ktstr-agent.stamp"));
