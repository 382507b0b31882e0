//! A note that a file's checksum has been compared, so that it need not be again as long as nobody writes to the file.
//!
//! Each write changes the time of the last change in the file's inode, which no program can set (stat(2), `st_ctim`). A host
//! that loses power may lose what was written and keep that time, so a note is good until the host boots again.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Another in each boot of the host (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Whether that was noted of the file as it is now.
pub(super) fn is_noted(note: &Path, file: &File) -> bool {
    let (noted, now) = (fs::read_to_string(note), of(file));
    matches!((noted, now), (Ok(noted), Ok(now)) if noted == now)
}

/// Notes it. Without a note the checksum is compared again.
pub(super) fn put(note: &Path, file: &File) {
    let _ = of(file).and_then(|stamp| fs::write(note, stamp));
}

fn of(file: &File) -> io::Result<String> {
    let now = file.metadata()?;
    let boot = fs::read_to_string(BOOT_ID)?;
    let changed = format!("{}.{:09}", now.ctime(), now.ctime_nsec());
    Ok(format!("inode {} of {} bytes, changed at {changed} in the boot {boot}", now.ino(), now.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_note_is_good_until_the_file_is_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let (path, note) = (dir.path().join("file"), dir.path().join("note"));
        fs::write(&path, "one").unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        assert!(!is_noted(&note, &file));
        put(&note, &file);
        assert!(is_noted(&note, &file));
        let text = fs::read_to_string(&note).unwrap();
        let (now, boot) = text.trim_end().rsplit_once(' ').unwrap();
        fs::write(&note, format!("{now} {}\n", boot.chars().rev().collect::<String>())).unwrap();
        assert!(!is_noted(&note, &file), "a note of another boot");
        // More than the clock of a file system's times is coarse.
        std::thread::sleep(std::time::Duration::from_millis(20));
        file.write_all_at(b"x", 1).unwrap();
        assert!(!is_noted(&note, &file));
        let copy = dir.path().join("copy");
        put(&note, &file);
        fs::copy(&path, &copy).unwrap();
        assert!(!is_noted(&note, &File::open(&copy).unwrap()));
        fs::write(&note, "").unwrap();
        assert!(!is_noted(&note, &file));
    }
}
