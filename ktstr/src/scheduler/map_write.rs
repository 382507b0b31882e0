//! Values written into a scheduler's BPF maps while a test runs.

use ktstr_wire::scheduler::{MapTarget, MapWrite, TimedMapWrite};
use std::time::Duration;

/// A value written into a map of the scheduler under test, at a moment of the test:
///
/// ```
/// use ktstr::prelude::*;
///
/// const STALL: BpfMapWrite = BpfMapWrite::variable("fault_stall_task", &1u32.to_ne_bytes()).after(Duration::from_millis(500));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BpfMapWrite {
    target: Target,
    value: &'static [u8],
    after: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Variable(&'static str),
    Element { map: &'static str, key: &'static [u8] },
}

impl BpfMapWrite {
    /// Sets a global variable of the scheduler's BPF side, by its name there; the value as it is in memory.
    pub const fn variable(name: &'static str, value: &'static [u8]) -> Self {
        Self { target: Target::Variable(name), value, after: Duration::ZERO }
    }

    /// Sets a whole element of a map, by the map's name; key and value as they are in memory.
    pub const fn element(map: &'static str, key: &'static [u8], value: &'static [u8]) -> Self {
        Self { target: Target::Element { map, key }, value, after: Duration::ZERO }
    }

    /// The same, so long after the start of the test's body.
    #[must_use]
    pub const fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }

    /// As the agent takes it.
    pub(crate) fn write(&self) -> MapWrite {
        let target = match self.target {
            Target::Variable(name) => MapTarget::Variable(name.to_owned()),
            Target::Element { map, key } => MapTarget::Element { map: map.to_owned(), key: key.to_vec() },
        };
        MapWrite { target, value: self.value.to_vec() }
    }

    /// As the agent takes it, with its time.
    pub(crate) fn timed(&self) -> TimedMapWrite {
        TimedMapWrite { after_ns: self.after.as_nanos() as u64, write: self.write() }
    }
}
