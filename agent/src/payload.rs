//! The payload archive, unpacked at the root.

use anyhow::{Context, Result};
use ktstr_wire::{MappedRegion, Reserved};
use rustix::mount::{MountFlags, mount_remount};
use std::ffi::CStr;
use std::fs;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::Path;

const TYPE_MASK: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;
const REGULAR: u32 = 0o100_000;

/// Files are copied in pieces of this size.
const PIECE_BYTES: usize = 256 << 10;

/// Unpacks the payload, if there is one.
pub(crate) fn unpack(reserved: &Reserved<MappedRegion>) -> Result<()> {
    if reserved.payload_bytes() == 0 {
        return Ok(());
    }
    use_huge_pages(c"huge=within_size");
    let unpacked = unpack_all(reserved);
    use_huge_pages(c"huge=never");
    unpacked
}

/// Has the root's tmpfs give large files huge pages, or no more: most of unpacking is what the kernel does for each page. A
/// root that is no tmpfs, or a kernel without huge pages, is as good (Documentation/filesystems/tmpfs.rst).
fn use_huge_pages(option: &CStr) {
    let _ = mount_remount("/", MountFlags::empty(), option);
}

fn unpack_all(reserved: &Reserved<MappedRegion>) -> Result<()> {
    let mut rest: Box<dyn Read> =
        Box::new(BufReader::with_capacity(PIECE_BYTES, Payload { reserved: *reserved, at: 0 }));
    loop {
        let entry = cpio::NewcReader::new(rest).context("cannot read the payload archive")?;
        if entry.entry().is_trailer() {
            return Ok(());
        }
        let path = Path::new("/").join(entry.entry().name().trim_start_matches('/'));
        rest = unpack_entry(entry, &path).with_context(|| format!("cannot unpack {}", path.display()))?;
    }
}

fn unpack_entry(mut entry: cpio::NewcReader<Box<dyn Read>>, path: &Path) -> Result<Box<dyn Read>> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mode = entry.entry().mode();
    match mode & TYPE_MASK {
        DIRECTORY => fs::create_dir_all(path)?,
        SYMLINK => {
            let mut target = String::new();
            entry.read_to_string(&mut target)?;
            let _ = fs::remove_file(path);
            symlink(target, path)?;
        }
        REGULAR => {
            let _ = fs::remove_file(path);
            let file = fs::File::options().create_new(true).write(true).mode(mode & 0o7777).open(path)?;
            file.set_len(entry.entry().file_size().into())?;
            let mut file = BufWriter::with_capacity(PIECE_BYTES, file);
            io::copy(&mut entry, &mut file)?;
            file.flush()?;
        }
        other => anyhow::bail!("its type {other:#o} does not belong into a payload"),
    }
    Ok(entry.finish()?)
}

/// The payload as a byte stream.
struct Payload {
    reserved: Reserved<MappedRegion>,
    at: usize,
}

impl Read for Payload {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = into.len().min(self.reserved.payload_bytes().saturating_sub(self.at));
        self.reserved.read_payload(self.at, &mut into[..count]);
        self.at += count;
        Ok(count)
    }
}
