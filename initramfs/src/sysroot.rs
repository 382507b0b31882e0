//! Where libraries are looked for: a root directory and the extra directories of LD_LIBRARY_PATH.

use crate::elf::Abi;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

const EM_386: u16 = 3;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
/// As many links as the kernel follows in one path (path_resolution(7)).
const LINK_LIMIT: usize = 40;

/// A root file system whose libraries are packed, and the directories of LD_LIBRARY_PATH.
#[derive(Debug, Clone)]
pub struct Sysroot {
    root: PathBuf,
    library_path: Vec<PathBuf>,
}

impl Sysroot {
    /// The running system, with this process's LD_LIBRARY_PATH.
    ///
    /// The variable is honoured because cargo sets it when it runs a test that links `dylib` crates, and only there can
    /// the loader find them. What is found through it is put where the guest's loader finds it without the variable.
    pub fn host() -> Self {
        let value = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        Self { root: PathBuf::from("/"), library_path: parse_library_path(&value) }
    }

    /// The system below `root`, with no LD_LIBRARY_PATH. Symbolic links in it are taken to stay as they are: a link that
    /// is turned elsewhere does not make an image be packed anew as long as the old target stays.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), library_path: Vec::new() }
    }

    /// Sets the directories of LD_LIBRARY_PATH: absolute paths within the sysroot.
    #[must_use]
    pub fn library_path(mut self, dirs: impl IntoIterator<Item = PathBuf>) -> Self {
        self.library_path = dirs.into_iter().collect();
        self
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn library_dirs(&self) -> &[PathBuf] {
        &self.library_path
    }

    /// The host's path of an absolute path within the sysroot. Links are followed within the sysroot, so that an
    /// absolute one does not lead out of it.
    pub(crate) fn host_path(&self, inside: &Path) -> PathBuf {
        if self.root == Path::new("/") {
            return inside.to_owned();
        }
        let mut todo: VecDeque<OsString> = names(inside);
        let mut done = PathBuf::new();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == ".." {
                done.pop();
                continue;
            }
            let next = done.join(&name);
            match std::fs::read_link(self.root.join(&next)) {
                Ok(target) if links < LINK_LIMIT => {
                    links += 1;
                    if target.is_absolute() {
                        done = PathBuf::new();
                    }
                    let mut rest = names(&target);
                    rest.append(&mut todo);
                    todo = rest;
                }
                _ => done = next,
            }
        }
        self.root.join(done)
    }

    /// What `$LIB` stands for (ld.so(8)): distributions build it into their loader; the multiarch directory's presence
    /// tells which one this is.
    pub(crate) fn lib_token(&self, abi: Abi) -> String {
        let multiarch = multiarch(abi).map(|tuple| format!("lib/{tuple}"));
        match multiarch.filter(|dir| self.host_path(&Path::new("/usr").join(dir)).is_dir()) {
            Some(dir) => dir,
            None if abi.is_64 => "lib64".to_owned(),
            None => "lib".to_owned(),
        }
    }
}

fn parse_library_path(value: &std::ffi::OsStr) -> Vec<PathBuf> {
    // An empty element is the current directory, and relative ones are taken from there (ld.so(8)).
    std::env::split_paths(value)
        .filter(|_| !value.is_empty())
        .filter_map(|dir| {
            if dir.as_os_str().is_empty() { std::env::current_dir().ok() } else { std::path::absolute(dir).ok() }
        })
        .collect()
}

fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

fn multiarch(abi: Abi) -> Option<&'static str> {
    match abi {
        Abi { machine: EM_X86_64, is_64: true } => Some("x86_64-linux-gnu"),
        Abi { machine: EM_X86_64, is_64: false } => Some("x86_64-linux-gnux32"),
        Abi { machine: EM_386, .. } => Some("i386-linux-gnu"),
        Abi { machine: EM_AARCH64, .. } => Some("aarch64-linux-gnu"),
        _ => None,
    }
}

/// What `$PLATFORM` stands for: the kernel's AT_PLATFORM for the baseline CPU.
pub(crate) fn platform_token(abi: Abi) -> &'static str {
    match abi.machine {
        EM_X86_64 => "x86_64",
        EM_386 => "i686",
        EM_AARCH64 => "aarch64",
        _ => "",
    }
}

/// The directories that loaders search last, over all distributions: each has some of them built in.
pub(crate) fn default_dirs(abi: Abi) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    if let Some(tuple) = multiarch(abi) {
        dirs.push(format!("/lib/{tuple}"));
        dirs.push(format!("/usr/lib/{tuple}"));
    }
    dirs.extend(if abi.is_64 { ["/lib64", "/usr/lib64"] } else { ["/lib32", "/usr/lib32"] }.map(str::to_owned));
    dirs.extend(["/lib", "/usr/lib"].map(str::to_owned));
    dirs.into_iter().map(PathBuf::from).collect()
}

/// Directories of which each distribution's loader has at least one built in: Debian's has the multiarch one, Fedora's,
/// SUSE's and glibc's own `/usr/lib64`, Arch's and musl's `/usr/lib`. A link in each makes a library found without an index.
pub(crate) fn link_dirs(abi: Abi) -> Vec<PathBuf> {
    default_dirs(abi).into_iter().filter(|dir| dir.starts_with("/usr")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_do_not_lead_out_of_the_sysroot() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("usr/lib")).unwrap();
        std::os::unix::fs::symlink("/usr/lib", root.join("lib")).unwrap();
        std::os::unix::fs::symlink("../../../real", root.join("usr/lib/link")).unwrap();
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        let sysroot = Sysroot::at(root);
        assert_eq!(sysroot.host_path(Path::new("/lib/x")), root.join("usr/lib/x"));
        assert_eq!(sysroot.host_path(Path::new("/lib/link")), root.join("real"));
        assert_eq!(sysroot.host_path(Path::new("/loop")), root.join("loop"));
        assert_eq!(Sysroot::at("/").host_path(Path::new("/lib/x")), Path::new("/lib/x"));
    }

    #[test]
    fn library_path_elements() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(parse_library_path("".as_ref()), [] as [PathBuf; 0]);
        assert_eq!(parse_library_path("/a::b".as_ref()), [PathBuf::from("/a"), here.clone(), here.join("b")]);
    }
}
