//! veristat as a loader for the verb to watch: one script with all files in it, for the verb packs no others.

use crate::package::Veristat;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where it unpacks itself in the guest.
const PLACE: &str = "/root/v";

/// Writes a script that loads the programs of this object one by one, into a directory and with the object's name.
pub(crate) fn script(veristat: &Veristat, object: &Path, dir: &Path) -> PathBuf {
    let name = object.file_name().unwrap().to_str().unwrap();
    let mut files: Vec<_> = Veristat::files().map(|file| (file, fs::read(veristat.dir.join(file)).unwrap())).collect();
    files.push((name, fs::read(object).unwrap()));
    let mut text = format!("#!/bin/sh\nset -e\nmkdir -p {PLACE}\n");
    for number in 0..files.len() {
        // Counted from the end, as the script's own length is not known yet.
        let behind: usize = files[number..].iter().map(|(_, bytes)| bytes.len()).sum();
        let (file, bytes) = &files[number];
        text += &format!("tail -c {behind} \"$0\" | head -c {} > {PLACE}/{file}\n", bytes.len());
    }
    let words = Veristat::words(PLACE).join(" ");
    text += &format!("chmod -R 755 {PLACE}\nexec {words} {PLACE}/{name}\n");
    let mut whole = text.into_bytes();
    files.iter().for_each(|(_, bytes)| whole.extend_from_slice(bytes));
    let path = dir.join(name);
    fs::write(&path, whole).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}
