//! What a user writes to choose a kernel.

use crate::version::{BadVersion, Version};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A choice of kernel. Its text form is what [`FromStr`] takes and [`fmt::Display`] writes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Spec {
    /// `latest`: the newest packaged cloud kernel with sched_ext and sound BTF.
    Latest,
    /// `7.2` or `6.16.12`: a packaged cloud kernel, the newest that the version covers.
    Version(Version),
    /// `host`: the kernel this machine runs.
    Host,
    /// `path:DIR|FILE`: a build tree, a directory with `vmlinuz-*`, a vmlinux, or a bzImage.
    Path(PathBuf),
    /// `deb:PACKAGE`: a kernel package by name, or `deb:/path/to/file.deb`.
    Deb(String),
    /// `source:…` or `git:…`: what [`Kernels::build`](crate::Kernels::build) compiles.
    Source(Source),
}

/// Kernel source to build from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// `source:linux-source-6.12`: a source package of the distribution.
    Package(String),
    /// `source:DIR`: an unpacked, clean tree.
    Dir(PathBuf),
    /// `source:FILE.tar.xz`: a tarball (xz, gzip, bzip2, zstd or plain).
    Tarball(PathBuf),
    /// `git:URL-or-DIR#REF`.
    Git(String),
}

/// Text that names no kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither a keyword, nor a version, nor a known prefix.
    #[error("{text:?} names no kernel: write {FORMS}")]
    Unknown {
        /// The whole spec.
        text: String,
    },
    /// Something that starts as a version does.
    #[error(transparent)]
    Version(#[from] BadVersion),
    /// A prefix with nothing after it.
    #[error("the kernel spec {text:?} ends after its prefix: write {FORMS}")]
    Empty {
        /// The whole spec.
        text: String,
    },
}

const FORMS: &str =
    "latest, host, X.Y, X.Y.Z, path:DIR-or-FILE, deb:PACKAGE, source:PACKAGE-or-DIR-or-TARBALL or git:REPOSITORY#REF";

impl FromStr for Spec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "latest" => return Ok(Spec::Latest),
            "host" => return Ok(Spec::Host),
            _ => {}
        }
        if let Some((prefix, rest)) = text.split_once(':') {
            let empty = rest.is_empty();
            let spec = match prefix {
                "path" => Spec::Path(rest.into()),
                "deb" => Spec::Deb(rest.to_owned()),
                "source" => Spec::Source(source(rest)),
                "git" => Spec::Source(Source::Git(rest.to_owned())),
                _ => return Err(Error::Unknown { text: text.to_owned() }),
            };
            return if empty { Err(Error::Empty { text: text.to_owned() }) } else { Ok(spec) };
        }
        match text.starts_with(|c: char| c.is_ascii_digit()) {
            true => Ok(Spec::Version(text.parse()?)),
            false => Err(Error::Unknown { text: text.to_owned() }),
        }
    }
}

fn source(rest: &str) -> Source {
    let is_tarball =
        [".tar", ".tar.xz", ".tar.gz", ".tgz", ".tar.bz2", ".tar.zst"].iter().any(|end| rest.ends_with(end));
    match () {
        () if is_tarball => Source::Tarball(rest.into()),
        () if rest.contains('/') || rest.starts_with('.') => Source::Dir(rest.into()),
        () => Source::Package(rest.to_owned()),
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spec::Latest => f.write_str("latest"),
            Spec::Version(version) => version.fmt(f),
            Spec::Host => f.write_str("host"),
            Spec::Path(path) => write!(f, "path:{}", path.display()),
            Spec::Deb(package) => write!(f, "deb:{package}"),
            Spec::Source(source) => source.fmt(f),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Package(name) => write!(f, "source:{name}"),
            Source::Dir(path) | Source::Tarball(path) => write!(f, "source:{}", path.display()),
            Source::Git(place) => write!(f, "git:{place}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_survives_a_round_trip() {
        for text in [
            "latest",
            "host",
            "7.2",
            "6.16.12",
            "path:/boot/vmlinuz",
            "path:a:b",
            "deb:linux-image-cloud-amd64",
            "deb:/tmp/x.deb",
            "source:linux-source-6.12",
            "source:../linux",
            "source:linux-6.12.tar.xz",
            "git:/src/linux#v6.12",
        ] {
            assert_eq!(text.parse::<Spec>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn tells_the_kinds_of_source_apart() {
        let check = |text: &str, expected: Source| assert_eq!(text.parse(), Ok(Spec::Source(expected)));
        check("source:linux-source-6.12", Source::Package("linux-source-6.12".into()));
        check("source:./linux", Source::Dir("./linux".into()));
        check("source:/x/linux.tar.xz", Source::Tarball("/x/linux.tar.xz".into()));
    }

    #[test]
    fn refuses_the_rest_with_the_forms_that_exist() {
        for bad in ["", "newest", "v7.2", "http://x", "path:", "deb:"] {
            let message = bad.parse::<Spec>().unwrap_err().to_string();
            assert!(message.contains("latest") && message.contains("deb:PACKAGE"), "{bad:?}: {message}");
        }
        assert!("7.x".parse::<Spec>().unwrap_err().to_string().contains("X.Y.Z"));
    }
}
