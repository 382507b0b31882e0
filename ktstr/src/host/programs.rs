//! Programs of the host that a test runs in its guest.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where they are in the guest, by their file names.
const GUEST_DIR: &str = "/ktstr/bin";

/// Where a test's body finds programs.
pub(crate) const GUEST_SEARCH_PATH: &str = "/ktstr/bin:/bin:/usr/bin:/sbin:/usr/sbin";

/// Debian packages of programs whose names do not tell.
const PACKAGES: &[(&str, &str)] = &[
    ("chrt", "util-linux"),
    ("cyclicdeadline", "rt-tests"),
    ("cyclictest", "rt-tests"),
    ("hackbench", "rt-tests"),
    ("perf", "linux-perf"),
    ("pi_stress", "rt-tests"),
    ("sysbench", "sysbench"),
    ("taskset", "util-linux"),
];

/// Programs whose Debian package has their own name.
const NAMESAKES: &[&str] = &["fio", "rt-app", "stress", "stress-ng"];

/// A program that a test needs is not there.
#[derive(Debug, thiserror::Error)]
#[error("there is no program {name:?} to pack: looked for {looked}; {advice}")]
pub struct MissingProgram {
    name: String,
    looked: String,
    advice: String,
}

/// Where a program is on this host: the search path for a name, the current directory for a relative path.
///
/// # Errors
/// When there is none.
pub fn find(name: &str, search_path: &OsStr) -> Result<PathBuf, MissingProgram> {
    let places: Vec<PathBuf> = if name.contains('/') {
        vec![std::env::current_dir().unwrap_or_default().join(name)]
    } else {
        std::env::split_paths(search_path).map(|dir| dir.join(name)).collect()
    };
    places.iter().find(|place| is_program(place)).cloned().ok_or_else(|| {
        let looked = places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ");
        let looked = if looked.is_empty() { "it on a search path that is empty".to_owned() } else { looked };
        MissingProgram { name: name.to_owned(), looked, advice: advice(name) }
    })
}

/// By which name a program goes in the guest.
pub(crate) fn guest_path(host: &Path) -> String {
    format!("{GUEST_DIR}/{}", host.file_name().unwrap_or_default().to_string_lossy())
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn advice(name: &str) -> String {
    if name.contains('/') {
        return "build it first, or correct the path (relative ones begin where the test runs: its package's directory)"
            .to_owned();
    }
    let known = PACKAGES.iter().find(|(program, _)| *program == name).map(|(_, package)| *package);
    let package = known.or_else(|| NAMESAKES.contains(&name).then_some(name));
    match package {
        Some(package) => format!("install it (Debian: `apt-get install {package}`)"),
        None => "install it, or give its path in `programs`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_on_the_search_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hackbench");
        let search = std::env::join_paths([Path::new("/absent"), dir.path()]).unwrap();
        fs::write(&path, "").unwrap();
        let error = find("hackbench", &search).unwrap_err().to_string();
        assert!(error.contains("/absent/hackbench, ") && error.contains(&path.display().to_string()), "{error}");
        assert!(error.contains("apt-get install rt-tests"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("hackbench", &search).unwrap(), path);
        assert_eq!(guest_path(&path), "/ktstr/bin/hackbench");
    }

    #[test]
    fn a_path_is_that_place_and_no_other() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(find(own.to_str().unwrap(), OsStr::new("")).unwrap(), own);
        let error = find("./absent", OsStr::new("/usr/bin")).unwrap_err().to_string();
        let here = std::env::current_dir().unwrap();
        assert!(error.contains(&format!("looked for {}", here.join("./absent").display())), "{error}");
        assert!(error.contains("build it first"), "{error}");
        assert!(find("", OsStr::new("/usr/bin")).is_err());
    }
}
