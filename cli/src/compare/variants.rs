//! The records of a run by variant: what can be compared with the same variant of another run.

use crate::runs::Run;
use ktstr::{Chosen, Record, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// A test on a machine with a profile of its scheduler; and on a kernel, where both runs have the same several.
pub(super) type Name = String;

/// All of one run's records of a variant.
#[derive(Debug, Default)]
pub(super) struct Variant<'a> {
    /// Those that are samples of their own.
    pub(super) records: Vec<&'a Record>,
    /// Repeats of a deterministic run: the same again, so no further samples.
    pub(super) repeats: usize,
    /// What came out, of all of them, and of records that cannot be read.
    pub(super) verdicts: Vec<Verdict>,
}

/// How bad a verdict is.
fn badness(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Skip { .. } => 1,
        Verdict::Inconclusive { .. } => 2,
        Verdict::Fail { .. } => 3,
    }
}

impl<'a> Variant<'a> {
    fn add(&mut self, record: &'a Record) {
        self.verdicts.push(record.verdict.clone());
        let same_again = |other: &&Record| {
            let same = |of: fn(&Record) -> Option<String>| of(record) == of(other);
            record.accel == Some(Chosen::Tcg)
                && other.accel == record.accel
                && other.seed == record.seed
                && other.images == record.images
                && same(|record| record.kernel.as_ref().map(|kernel| kernel.id.clone()))
        };
        match self.records.iter().any(same_again) {
            true => self.repeats += 1,
            false => self.records.push(record),
        }
    }

    /// The badness of the worst verdict.
    pub(super) fn worst(&self) -> usize {
        self.verdicts.iter().map(badness).max().unwrap_or(0)
    }

    /// The verdicts in words, the worst first.
    pub(super) fn in_words(&self) -> String {
        let mut counts: BTreeMap<usize, (&str, usize)> = BTreeMap::new();
        for verdict in &self.verdicts {
            counts.entry(badness(verdict)).or_insert((verdict.word(), 0)).1 += 1;
        }
        let words: Vec<String> = counts.values().rev().map(|(word, count)| format!("{count} {word}")).collect();
        words.join(", ")
    }
}

/// The kernels that a run's records had.
pub(super) fn kernels(run: &Run) -> BTreeSet<String> {
    run.records().filter_map(|record| record.kernel.as_ref().map(|kernel| kernel.id.clone())).collect()
}

/// The variants of a run. Where runs of several kernels are compared, the kernel is a part of the name.
pub(super) fn variants(run: &Run, by_kernel: bool) -> BTreeMap<Name, Variant<'_>> {
    let mut all: BTreeMap<Name, Variant<'_>> = BTreeMap::new();
    for record in run.records() {
        let kernel = record.kernel.as_ref().filter(|_| by_kernel);
        let kernel = kernel.map_or_else(String::new, |kernel| format!(" on {}", kernel.id));
        all.entry(record.variant() + &kernel).or_default().add(record);
    }
    for damaged in &run.damaged {
        all.entry(damaged.test.clone()).or_default().verdicts.push(damaged.verdict());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::tests::{record, run};

    #[test]
    fn a_repeat_of_a_deterministic_run_is_no_second_sample() {
        let with = |accel, seed| Record { accel: Some(accel), seed, ..record("a", Verdict::Pass) };
        let check = |records: Vec<Record>, samples, repeats| {
            let run = run(records);
            let all = variants(&run, false);
            assert_eq!((all["a"].records.len(), all["a"].repeats, all["a"].verdicts.len()), (samples, repeats, 2));
        };
        check(vec![with(Chosen::Tcg, 1), with(Chosen::Tcg, 1)], 1, 1);
        check(vec![with(Chosen::Tcg, 1), with(Chosen::Tcg, 2)], 2, 0);
        check(vec![with(Chosen::Kvm, 1), with(Chosen::Kvm, 1)], 2, 0);
    }

    #[test]
    fn profiles_are_not_compared_with_each_other() {
        let with = |flags: &[&str], seed| {
            let profile = Some(ktstr::Profile(flags.iter().map(|flag| (*flag).to_owned()).collect()));
            Record { profile, seed, ..record("a", Verdict::Pass) }
        };
        let run = run([with(&[], 1), with(&["llc"], 1), with(&["llc"], 2)]);
        let all = variants(&run, false);
        let samples: Vec<(&str, usize)> =
            all.iter().map(|(name, variant)| (name.as_str(), variant.records.len())).collect();
        assert_eq!(samples, [("a, profile llc", 2), ("a, profile plain", 1)]);
    }

    #[test]
    fn verdicts_are_counted_the_worst_first() {
        let fail = Verdict::Fail { findings: vec![] };
        let run = run([record("a", Verdict::Pass), record("a", fail), record("a", Verdict::Pass)]);
        let all = variants(&run, true);
        let variant = &all["a on 7.3.4-1"];
        assert_eq!((variant.in_words().as_str(), variant.worst()), ("1 Fail, 2 Pass", 3));
    }
}
