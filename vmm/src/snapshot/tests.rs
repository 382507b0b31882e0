//! What becomes of a snapshot whose files are not what they were.

use super::*;
use crate::layout::RamLayout;
use crate::memory::{Backing, GuestRam};
use ktstr_wire::Node;
use proptest::prelude::*;
use std::os::unix::fs::{FileExt, MetadataExt};
use vm_memory::{Bytes, GuestAddress};

const MIB: u64 = 1 << 20;

/// Across both nodes, on both sides of a huge page's border, at the very end.
const WRITTEN: [u64; 5] = [0, 2 * MIB - 2, 100 * MIB + 5000, 129 * MIB, RAM_BYTES - 8];

const RAM_BYTES: u64 = 260 * MIB;

fn nodes() -> [Node; 2] {
    [130, 130].map(|mib| Node { llcs: 1, memory_bytes: mib * MIB })
}

fn layout() -> RamLayout {
    RamLayout::new(&nodes().map(|node| node.memory_bytes), 2 * MIB).unwrap()
}

fn ram(backing: Backing) -> GuestRam {
    let ram = GuestRam::new(layout(), &nodes(), backing).unwrap();
    write_marks(&ram, 7);
    ram
}

fn write_marks(ram: &GuestRam, mark: u32) {
    WRITTEN.iter().for_each(|gpa| ram.mapped().write_obj(mark, GuestAddress(*gpa)).unwrap());
}

fn marks(ram: &GuestRam) -> [u32; 5] {
    WRITTEN.map(|gpa| ram.mapped().read_obj(GuestAddress(gpa)).unwrap())
}

fn saved(backing: Backing) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), "a machine", &ram(backing), b"its state", [b"console", b"control"]).unwrap();
    dir
}

fn manifest(dir: &tempfile::TempDir) -> String {
    std::fs::read_to_string(dir.path().join("snapshot.json")).unwrap()
}

fn error(dir: &Path, identity: &str) -> String {
    Snapshot::open(dir, identity).unwrap_err().to_string()
}

#[test]
fn what_was_saved_is_there_again() {
    for backing in [Backing::Private, Backing::SharedFiles] {
        let dir = saved(backing);
        let snapshot = Snapshot::open(dir.path(), "a machine").unwrap();
        assert_eq!((snapshot.state(), snapshot.logs()), (&b"its state"[..], [&b"console"[..], b"control"]));
        let file = snapshot.ram(RAM_BYTES).unwrap();
        for into in [Backing::Private, Backing::SharedFiles] {
            let fork = GuestRam::forked(layout(), &nodes(), into, file).unwrap();
            assert_eq!(marks(&fork), [7; 5], "{backing:?} {into:?}");
            let again = tempfile::tempdir().unwrap();
            save(again.path(), "a machine", &fork, b"its state", [b"console", b"control"]).unwrap();
            assert_eq!(manifest(&again), manifest(&dir), "{backing:?} {into:?}: all the rest is zeros");
        }
        let filled = GuestRam::new(layout(), &nodes(), Backing::Private).unwrap();
        filled.fill(file).unwrap();
        assert_eq!(marks(&filled), [7; 5]);
    }
}

#[test]
fn forks_share_nothing_that_is_written() {
    let dir = saved(Backing::Private);
    let snapshot = Snapshot::open(dir.path(), "a machine").unwrap();
    let file = snapshot.ram(RAM_BYTES).unwrap();
    for backing in [Backing::Private, Backing::SharedFiles] {
        let [one, other] = [1, 2].map(|_| GuestRam::forked(layout(), &nodes(), backing, file).unwrap());
        write_marks(&one, 1);
        write_marks(&other, 2);
        assert_eq!((marks(&one), marks(&other)), ([1; 5], [2; 5]));
        Snapshot::open(dir.path(), "a machine").unwrap();
    }
}

