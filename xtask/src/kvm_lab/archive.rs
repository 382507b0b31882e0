//! newc archives for the lab's initramfs.

use anyhow::{Context, Result};
use cpio::newc::{self, Builder};
use std::io::Write;

const DIRECTORY: u32 = 0o040_755;
const CHARACTER_DEVICE: u32 = 0o020_600;
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;
/// Concatenated archives start at this boundary (Documentation/driver-api/early-userspace/buffer-format.rst asks for 4).
const ALIGNMENT: usize = 512;

/// An archive under construction; several may follow each other in one initramfs.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a directory.
    pub(super) fn directory(&mut self, name: &str) -> Result<()> {
        self.entry(name, DIRECTORY, (0, 0), &[])
    }

    /// Adds a plain file.
    pub(super) fn file(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.entry(name, FILE, (0, 0), content)
    }

    /// Adds an executable file.
    pub(super) fn program(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.entry(name, PROGRAM, (0, 0), content)
    }

    /// Adds a character device.
    pub(super) fn device(&mut self, name: &str, major: u32, minor: u32) -> Result<()> {
        self.entry(name, CHARACTER_DEVICE, (major, minor), &[])
    }

    fn entry(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) -> Result<()> {
        let size = u32::try_from(content.len()).with_context(|| format!("{name} is too big for an initramfs"))?;
        self.entries += 1;
        let builder = Builder::new(name).ino(self.entries).nlink(1).mode(mode).rdev_major(major).rdev_minor(minor);
        let mut writer = builder.write(&mut self.bytes, size);
        writer.write_all(content).and_then(|()| writer.finish()).with_context(|| format!("cannot archive {name}"))?;
        Ok(())
    }

    /// The finished archive, padded so that another may follow.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        newc::trailer(&mut self.bytes).context("cannot end the archive")?;
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back() {
        let mut archive = Archive::default();
        archive.directory("dev").unwrap();
        archive.device("dev/console", 5, 1).unwrap();
        archive.program("init", b"#!").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % ALIGNMENT, 0);

        let mut rest = bytes.as_slice();
        let mut seen = Vec::new();
        loop {
            let reader = newc::Reader::new(rest).unwrap();
            let entry = reader.entry();
            if entry.is_trailer() {
                break;
            }
            seen.push((entry.name().to_owned(), entry.mode(), entry.rdev_major(), entry.file_size()));
            rest = reader.finish().unwrap();
        }
        let expected = [("dev", DIRECTORY, 0, 0), ("dev/console", CHARACTER_DEVICE, 5, 0), ("init", PROGRAM, 0, 2)];
        assert_eq!(seen, expected.map(|(name, mode, major, size)| (name.to_owned(), mode, major, size)));
    }
}
