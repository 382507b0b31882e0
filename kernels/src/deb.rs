//! Single files out of Debian packages, without unpacking the rest to disk.

use crate::command;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why a package's files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `dpkg-deb` could not be run, or its archive not be read.
    #[error("cannot unpack {} with dpkg-deb (package dpkg)", path.display())]
    Io {
        /// The package file.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// `dpkg-deb` refuses the file.
    #[error("{} is not a sound Debian package: {said}", path.display())]
    Refused {
        /// The package file.
        path: PathBuf,
        /// What dpkg-deb says.
        said: String,
    },
}

/// A file from a package: its path inside, and its contents.
pub(crate) type Member = (PathBuf, Vec<u8>);

/// The largest member that is read, in bytes: a source tarball.
const LIMIT: u64 = 1 << 30;

/// The first member that each of `wanted` accepts, in that order; stops reading when all are found.
pub(crate) fn members<const N: usize>(
    package: &Path,
    wanted: [&dyn Fn(&Path) -> bool; N],
) -> Result<[Option<Member>; N], Error> {
    let mut found = [const { None }; N];
    files(package, |path, size, content| {
        if let Some(at) = (0..N).find(|at| found[*at].is_none() && wanted[*at](path)) {
            let mut contents = Vec::new();
            content.take(LIMIT).read_to_end(&mut contents)?;
            if contents.len() as u64 != size.min(LIMIT) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            found[at] = Some((path.to_owned(), contents));
        }
        Ok(found.iter().any(Option::is_none))
    })?;
    Ok(found)
}

/// Shows each plain file of a package to `look`: its path inside (`./boot/…`), its size in bytes, its contents. Nothing
/// is unpacked to disk. When `look` returns false the rest is not read.
///
/// # Errors
/// [`Error::Refused`] for a damaged package, [`Error::Io`] when dpkg-deb cannot be run, or when `look` fails.
pub fn files(package: &Path, look: impl FnMut(&Path, u64, &mut dyn Read) -> io::Result<bool>) -> Result<(), Error> {
    let io_error = |source| Error::Io { path: package.to_owned(), source };
    let mut command = Command::new("dpkg-deb");
    let mut looked = Ok(true);
    let streamed = command::stream(command.arg("--fsys-tarfile").arg(package), |stdout| {
        looked = look_through(stdout, look);
        Ok::<_, io::Error>(matches!(looked, Ok(true)))
    });
    let (complete, finished) = streamed.map_err(io_error)?;
    let refused = || Error::Refused { path: package.to_owned(), said: finished.errors.trim().to_owned() };
    match looked {
        Ok(_) if complete && !finished.status.success() => Err(refused()),
        // A damaged package shows as a broken archive; what dpkg-deb says about it is the better message.
        Err(_) if !finished.errors.trim().is_empty() => Err(refused()),
        looked => looked.map(|_| ()).map_err(io_error),
    }
}

/// Whether the archive was looked through to its end.
pub(crate) fn look_through(
    tar: impl Read,
    mut look: impl FnMut(&Path, u64, &mut dyn Read) -> io::Result<bool>,
) -> io::Result<bool> {
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if entry.header().entry_type().is_file() && !look(&path, entry.size(), &mut entry)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A field of the package's control file, such as `Package`.
pub(crate) fn field(package: &Path, name: &str) -> Result<String, Error> {
    let io_error = |source| Error::Io { path: package.to_owned(), source };
    let (text, finished) =
        command::output(Command::new("dpkg-deb").arg("-f").arg(package).arg(name)).map_err(io_error)?;
    match finished.status.success() {
        true => Ok(text.trim().to_owned()),
        false => Err(Error::Refused { path: package.to_owned(), said: finished.errors.trim().to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A package of the given files, made by dpkg-deb.
    pub(crate) fn make(dir: &Path, files: &[(&str, &[u8])]) -> PathBuf {
        let root = dir.join("root");
        fs::create_dir_all(root.join("DEBIAN")).unwrap();
        let control = "Package: linux-image-1.2.3-test\nVersion: 1.2.3-1\nArchitecture: amd64\n\
                       Maintainer: A <a@b>\nDescription: test\n";
        fs::write(root.join("DEBIAN/control"), control).unwrap();
        for (path, contents) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        let package = dir.join("test.deb");
        let mut command = Command::new("dpkg-deb");
        let built = command::output(command.args(["--root-owner-group", "-Znone", "-b"]).arg(&root).arg(&package));
        assert!(built.unwrap().1.status.success());
        package
    }

    #[test]
    fn takes_the_wanted_files() {
        let dir = tempfile::tempdir().unwrap();
        let package =
            make(dir.path(), &[("boot/config-1", b"c"), ("boot/vmlinuz-1", b"kernel"), ("usr/z", &[0; 9000])]);
        let named = |start: &'static str| {
            move |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().starts_with(start)
        };
        let [kernel, none] = members(&package, [&named("vmlinuz"), &named("initrd")]).unwrap();
        assert_eq!(kernel.unwrap(), ("./boot/vmlinuz-1".into(), b"kernel".to_vec()));
        assert_eq!(none, None);
        let [config] = members(&package, [&named("config")]).unwrap();
        assert_eq!(config.unwrap().1, b"c");
        assert_eq!(field(&package, "Package").unwrap(), "linux-image-1.2.3-test");
    }

    #[test]
    fn a_damaged_package_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let package = dir.path().join("bad.deb");
        fs::write(&package, "no package").unwrap();
        let message = members(&package, [&|_: &Path| true]).unwrap_err().to_string();
        assert!(message.contains("not a sound Debian package"), "{message}");
        assert!(matches!(field(&package, "Package"), Err(Error::Refused { .. })));
        let whole = make(dir.path(), &[("boot/vmlinuz-1", &[1; 50_000])]);
        let bytes = fs::read(&whole).unwrap();
        fs::write(&package, &bytes[..bytes.len() / 2]).unwrap();
        assert!(members(&package, [&|path: &Path| path.ends_with("vmlinuz-1")]).is_err());
    }
}
