//! Writing newc archives whose bytes depend on their members alone.

use cpio::newc::{Builder, ModeFileType, trailer};
use std::borrow::Cow;
use std::io::{self, Write};

/// One entry of an archive.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    /// Path without the leading `/`.
    pub(crate) name: &'a str,
    pub(crate) kind: Kind<'a>,
}

/// What an entry is. Modes are permission bits.
#[derive(Debug)]
pub(crate) enum Kind<'a> {
    File { mode: u32, data: Cow<'a, [u8]> },
    Dir { mode: u32 },
    Symlink { target: &'a str },
    Char { mode: u32, major: u32, minor: u32 },
}

/// Writes the members in their order: owner root, modification time 0, inode numbers counted from 1.
pub(crate) fn write<W: Write>(members: &[Member], mut out: W) -> io::Result<W> {
    for (member, ino) in members.iter().zip(1_u32..) {
        let builder = Builder::new(member.name).ino(ino);
        let (builder, data) = match &member.kind {
            Kind::File { mode, data } => (builder.mode(mode | bits(ModeFileType::Regular)), data.as_ref()),
            Kind::Dir { mode } => (builder.mode(mode | bits(ModeFileType::Directory)), &[][..]),
            Kind::Symlink { target } => (builder.mode(0o777 | bits(ModeFileType::Symlink)), target.as_bytes()),
            Kind::Char { mode, major, minor } => {
                let builder = builder.mode(mode | bits(ModeFileType::Char));
                (builder.rdev_major(*major).rdev_minor(*minor), &[][..])
            }
        };
        let size = u32::try_from(data.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut entry = builder.write(out, size);
        entry.write_all(data)?;
        out = entry.finish()?;
    }
    trailer(out)
}

fn bits(kind: ModeFileType) -> u32 {
    kind.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpio::newc::Reader;
    use std::io::Read;

    #[test]
    fn reads_back() {
        let members = [
            Member { name: "d", kind: Kind::Dir { mode: 0o755 } },
            Member { name: "d/f", kind: Kind::File { mode: 0o644, data: Cow::Borrowed(b"hello") } },
            Member { name: "d/l", kind: Kind::Symlink { target: "f" } },
            Member { name: "null", kind: Kind::Char { mode: 0o666, major: 1, minor: 3 } },
        ];
        let bytes = write(&members, Vec::new()).unwrap();
        let mut rest = bytes.as_slice();
        let mut seen = Vec::new();
        loop {
            let mut reader = Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            let mut data = String::new();
            reader.read_to_string(&mut data).unwrap();
            let entry = reader.entry();
            assert_eq!((entry.mtime(), entry.uid(), entry.gid()), (0, 0, 0));
            let device = (entry.rdev_major(), entry.rdev_minor());
            seen.push((entry.name().to_owned(), entry.ino(), entry.mode(), device, data));
            rest = reader.finish().unwrap();
        }
        let row = |name: &str, ino, mode, device, data: &str| (name.to_owned(), ino, mode, device, data.to_owned());
        let expected = [
            row("d", 1, 0o40755, (0, 0), ""),
            row("d/f", 2, 0o100644, (0, 0), "hello"),
            row("d/l", 3, 0o120777, (0, 0), "f"),
            row("null", 4, 0o20666, (1, 3), ""),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_full_disk_is_noticed() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(write(&[], full).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
