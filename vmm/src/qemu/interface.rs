//! Which plugin interface a QEMU release takes, and how the plugin comes to speak it.

use super::Version;

/// The plugin, with a mark in the place of the interface's number. The build script makes it from `vmm/plugin`.
const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ktstr-plugin.so"));

/// The mark: what `qemu_plugin_version` in `vmm/plugin/plugin.rs` was compiled with.
const MARK: &[u8; 4] = b"%IF%";

/// Where it is in the object, once.
const MARK_AT: usize = only_place(OBJECT, MARK);

/// An interface, and the first release that takes it: `QEMU_PLUGIN_VERSION` (include/qemu/qemu-plugin.h, since 11.0
/// include/plugins/qemu-plugin.h) is not below it, and `QEMU_PLUGIN_MIN_VERSION` (plugins/plugin.h) not above it until the next
/// line's release. What the plugin uses is the same in all of them, but for the translation callback's arguments, which
/// changed with 7.
const SINCE: [(Version, u8); 3] =
    [(Version { major: 9, minor: 0 }, 2), (Version { major: 11, minor: 0 }, 6), (Version { major: 11, minor: 1 }, 7)];

/// The interface to speak to a release; to one that is newer than all that are known here, the newest.
pub(super) fn of(version: Version) -> u8 {
    SINCE.iter().rev().find(|(since, _)| version >= *since).map_or(1, |(_, interface)| *interface)
}

/// The plugin, speaking that interface.
pub(super) fn object(interface: u8) -> Vec<u8> {
    let mut object = OBJECT.to_vec();
    object[MARK_AT..][..MARK.len()].copy_from_slice(&u32::from(interface).to_le_bytes());
    object
}

/// Of the plugin, whatever interface it speaks.
pub(super) fn checksum() -> String {
    blake3::hash(OBJECT).to_string()
}

/// Where the mark is. No build passes with none, or with two.
const fn only_place(object: &[u8], mark: &[u8; 4]) -> usize {
    let nowhere = object.len();
    let mut found = nowhere;
    let mut at = 0;
    while at + mark.len() <= object.len() {
        if object[at] == mark[0] && object[at + 1] == mark[1] && object[at + 2] == mark[2] && object[at + 3] == mark[3]
        {
            assert!(found == nowhere, "the plugin's mark is in it twice");
            found = at;
        }
        at += 1;
    }
    assert!(found != nowhere, "the plugin's mark is not in it");
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(major: u32, minor: u32, expected: u8) {
        assert_eq!(of(Version { major, minor }), expected, "{major}.{minor}");
    }

    #[test]
    fn every_release_is_spoken_to_in_an_interface_that_it_takes() {
        check(7, 2, 1);
        check(8, 2, 1);
        check(9, 0, 2);
        check(9, 2, 2);
        check(10, 0, 2);
        check(10, 2, 2);
        check(11, 0, 6);
        check(11, 1, 7);
        check(12, 0, 7);
    }

    #[test]
    fn only_the_mark_is_written_over() {
        let object = object(6);
        assert_eq!(object[MARK_AT..][..4], [6, 0, 0, 0]);
        assert_eq!((&object[..MARK_AT], &object[MARK_AT + 4..]), (&OBJECT[..MARK_AT], &OBJECT[MARK_AT + 4..]));
    }
}
