//! Stretches of time on tracks. What is drawn on one track must not overlap.

/// A stretch, with what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice<T> {
    /// Its beginning, in nanoseconds of guest time.
    pub(super) from_ns: u64,
    /// Its end.
    pub(super) to_ns: u64,
    /// What it is.
    pub(super) what: T,
}

impl<T> Slice<T> {
    /// From a beginning and a length.
    pub(super) fn new(from_ns: u64, length_ns: u64, what: T) -> Self {
        Self { from_ns, to_ns: from_ns.saturating_add(length_ns), what }
    }
}

/// The same time with one thing at a time: what began last. A worker that tells where it ran leaves out gaps too short for
/// it to see, in which another one told that it ran there.
pub(super) fn flatten<T: Copy + PartialEq>(mut slices: Vec<Slice<T>>) -> Vec<Slice<T>> {
    slices.sort_by_key(|slice| (slice.from_ns, std::cmp::Reverse(slice.to_ns)));
    let mut flat: Vec<Slice<T>> = Vec::new();
    let mut open: Vec<Slice<T>> = Vec::new();
    let mut now_ns = 0;
    for slice in slices {
        advance(&mut open, &mut flat, &mut now_ns, slice.from_ns);
        open.push(slice);
    }
    advance(&mut open, &mut flat, &mut now_ns, u64::MAX);
    flat
}

/// Draws what is open up to `until_ns`.
fn advance<T: Copy + PartialEq>(open: &mut Vec<Slice<T>>, flat: &mut Vec<Slice<T>>, now_ns: &mut u64, until_ns: u64) {
    while let Some(top) = open.last().copied() {
        let from_ns = top.from_ns.max(*now_ns);
        let to_ns = top.to_ns.min(until_ns);
        if from_ns < to_ns {
            match flat.last_mut() {
                Some(last) if last.to_ns == from_ns && last.what == top.what => last.to_ns = to_ns,
                _ => flat.push(Slice { from_ns, to_ns, what: top.what }),
            }
        }
        *now_ns = (*now_ns).max(to_ns);
        if top.to_ns > until_ns {
            break;
        }
        open.pop();
    }
    *now_ns = (*now_ns).max(until_ns);
}

/// The slices on as few tracks as there are at once: each on the first one that is free.
pub(super) fn rows<T>(mut slices: Vec<Slice<T>>) -> Vec<Vec<Slice<T>>> {
    slices.sort_by_key(|slice| slice.from_ns);
    let mut rows: Vec<Vec<Slice<T>>> = Vec::new();
    for slice in slices {
        let free = rows.iter_mut().find(|row| row.last().is_none_or(|last| last.to_ns <= slice.from_ns));
        match free {
            Some(row) => row.push(slice),
            None => rows.push(vec![slice]),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(slices: &[(u64, u64, char)], expected: &[(u64, u64, char)]) {
        let of = |&(from_ns, to_ns, what): &(u64, u64, char)| Slice { from_ns, to_ns, what };
        let flat = flatten(slices.iter().map(of).collect());
        assert_eq!(flat, expected.iter().map(of).collect::<Vec<_>>());
    }

    #[test]
    fn what_began_last_is_on_top() {
        check(&[(0, 10, 'a'), (10, 20, 'b')], &[(0, 10, 'a'), (10, 20, 'b')]);
        check(&[(0, 10, 'a'), (3, 4, 'b')], &[(0, 3, 'a'), (3, 4, 'b'), (4, 10, 'a')]);
        check(&[(0, 10, 'a'), (5, 15, 'b')], &[(0, 5, 'a'), (5, 15, 'b')]);
        check(
            &[(0, 20, 'a'), (5, 15, 'b'), (6, 7, 'c')],
            &[(0, 5, 'a'), (5, 6, 'b'), (6, 7, 'c'), (7, 15, 'b'), (15, 20, 'a')],
        );
        check(&[(0, 5, 'a'), (5, 9, 'a'), (12, 12, 'b')], &[(0, 9, 'a')]);
    }

    proptest! {
        #[test]
        fn nothing_overlaps_and_no_time_is_lost(times in prop::collection::vec((0_u64..50, 0_u64..20), 0..20)) {
            let slices: Vec<Slice<usize>> =
                times.iter().enumerate().map(|(what, (from_ns, length_ns))| Slice::new(*from_ns, *length_ns, what)).collect();
            let flat = flatten(slices.clone());
            prop_assert!(flat.windows(2).all(|pair| pair[0].to_ns <= pair[1].from_ns));
            for at_ns in 0..80 {
                let covers = |slice: &&Slice<usize>| slice.from_ns <= at_ns && at_ns < slice.to_ns;
                let top = slices.iter().filter(covers).max_by_key(|slice| (slice.from_ns, std::cmp::Reverse(slice.to_ns), slice.what));
                let drawn = flat.iter().find(covers);
                prop_assert_eq!(drawn.map(|slice| slice.what), top.map(|slice| slice.what));
            }
        }
    }

    #[test]
    fn rows_are_as_few_as_can_be() {
        let of = |(from_ns, to_ns)| Slice { from_ns, to_ns, what: () };
        let rows = rows([(0, 10), (5, 15), (10, 12), (16, 20)].map(of).to_vec());
        assert_eq!(rows, [vec![of((0, 10)), of((10, 12)), of((16, 20))], vec![of((5, 15))]]);
    }
}
