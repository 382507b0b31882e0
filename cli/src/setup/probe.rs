//! Whether something is there, told by looking at files alone.

use super::needs::Need;
use ktstr_kernels::search_path;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How a thing shows that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// A program on the search path.
    Program(&'static str),
    /// A program on the search path, or `program-N` of some version.
    Versioned(&'static str),
    /// A program on the search path that needs no library.
    StaticProgram(&'static str),
    /// A `clang-N` on the search path, of this major version or a later one.
    Clang { since: u32 },
    /// A header where the C compiler looks.
    Header(&'static str),
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(name) | Self::Versioned(name) => f.write_str(name),
            Self::StaticProgram(name) => write!(f, "{name}, static"),
            Self::Clang { since } => write!(f, "clang {since} or newer"),
            Self::Header(name) => write!(f, "<{name}>"),
        }
    }
}

/// Where things may be.
#[derive(Debug)]
pub(super) struct Machine {
    program_dirs: Vec<PathBuf>,
    header_dirs: Vec<PathBuf>,
}

impl Machine {
    /// The machine that this runs on.
    pub(super) fn this() -> Self {
        Self {
            program_dirs: search_path::dirs(),
            header_dirs: ["/usr/include", "/usr/include/x86_64-linux-gnu", "/usr/local/include"].map(Into::into).into(),
        }
    }

    /// Where the thing is.
    pub(super) fn has(&self, probe: &Probe) -> Option<PathBuf> {
        match probe {
            Probe::Program(name) => find(&self.program_dirs, name, is_program),
            Probe::Versioned(name) => {
                find(&self.program_dirs, name, is_program).or_else(|| self.newest(name).map(|(_, path)| path))
            }
            Probe::StaticProgram(name) => find(&self.program_dirs, name, |path| is_program(path) && is_static(path)),
            Probe::Clang { since } => {
                self.newest("clang").filter(|(version, _)| version >= since).map(|(_, path)| path)
            }
            Probe::Header(name) => find(&self.header_dirs, name, Path::is_file),
        }
    }

    /// The newest program `name-N`, and its version.
    fn newest(&self, name: &str) -> Option<(u32, PathBuf)> {
        let versions = search_path::versions(&self.program_dirs, name).into_iter();
        versions.filter(|(_, path)| is_program(path)).max()
    }

    /// Those that are not there.
    pub(super) fn lacks<'a>(&self, needs: &[&'a Need]) -> Vec<&'a Need> {
        needs.iter().filter(|need| self.has(&need.probe).is_none()).copied().collect()
    }
}

fn find(dirs: &[PathBuf], name: &str, fits: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    dirs.iter().map(|dir| dir.join(name)).find(|path| fits(path))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn is_static(path: &Path) -> bool {
    let Ok(bytes) = fs::read(path) else { return false };
    goblin::elf::Elf::parse(&bytes).is_ok_and(|elf| elf.interpreter.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(dir: &Path) -> Machine {
        Machine { program_dirs: vec!["/absent".into(), dir.to_owned()], header_dirs: vec![dir.to_owned()] }
    }

    #[test]
    fn a_program_is_a_file_that_may_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clang");
        let has = || machine(dir.path()).has(&Probe::Program("clang"));
        assert_eq!(has(), None);
        fs::write(&path, "").unwrap();
        assert_eq!(has(), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(has(), Some(path));
    }

    #[test]
    fn a_program_of_any_version_may_do() {
        let dir = tempfile::tempdir().unwrap();
        let has = || machine(dir.path()).has(&Probe::Versioned("clang"));
        for name in ["clang-cpp-14", "clang++-14", "clang-14"] {
            assert_eq!(has(), None, "{name}");
            let path = dir.path().join(name);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert_eq!(has(), Some(dir.path().join("clang-14")));
        assert_eq!(machine(dir.path()).has(&Probe::Program("clang")), None);
    }

    #[test]
    fn a_newer_clang_will_do() {
        let dir = tempfile::tempdir().unwrap();
        let has = || machine(dir.path()).has(&Probe::Clang { since: 22 });
        for (name, fits) in [("clang", false), ("clang-19", false), ("clang-24", true)] {
            let path = dir.path().join(name);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            assert_eq!(has(), fits.then_some(path), "{name}");
        }
    }

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        let own = std::env::current_exe().unwrap();
        assert!(is_program(&own) && !is_static(&own));
    }

    #[test]
    fn headers_may_be_in_folders() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("openssl")).unwrap();
        fs::write(dir.path().join("openssl/opensslv.h"), "").unwrap();
        assert!(machine(dir.path()).has(&Probe::Header("openssl/opensslv.h")).is_some());
        assert!(machine(dir.path()).has(&Probe::Header("gelf.h")).is_none());
    }
}