#[test]
fn a_replaced_snapshot_stays_for_those_who_use_it() {
    let dir = saved(Backing::Private);
    let snapshot = Snapshot::open(dir.path(), "a machine").unwrap();
    let fork = GuestRam::forked(layout(), &nodes(), Backing::Private, snapshot.ram(RAM_BYTES).unwrap()).unwrap();
    dir.close().unwrap();
    assert_eq!(marks(&fork), [7; 5]);
    assert_eq!(marks(&GuestRam::forked(layout(), &nodes(), Backing::Private, &snapshot.ram).unwrap()), [7; 5]);
}

#[test]
fn pages_of_zeros_take_no_room() {
    let dir = saved(Backing::SharedFiles);
    let held_bytes = std::fs::metadata(dir.path().join(RAM)).unwrap().blocks() * 512;
    assert!(held_bytes <= 8 * WRITTEN.len() as u64 * 4096, "{held_bytes} bytes are held");
}

#[test]
fn a_file_system_without_holes_makes_no_difference() {
    let dir = saved(Backing::Private);
    let path = dir.path().join(RAM);
    let content = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, content).unwrap();
    let snapshot = Snapshot::open(dir.path(), "a machine").unwrap();
    for backing in [Backing::Private, Backing::SharedFiles] {
        let fork = GuestRam::forked(layout(), &nodes(), backing, snapshot.ram(RAM_BYTES).unwrap()).unwrap();
        assert_eq!(marks(&fork), [7; 5]);
    }
}

#[test]
fn other_machines_are_told() {
    let dir = saved(Backing::Private);
    let text = error(dir.path(), "another");
    assert!(text.contains("is of another machine: of \"a machine\", and \"another\" is wanted"), "{text}");
    let text = error(dir.path(), "a machine\nof two lines");
    assert!(text.contains("of \"a machine\", and"), "{text}");
    let text = Snapshot::open(dir.path(), "a machine").unwrap().ram(512 * MIB).unwrap_err().to_string();
    assert!(text.contains("272629760 bytes of RAM") && text.contains("has 536870912"), "{text}");
}

/// Flips one bit, and back again.
fn with_flipped(path: &Path, offset: u64, bit: u32, check: impl FnOnce()) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1 << bit], offset).unwrap();
    check();
    file.write_all_at(&byte, offset).unwrap();
}

#[test]
fn a_flipped_bit_is_found_and_said() {
    let dir = saved(Backing::Private);
    let places =
        [RAM, RAM, RAM, STATE, CONSOLE, CONTROL].into_iter().zip([0, 100 * MIB + 5000, 200 * MIB + 1, 3, 6, 0]);
    for (name, offset) in places {
        let path = dir.path().join(name);
        with_flipped(&path, offset, 5, || {
            let text = error(dir.path(), "a machine");
            assert!(text.starts_with(&format!("{} is damaged: its checksum is", path.display())), "{text}");
        });
    }
    Snapshot::open(dir.path(), "a machine").unwrap();
}

#[test]
fn no_bit_of_the_manifest_is_without_use() {
    let dir = saved(Backing::Private);
    let path = dir.path().join("snapshot.json");
    for offset in 0..std::fs::metadata(&path).unwrap().len() {
        for bit in 0..8 {
            // What the RAM's checksum is compared with is in the manifest, so it need not be computed each time.
            with_flipped(&path, offset, bit, || {
                let same = Manifest::read(dir.path(), "a machine").is_ok_and(|found| found.is_as(&dir));
                assert!(!same, "byte {offset} bit {bit}");
            });
        }
    }
}

impl Manifest {
    /// Whether it describes the files that are there.
    fn is_as(&self, dir: &tempfile::TempDir) -> bool {
        let ram = pages::digest(&File::open(dir.path().join(RAM)).unwrap(), RAM_BYTES).unwrap();
        self.ram.bytes == RAM_BYTES
            && self.ram.blake3 == ram
            && [(STATE, &self.state), (CONSOLE, &self.console), (CONTROL, &self.control)]
                .iter()
                .all(|(name, expected)| read(&dir.path().join(name), expected).is_ok())
    }
}

