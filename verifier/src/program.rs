//! One program that was loaded, or not.

use crate::line::Line;
use crate::lines;
use crate::rejection::Rejection;
use crate::stats::Stats;
use serde::{Deserialize, Serialize};

/// What became of a program. Programs of two runs are the same when file and name are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Whose program it is: an object file's name, or a scheduler's.
    pub file: String,
    /// Its function's name. The kernel knows the first 15 bytes of it.
    pub name: String,
    /// What the verifier counted.
    pub stats: Stats,
    /// What the kernel says of the loaded program, `verified_insns` of `BPF_OBJ_GET_INFO_BY_FD`.
    pub verified_insns: Option<u64>,
    /// What the load itself told; `None` when only the log is there.
    pub load: Option<Load>,
    /// Why it was refused; `None` when it was not.
    pub rejection: Option<Rejection>,
}

/// What is known of a program beside its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// `BPF_PROG_TYPE_…` by its number.
    pub kind: u32,
    /// `expected_attach_type` by its number.
    pub attach_kind: u32,
    /// Instructions that were given to the kernel.
    pub insns: u64,
    /// Bytes of machine code, 0 for none.
    pub jited_bytes: u64,
}

impl Program {
    /// Reads a program's log. `is_loaded` is what the system call said of it: a log alone does not tell that for sure.
    pub fn of(file: &str, name: &str, log: &[u8], is_loaded: bool) -> Self {
        Self {
            file: file.to_owned(),
            name: name.to_owned(),
            stats: stats(log),
            verified_insns: None,
            load: None,
            rejection: (!is_loaded).then(|| Rejection::of(log)),
        }
    }

    /// Whether the kernel loaded it.
    pub fn is_loaded(&self) -> bool {
        self.rejection.is_none()
    }

    /// The log's count of instructions and the kernel's, when they differ.
    pub fn mismatch(&self) -> Option<(u64, u64)> {
        let counts = (self.stats.insns?, self.verified_insns?);
        (self.is_loaded() && counts.0 != counts.1).then_some(counts)
    }
}

/// The figures in a log.
fn stats(log: &[u8]) -> Stats {
    let mut stats = Stats::default();
    // Memory is read without errors.
    let _ = lines::for_each(log, |line, _| {
        // The lines that tell something begin with one of these.
        if matches!(line.first(), Some(b'p' | b'v' | b's' | b'f')) {
            stats.take(Line::parse_bytes(line));
        }
    });
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_compared_of_what_was_loaded() {
        let log = b"func#0 @0\n0: (95) exit\nprocessed 3 insns (limit 1000000) max_states_per_insn 0\n";
        let of = |is_loaded, verified_insns| Program { verified_insns, ..Program::of("f", "p", log, is_loaded) };
        assert_eq!(of(true, Some(3)).mismatch(), None);
        assert_eq!(of(true, Some(4)).mismatch(), Some((3, 4)));
        assert_eq!(of(true, None).mismatch(), None);
        assert_eq!(of(false, Some(0)).mismatch(), None);
        assert_eq!(of(false, None).stats.insns, Some(3));
    }
}
