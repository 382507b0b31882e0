//! Which variants of which tests are worth their time.

mod catalog;
mod cost;
mod features;
mod pick;
mod shard;

pub(crate) use catalog::{Listed, declared, join, schedulers, variants};
pub(crate) use cost::Costs;
pub(crate) use shard::Shard;

use pick::Candidate;
use std::collections::HashMap;
use std::fmt;

/// A test that is to be run, and what it is expected to take.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    /// The test.
    pub(crate) test: Listed,
    /// Host time of all its runs, in seconds.
    pub(crate) seconds: f64,
    /// How many of the host's CPUs its machine keeps busy.
    pub(crate) cpus: usize,
}

/// What was chosen, and how much that is of all.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    /// In the order in which they add most.
    pub(crate) picked: Vec<Choice>,
    /// What the budget has no room for.
    pub(crate) left_out: Vec<Choice>,
    /// Pairs of a feature of a machine and one of a test: those that the picked ones have, and all.
    pub(crate) pairs: (usize, usize),
}

/// Time for variants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// How long all may take.
    pub(crate) seconds: f64,
    /// CPUs of the host, which have so much time together.
    pub(crate) cpus: usize,
}

/// Takes what covers most pairs of features within the budget, or everything.
pub(crate) fn choose(choices: Vec<Choice>, budget: Option<Budget>) -> Chosen {
    let mut numbers = HashMap::new();
    let candidates: Vec<Candidate> = choices
        .iter()
        .map(|choice| {
            let pairs = features::pairs(&choice.test.description).into_iter().map(|pair| {
                let next = numbers.len();
                *numbers.entry(pair).or_insert(next)
            });
            let pairs = pairs.collect();
            // One that would be the last to end, alone, fits no better because other CPUs idle.
            let fits = budget.is_none_or(|budget| choice.seconds <= budget.seconds);
            Candidate { pairs, seconds: if fits { choice.cpu_seconds() } else { f64::INFINITY } }
        })
        .collect();
    let room = budget.map_or(f64::MAX, |budget| budget.seconds * budget.cpus as f64);
    let order = pick::pick(&candidates, room);
    let covered = pick::covered(&candidates, &order);
    let mut slots: Vec<Option<Choice>> = choices.into_iter().map(Some).collect();
    let picked = order.iter().filter_map(|number| slots[*number].take()).collect();
    Chosen { picked, left_out: slots.into_iter().flatten().collect(), pairs: (covered, numbers.len()) }
}

impl Choice {
    /// What it takes of the host's CPUs.
    fn cpu_seconds(&self) -> f64 {
        self.seconds * self.cpus as f64
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = |choices: &[Choice]| choices.iter().map(Choice::cpu_seconds).sum::<f64>() / 60.0;
        let (picked, left_out) = (self.picked.len(), self.left_out.len());
        write!(f, "{picked} of {} variants, with {} of {} pairs", picked + left_out, self.pairs.0, self.pairs.1)?;
        write!(f, " of a machine's and a test's features: about {:.1} min of CPU time", minutes(&self.picked))?;
        if left_out > 0 {
            write!(f, "; left out are {left_out}, of about {:.1} min", minutes(&self.left_out))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::features::tests::description;
    use super::*;
    use crate::binaries::{Binary, Target};
    use ktstr::PRESETS;
    use std::sync::Arc;

    #[test]
    fn a_budget_sees_every_kind_of_machine_before_any_twice() {
        let target = Target { package: "p".into(), kind: "test".into(), name: "t".into() };
        let binary = Arc::new(Binary { target, path: "/t".into(), dir: "/".into() });
        let costs = Costs::of("/absent".as_ref(), ktstr::Chosen::Tcg);
        let choices: Vec<Choice> = ["a", "b", "c"]
            .iter()
            .flat_map(|test| PRESETS.iter().map(|preset| description(test, preset)))
            .map(|description| {
                let (seconds, cpus) = (costs.seconds(&description), costs.cpus(&description, 2));
                Choice { test: Listed { binary: Arc::clone(&binary), description }, seconds, cpus }
            })
            .collect();
        let whole = choose(choices.clone(), None);
        assert_eq!((whole.picked.len(), whole.left_out.len(), whole.pairs.0), (87, 0, whole.pairs.1));
        let some = choose(choices.clone(), Some(Budget { seconds: 120.0, cpus: 2 }));
        assert!(some.picked.iter().map(Choice::cpu_seconds).sum::<f64>() <= 240.0);
        assert_eq!(some.picked.len() + some.left_out.len(), 87);
        assert!(some.pairs.0 * 10 > some.pairs.1 * 9, "{some}");
        let few = choose(choices, Some(Budget { seconds: 40.0, cpus: 64 }));
        assert!(few.picked.iter().all(|choice| choice.seconds <= 40.0), "more CPUs make no machine quicker");
        assert_eq!(few.left_out.len(), 12, "four presets are too large");
    }
}