#[test]
fn another_length_is_found_and_said() {
    let dir = saved(Backing::Private);
    for name in [RAM, STATE, CONSOLE, CONTROL] {
        let path = dir.path().join(name);
        let content = std::fs::read(&path).unwrap();
        for length in [0, content.len() as u64 - 1, content.len() as u64 + 1] {
            File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
            let text = error(dir.path(), "a machine");
            let expected = format!("{} is damaged: it has {length} bytes and had {}", path.display(), content.len());
            assert!(text.starts_with(&expected), "{text}");
        }
        std::fs::write(&path, content).unwrap();
    }
    Snapshot::open(dir.path(), "a machine").unwrap();
}

#[test]
fn missing_files_are_named() {
    for name in [RAM, STATE, CONSOLE, CONTROL, "snapshot.json"] {
        let dir = saved(Backing::Private);
        let path = dir.path().join(name);
        std::fs::remove_file(&path).unwrap();
        let text = error(dir.path(), "a machine");
        assert!(text.contains(path.to_str().unwrap()) && text.contains("No such file"), "{text}");
    }
}

#[test]
fn a_manifest_of_something_else_is_told() {
    let dir = saved(Backing::Private);
    let path = dir.path().join("snapshot.json");
    let good = manifest(&dir);
    for (bad, expected) in [
        ("", "EOF"),
        ("\0\u{7f}garbage", "expected value"),
        ("[]", "invalid length"),
        (&good[..good.len() / 2], "EOF"),
        (&good.replace("\"format\": 1", "\"format\": 2"), "its format is 2, and this program knows 1"),
        (&good.replace("\"state\"", "\"status\""), "unknown field `status`"),
    ] {
        std::fs::write(&path, bad).unwrap();
        let text = error(dir.path(), "a machine");
        assert!(text.starts_with(&path.display().to_string()) && text.contains(expected), "{text}");
    }
}

/// A value of a manifest that somebody else wrote.
fn hostile() -> impl Strategy<Value = String> {
    let lengths = [0, 1, RAM_BYTES - 1, RAM_BYTES + 1, 1 << 40, i64::MAX as u64, u64::MAX];
    let length = proptest::sample::select(lengths.to_vec()).prop_map(|length| length.to_string());
    prop_oneof![
        length,
        any::<i64>().prop_map(|number| number.to_string()),
        "\"[a-z/.]{0,64}\"",
        Just("null".to_owned())
    ]
}

#[test]
fn no_manifest_but_its_own_opens_a_snapshot() {
    let dir = saved(Backing::Private);
    let path = dir.path().join("snapshot.json");
    let good: Vec<String> = manifest(&dir).lines().map(str::to_owned).collect();
    proptest!(ProptestConfig::with_cases(64), |(at in 0..good.len(), value in hostile())| {
        let mut lines = good.clone();
        if let Some((key, _)) = good[at].split_once(": ") {
            let comma = if good[at].ends_with(',') { "," } else { "" };
            lines[at] = format!("{key}: {value}{comma}");
        } else {
            lines.remove(at);
        }
        // What is hostile in one line is what another has.
        prop_assume!(lines != good);
        std::fs::write(&path, lines.join("\n")).unwrap();
        // Of RAM that has not changed the checksum is not looked at.
        let _ = std::fs::remove_file(dir.path().join(COMPARED));
        let text = error(dir.path(), "a machine");
        prop_assert!(text.contains(dir.path().to_str().unwrap()), "{text}");
    });
}

#[test]
fn what_would_fill_the_memory_is_not_read() {
    let dir = saved(Backing::Private);
    let bytes = 1_u64 << 40;
    File::options().write(true).open(dir.path().join(STATE)).unwrap().set_len(bytes).unwrap();
    let text = manifest(&dir).replace("\"bytes\": 9", &format!("\"bytes\": {bytes}"));
    std::fs::write(dir.path().join("snapshot.json"), text).unwrap();
    let text = error(dir.path(), "a machine");
    assert!(text.contains("1099511627776 bytes are more than any machine has"), "{text}");
}

#[test]
fn a_snapshot_is_never_written_over() {
    let dir = saved(Backing::Private);
    let again = save(dir.path(), "a machine", &ram(Backing::Private), b"", [b"", b""]).unwrap_err().to_string();
    assert!(again.contains("File exists"), "{again}");
    Snapshot::open(dir.path(), "a machine").unwrap();
}
