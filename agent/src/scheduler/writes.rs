//! Map writes at moments that the host chose.

use ktstr_wire::scheduler::{MapWrite, TimedMapWrite};

/// Writes that are still to be made, the next one last.
pub(super) struct Writes {
    pending: Vec<(u32, TimedMapWrite)>,
    /// When the program was started; nothing is due before.
    started_ns: Option<u64>,
}

impl Writes {
    pub(super) fn new(writes: &[TimedMapWrite]) -> Self {
        let mut pending: Vec<_> = (0..).zip(writes.iter().cloned()).collect();
        // Those of one moment in the order of declaration.
        pending.sort_by_key(|(number, write)| std::cmp::Reverse((write.after_ns, *number)));
        Self { pending, started_ns: None }
    }

    /// The program has been started; their time runs.
    pub(super) fn begin(&mut self, now_ns: u64) {
        self.started_ns = Some(now_ns);
    }

    /// The program has ended. What was not due before is not made; it is told here, next one last.
    pub(super) fn end(&mut self) -> Vec<TimedMapWrite> {
        std::mem::take(&mut self.pending).into_iter().map(|(_, timed)| timed).collect()
    }

    /// When the next one is due.
    pub(super) fn due_ns(&self) -> Option<u64> {
        let (_, write) = self.pending.last()?;
        Some(self.started_ns?.saturating_add(write.after_ns))
    }

    /// The next one that is due, with its number in the order.
    pub(super) fn take_due(&mut self, now_ns: u64) -> Option<(u32, MapWrite)> {
        self.due_ns().filter(|due_ns| *due_ns <= now_ns)?;
        self.pending.pop().map(|(number, timed)| (number, timed.write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_wire::scheduler::MapTarget;

    fn timed(after_ns: u64) -> TimedMapWrite {
        let write = MapWrite { target: MapTarget::Variable("x".to_owned()), value: vec![1] };
        TimedMapWrite { after_ns, write }
    }

    fn numbers(writes: &mut Writes, now_ns: u64) -> Vec<u32> {
        std::iter::from_fn(|| writes.take_due(now_ns)).map(|(number, _)| number).collect()
    }

    #[test]
    fn writes_come_in_the_order_of_their_times() {
        let mut writes = Writes::new(&[timed(30), timed(10), timed(10), timed(20)]);
        assert_eq!((writes.due_ns(), numbers(&mut writes, u64::MAX)), (None, vec![]));
        writes.begin(100);
        assert_eq!(writes.due_ns(), Some(110));
        assert_eq!(numbers(&mut writes, 109), []);
        assert_eq!(numbers(&mut writes, 120), [1, 2, 3]);
        assert_eq!(writes.end(), [timed(30)]);
        assert_eq!((writes.due_ns(), numbers(&mut writes, 1000)), (None, vec![]));
    }
}
