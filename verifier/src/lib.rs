//! What the kernel's BPF verifier logged about a program.
//!
//! Everything here is a function of texts: it knows nothing of virtual machines and loads nothing. Logs come from guests and
//! are claims: whatever is in them, nothing here panics, and a line that is not understood stays as it is.

pub mod compare;
pub mod fold;
pub mod libbpf;
mod line;
mod lines;
mod program;
pub mod rejection;
mod state;
mod stats;

pub use line::{Branch, Insn, Line, Source};
pub use program::{Load, Program};
pub use rejection::Rejection;
pub use state::State;
pub use stats::{INSN_LIMIT, Stats};
