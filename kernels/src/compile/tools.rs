//! What a kernel build needs of the machine.

use super::Error;
use crate::{command, search_path};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program or header, and the package that has it.
type Supply = (&'static str, &'static str);

/// Programs, and the packages that have them.
const PROGRAMS: &[Supply] = &[
    ("make", "make"),
    ("gcc", "gcc"),
    ("ld", "binutils"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("perl", "perl"),
    ("pahole", "dwarves"),
    ("tar", "tar"),
    ("xz", "xz-utils"),
];

/// Headers, and the packages that have them: objtool and resolve_btfids are built on libelf, and it on zlib.
const HEADERS: &[Supply] = &[("gelf.h", "libelf-dev"), ("zlib.h", "zlib1g-dev"), ("openssl/opensslv.h", "libssl-dev")];

/// Tools whose version decides what comes out.
const RECORDED: [&str; 3] = ["gcc", "ld", "pahole"];

/// Checks that all is there; returns the versions that go into a kernel's description.
pub(super) fn check() -> Result<BTreeMap<String, String>, Error> {
    require(PROGRAMS, HEADERS)?;
    RECORDED.iter().map(|tool| Ok(((*tool).to_owned(), version(tool)?))).collect()
}

/// Checks that programs and headers are there.
pub(crate) fn require(programs: &[Supply], headers: &[Supply]) -> Result<(), Error> {
    let program_dirs = search_path::dirs();
    let header_dirs = ["/usr/include", "/usr/include/x86_64-linux-gnu", "/usr/local/include"].map(PathBuf::from);
    let missing: Vec<Supply> =
        [absent(programs, &program_dirs), absent(headers, &header_dirs)].into_iter().flatten().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (missing, packages) = missing.iter().map(|(what, package)| ((*what).to_owned(), (*package).to_owned())).unzip();
    Err(Error::MissingTools { missing, packages })
}

/// Those that are in none of the directories.
fn absent(supplies: &[Supply], dirs: &[PathBuf]) -> Vec<Supply> {
    let is_absent = |(name, _): &&Supply| !dirs.iter().any(|dir| Path::is_file(&dir.join(name)));
    supplies.iter().filter(is_absent).copied().collect()
}

/// The first line of `--version`.
pub(crate) fn version(tool: &str) -> Result<String, Error> {
    let start_error = |source| Error::Start { program: tool.to_owned(), source };
    let (text, _) = command::output(Command::new(tool).arg("--version")).map_err(start_error)?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_missing_and_where_to_get_it() {
        let dir = tempfile::tempdir().unwrap();
        for (name, _) in PROGRAMS.iter().filter(|(name, _)| *name != "pahole") {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::fs::write(dir.path().join("zlib.h"), "").unwrap();
        let dirs = [dir.path().to_owned()];
        assert_eq!(absent(PROGRAMS, &dirs), [("pahole", "dwarves")]);
        assert_eq!(absent(HEADERS, &dirs), [("gelf.h", "libelf-dev"), ("openssl/opensslv.h", "libssl-dev")]);
        let (missing, packages) = (vec!["pahole".to_owned()], vec!["dwarves".to_owned()]);
        let message = Error::MissingTools { missing, packages }.to_string();
        assert_eq!(message, "this build needs pahole: install with `apt-get install dwarves`");
    }
}
