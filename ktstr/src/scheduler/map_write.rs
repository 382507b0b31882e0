//! Values written into a scheduler's BPF maps while a test runs.

use ktstr_wire::scheduler::{MapTarget, MapWrite, TimedMapWrite};
use std::fmt;
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

    /// As the agent takes it, with its time.
    pub(crate) fn timed(&self) -> TimedMapWrite {
        let target = match self.target {
            Target::Variable(name) => MapTarget::Variable(name.to_owned()),
            Target::Element { map, key } => MapTarget::Element { map: map.to_owned(), key: key.to_vec() },
        };
        let write = MapWrite { target, value: self.value.to_vec() };
        TimedMapWrite { after_ns: self.after.as_nanos() as u64, write }
    }
}

/// A write in words: `stall = 01000000`.
pub(crate) struct MapWriteText<'a>(pub(crate) &'a MapWrite);

/// The most bytes of a key or a value that are shown.
const SHOWN_BYTES: usize = 16;

impl fmt::Display for MapWriteText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.target {
            MapTarget::Variable(name) => write!(f, "{name}")?,
            MapTarget::Element { map, key } => write!(f, "{map}[{}]", hex(key))?,
        }
        write!(f, " = {}", hex(&self.0.value))
    }
}

fn hex(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(SHOWN_BYTES).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > SHOWN_BYTES { format!("{shown}... ({} bytes)", bytes.len()) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: BpfMapWrite, expected: &str) {
        assert_eq!(MapWriteText(&write.timed().write).to_string(), expected);
    }

    #[test]
    fn a_write_is_shown_as_bytes() {
        check(BpfMapWrite::variable("stall", &[1, 0, 0xab, 0]), "stall = 0100ab00");
        check(
            BpfMapWrite::element("opts", &[2], &[0; 20]),
            "opts[02] = 00000000000000000000000000000000... (20 bytes)",
        );
    }
}
