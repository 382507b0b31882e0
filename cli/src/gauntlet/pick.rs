//! The choice of what covers most in little time: greedy set cover by gain per second (Khuller, Moss and Naor, The budgeted
//! maximum coverage problem, 1999).

/// What can be picked.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// What it covers, as small numbers.
    pub(super) pairs: Vec<usize>,
    /// What it takes.
    pub(super) seconds: f64,
}

/// Numbers of the candidates that are picked, the one that adds most for its time first. When nothing more can be added, all
/// pairs count again, for a second look at each, until the budget is spent. Equals go by their order.
pub(super) fn pick(candidates: &[Candidate], budget_seconds: f64) -> Vec<usize> {
    let mut covered = vec![false; pair_count(candidates)];
    let mut left: Vec<usize> = (0..candidates.len()).collect();
    let (mut picked, mut room, mut fresh) = (Vec::new(), budget_seconds, true);
    loop {
        left.retain(|number| candidates[*number].seconds <= room);
        match best(candidates, &left, &covered) {
            Some(number) => {
                candidates[number].pairs.iter().for_each(|pair| covered[*pair] = true);
                room -= candidates[number].seconds;
                left.retain(|other| *other != number);
                picked.push(number);
                fresh = false;
            }
            None if fresh => return picked,
            None => {
                covered.fill(false);
                fresh = true;
            }
        }
    }
}

/// How many pairs these candidates cover together.
pub(super) fn covered(candidates: &[Candidate], numbers: &[usize]) -> usize {
    let mut covered = vec![false; pair_count(candidates)];
    numbers.iter().flat_map(|number| &candidates[*number].pairs).for_each(|pair| covered[*pair] = true);
    covered.into_iter().filter(|is_covered| *is_covered).count()
}

fn pair_count(candidates: &[Candidate]) -> usize {
    candidates.iter().flat_map(|candidate| &candidate.pairs).max().map_or(0, |pair| pair + 1)
}

/// The one that adds most per second; none if nothing adds anything.
fn best(candidates: &[Candidate], left: &[usize], covered: &[bool]) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for number in left {
        let candidate = &candidates[*number];
        let gain = candidate.pairs.iter().filter(|pair| !covered[**pair]).count();
        let rate = gain as f64 / candidate.seconds.max(1e-3);
        if gain > 0 && best.is_none_or(|(_, best)| rate > best) {
            best = Some((*number, rate));
        }
    }
    best.map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn candidate(pairs: &[usize], seconds: f64) -> Candidate {
        Candidate { pairs: pairs.to_vec(), seconds }
    }

    #[test]
    fn what_covers_most_per_second_comes_first() {
        let candidates =
            [candidate(&[0, 1, 2, 3], 60.0), candidate(&[0, 1], 5.0), candidate(&[2], 5.0), candidate(&[1], 5.0)];
        assert_eq!(pick(&candidates, 12.0), [1, 2]);
        assert_eq!(pick(&candidates, 17.0), [1, 2, 3], "time that is left is for a second look");
        assert_eq!(pick(&candidates, 4.0), [] as [usize; 0]);
        assert_eq!(pick(&candidates, f64::INFINITY), [1, 2, 0, 3]);
        assert_eq!(covered(&candidates, &[1, 3]), 2);
    }

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let one = (prop::collection::hash_set(0_usize..30, 1..12), 1_u32..600);
        let one = one.prop_map(|(pairs, tenths)| {
            let mut pairs: Vec<usize> = pairs.into_iter().collect();
            pairs.sort_unstable();
            Candidate { pairs, seconds: f64::from(tenths) / 10.0 }
        });
        prop::collection::vec(one, 0..40)
    }

    proptest! {
        #[test]
        fn a_budget_is_kept_and_used(candidates in candidates(), budget in 0.0..400.0) {
            let picked = pick(&candidates, budget);
            let spent: f64 = picked.iter().map(|number| candidates[*number].seconds).sum();
            prop_assert!(spent <= budget + 1e-9);
            let distinct: HashSet<usize> = picked.iter().copied().collect();
            prop_assert_eq!(distinct.len(), picked.len());
            let fits = |number: &usize| candidates[*number].seconds <= budget - spent - 1e-9;
            let left: Vec<usize> = (0..candidates.len()).filter(|number| !distinct.contains(number)).collect();
            prop_assert!(!left.iter().any(fits), "there was room for another");
        }

        #[test]
        fn the_choice_is_always_the_same(candidates in candidates(), budget in 0.0..400.0) {
            prop_assert_eq!(pick(&candidates, budget), pick(&candidates, budget));
        }

        #[test]
        fn without_a_budget_nothing_is_left_out(candidates in candidates()) {
            prop_assert_eq!(pick(&candidates, f64::INFINITY).len(), candidates.len());
        }
    }
}
