//! Programs of two runs side by side: two schedulers, kernels or profiles of flags.

mod columns;
mod csv;
mod table;

pub use csv::{comparison_csv, programs_csv};
pub use table::{comparison_table, programs_table};

use crate::program::Program;
use serde::{Deserialize, Serialize};

/// A program on both sides, or on one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The program's name.
    pub name: String,
    /// Before; `None` when it is only behind.
    pub before: Option<Program>,
    /// Behind; `None` when it is only before.
    pub after: Option<Program>,
}

/// Puts programs of the same name side by side: those of `before` in their order, then those that are only in `after`. Of
/// several programs with one name, the first belongs to the first, and so on. The names of files do not count: what is
/// compared may be two schedulers.
pub fn pair(before: &[Program], after: &[Program]) -> Vec<Pair> {
    let mut rest: Vec<_> = after.iter().map(Some).collect();
    let mut pairs: Vec<_> = before
        .iter()
        .map(|program| {
            let same = rest.iter_mut().find(|other| other.is_some_and(|other| other.name == program.name));
            let after = same.and_then(Option::take).cloned();
            Pair { name: program.name.clone(), before: Some(program.clone()), after }
        })
        .collect();
    let only = rest.into_iter().flatten();
    pairs.extend(only.map(|program| Pair { name: program.name.clone(), before: None, after: Some(program.clone()) }));
    pairs
}

/// From one count to another, in percent of the first; `None` when either is not known, or the first is 0 and the second
/// is not.
pub fn change_percent(before: Option<u64>, after: Option<u64>) -> Option<f64> {
    match (before?, after?) {
        (0, 0) => Some(0.0),
        (0, _) => None,
        (before, after) => Some((after as f64 - before as f64) / before as f64 * 100.0),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::stats::Stats;

    /// A program that was loaded, with so many instructions and states.
    pub(crate) fn program(name: &str, insns: u64, states: u64) -> Program {
        let stats = Stats {
            insns: Some(insns),
            insn_limit: Some(1_000_000),
            total_states: Some(states),
            peak_states: Some(states),
            max_states_per_insn: Some(1),
            mark_read: Some(0),
            time_us: Some(7),
            stack_bytes: vec![8, 16],
            ..Stats::default()
        };
        let file = "a.bpf.o".to_owned();
        Program { file, name: name.to_owned(), stats, verified_insns: Some(insns), load: None, rejection: None }
    }

    pub(crate) fn refused(name: &str) -> Program {
        Program::of(
            "a.bpf.o",
            name,
            b"0: (95) exit\nR0 !read_ok\nprocessed 1 insns (limit 1000000) total_states 0\n",
            false,
        )
    }

    #[test]
    fn programs_of_one_name_belong_together() {
        let before = [program("a", 1, 1), program("b", 2, 1), program("a", 3, 1)];
        let after = [program("c", 4, 1), program("a", 5, 1), program("a", 6, 1)];
        let insns = |side: &Option<Program>| side.as_ref().and_then(|program| program.stats.insns);
        let pairs: Vec<_> =
            pair(&before, &after).iter().map(|pair| (insns(&pair.before), insns(&pair.after))).collect();
        assert_eq!(pairs, [(Some(1), Some(5)), (Some(2), None), (Some(3), Some(6)), (None, Some(4))]);
    }

    #[test]
    fn changes() {
        assert_eq!(change_percent(Some(200), Some(250)), Some(25.0));
        assert_eq!(change_percent(Some(0), Some(0)), Some(0.0));
        assert_eq!(change_percent(Some(0), Some(1)), None);
        assert_eq!(change_percent(None, Some(1)), None);
    }
}
