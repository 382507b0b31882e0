//! Our plugin inside QEMU, which gives vCPUs fair turns where QEMU itself does not.

use super::Version;
use crate::memfd;
use std::fs::File;
use std::io::{self, Write};

/// The shared object, made by the build script from `vmm/plugin`.
const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ktstr-plugin.so"));

/// The first release that shares the time up to the next timer out among all vCPUs. It also tells plugins the wrong vCPU
/// when all run on one thread.
const FAIR_SINCE: Version = Version { major: 8, minor: 1 };

/// A vCPU's turn in nanoseconds of guest time: half the shortest tick that Linux has, so that whoever waits for
/// another vCPU has it soon, and long enough that going round costs little.
pub(super) const TURN_NS: u64 = 500_000;

/// The plugin as a file without a path, if this release needs it.
///
/// # Errors
/// What the host returned.
pub(super) fn file(version: Version) -> io::Result<Option<File>> {
    if version >= FAIR_SINCE {
        return Ok(None);
    }
    let mut file = memfd::create(c"ktstr-plugin")?;
    file.write_all(OBJECT)?;
    Ok(Some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_qemu_without_fair_turns_gets_it() {
        let has = |major, minor| file(Version { major, minor }).unwrap().is_some();
        assert!(has(7, 2) && has(8, 0));
        assert!(!has(8, 1) && !has(10, 0));
    }
}
