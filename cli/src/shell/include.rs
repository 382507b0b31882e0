//! Files of the host that a person wants in the guest.

use super::tools::HOME;
use anyhow::{Context, Result, ensure};
use ktstr_initramfs::ImageSpec;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// `e_type` and `e_machine` of what a loader loads (elf(5)).
const EXECUTABLE: u16 = 2;
const SHARED: u16 = 3;
const X86_64: u16 = 62;

/// `SRC[:DEST]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Include {
    from: PathBuf,
    to: Option<String>,
}

impl FromStr for Include {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A file whose name looks as if it had a destination is a file.
        let split = text.rsplit_once(':').filter(|(from, to)| !from.is_empty() && to.starts_with('/'));
        Ok(match split.filter(|_| fs::symlink_metadata(text).is_err()) {
            Some((from, to)) => Self { from: from.into(), to: Some(to.to_owned()) },
            None => Self { from: text.into(), to: None },
        })
    }
}

impl Include {
    /// Its path in the guest.
    fn guest_path(&self) -> Result<String> {
        let name = || {
            let whole = self.from.canonicalize().with_context(|| format!("cannot include {}", self.from.display()))?;
            let name = whole.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            name.with_context(|| format!("cannot include {}: say where, as SRC:/DEST", self.from.display()))
        };
        Ok(match self.to.as_deref() {
            None => format!("{HOME}/{}", name()?),
            Some(dir) if dir.ends_with('/') => format!("{dir}{}", name()?),
            Some(path) => path.to_owned(),
        })
    }
}

/// Adds all of them.
pub(super) fn add_all(image: ImageSpec, includes: &[Include]) -> Result<ImageSpec> {
    includes.iter().try_fold(image, |image, include| add(image, &include.from, include.guest_path()?))
}

/// Adds a file, or a directory with all that is in it, in the order of names.
pub(crate) fn add(image: ImageSpec, host: &Path, guest: String) -> Result<ImageSpec> {
    let context = || format!("cannot include {}", host.display());
    let meta = fs::metadata(host).with_context(context)?;
    if !meta.is_dir() {
        return add_file(image, host, guest, &meta).with_context(context);
    }
    let mut names =
        fs::read_dir(host).with_context(context)?.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
    names.sort();
    names.into_iter().try_fold(image.dir(guest.clone()), |image, name| {
        let path = host.join(&name);
        let name =
            name.to_str().with_context(|| format!("cannot include {}: its name is not UTF-8", path.display()))?;
        let guest = format!("{guest}/{name}");
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_symlink() => add_link(image, &path, guest),
            _ => add(image, &path, guest),
        }
    })
}

/// A link in a directory stays one: it may lead to its neighbour, or to nothing.
fn add_link(image: ImageSpec, host: &Path, guest: String) -> Result<ImageSpec> {
    let target = fs::read_link(host).with_context(|| format!("cannot include {}", host.display()))?;
    let target =
        target.to_str().with_context(|| format!("cannot include {}: its target is not UTF-8", host.display()))?;
    Ok(image.symlink(guest, target))
}

fn add_file(image: ImageSpec, host: &Path, guest: String, meta: &Metadata) -> Result<ImageSpec> {
    ensure!(meta.is_file(), "it is neither a file nor a directory");
    let mode = meta.permissions().mode() & 0o777;
    Ok(if needs_more(host, mode)? { image.program(host, guest) } else { image.file(host, guest, mode) })
}

/// Whether it needs a loader, libraries or an interpreter. A BPF object is an ELF file, too, and needs none.
fn needs_more(path: &Path, mode: u32) -> Result<bool> {
    let mut head = Vec::new();
    File::open(path)?.take(20).read_to_end(&mut head)?;
    if head.starts_with(b"#!") {
        return Ok(mode & 0o111 != 0);
    }
    let half = |at: usize| head.get(at..at + 2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    Ok(head.starts_with(b"\x7fELF") && matches!(half(16), Some(EXECUTABLE | SHARED)) && half(18) == Some(X86_64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_an_absolute_path_after_a_colon() {
        let check = |text: &str, from: &str, to: Option<&str>| {
            let expected = Include { from: from.into(), to: to.map(str::to_owned) };
            assert_eq!(text.parse::<Include>(), Ok(expected), "{text}");
        };
        check("a/b", "a/b", None);
        check("a/b:/c", "a/b", Some("/c"));
        check("a:b", "a:b", None);
        check(":/c", ":/c", None);
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a:");
        fs::create_dir_all(odd.join("c")).unwrap();
        let odd = odd.join("c").display().to_string();
        check(&odd, &odd, None);
    }

    #[test]
    fn it_lands_at_home_or_where_it_is_told_to() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tool");
        fs::write(&file, "").unwrap();
        let check = |to: Option<&str>, expected: &str| {
            let include = Include { from: file.clone(), to: to.map(str::to_owned) };
            assert_eq!(include.guest_path().unwrap(), expected);
        };
        check(None, "/root/tool");
        check(Some("/opt/"), "/opt/tool");
        check(Some("/opt/x"), "/opt/x");
        let absent = Include { from: dir.path().join("absent"), to: None };
        assert!(absent.guest_path().unwrap_err().to_string().contains("cannot include"));
    }

    #[test]
    fn programs_need_more_and_data_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let needs_more = |bytes: &[u8], mode| {
            fs::write(&path, bytes).unwrap();
            super::needs_more(&path, mode).unwrap()
        };
        assert!(super::needs_more(&std::env::current_exe().unwrap(), 0o755).unwrap());
        assert!(needs_more(b"#!/bin/sh\n", 0o755));
        assert!(!needs_more(b"#!/bin/sh\n", 0o644));
        assert!(!needs_more(b"", 0o755));
        // A relocatable object for BPF.
        assert!(!needs_more(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\xf7\0", 0o644));
    }
}
