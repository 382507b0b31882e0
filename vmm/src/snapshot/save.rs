//! Writing a snapshot.

use super::manifest::{Contents, Manifest};
use super::pages::{Digest, PIECE_BYTES, pieces, runs};
use super::{CONSOLE, CONTROL, Error, RAM, STATE};
use crate::layout::node_ranges;
use crate::memory::GuestRam;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use vm_memory::{Bytes, GuestAddress};

/// Writes RAM, the backend's state, and what the guest wrote to COM1 and COM2 into a directory, which has none of it yet.
///
/// # Errors
/// What could not be read or written. There is no snapshot then, for its manifest is missing.
pub(crate) fn save(
    dir: &Path,
    identity: &str,
    ram: &GuestRam,
    state: &[u8],
    [console, control]: [&[u8]; 2],
) -> Result<(), Error> {
    let ram = save_ram(&dir.join(RAM), ram)?;
    let state = write(&dir.join(STATE), state)?;
    let console = write(&dir.join(CONSOLE), console)?;
    let control = write(&dir.join(CONTROL), control)?;
    Manifest::new(identity, [ram, state, console, control]).write(dir)
}

fn write(path: &Path, bytes: &[u8]) -> Result<Contents, Error> {
    let written = File::create_new(path).and_then(|mut file| file.write_all(bytes));
    written.map_err(Error::file("write", path))?;
    Ok(Contents::of(bytes))
}

fn save_ram(path: &Path, ram: &GuestRam) -> Result<Contents, Error> {
    let bytes = ram.node_bytes().iter().sum();
    let file = File::options().write(true).create_new(true).open(path);
    let file = file.and_then(|file| file.set_len(bytes).map(|()| file)).map_err(Error::file("make", path))?;
    let mut sparse = Sparse { file, digest: Digest::default() };
    if ram.files().is_empty() {
        from_memory(&mut sparse, path, ram)?;
    } else {
        from_files(&mut sparse, ram).map_err(Error::file("write", path))?;
    }
    Ok(Contents { bytes, blake3: sparse.digest.finish() })
}

/// A file that gets all but pages of zeros, and the checksum of what it was to get, whatever the file system makes of it.
struct Sparse {
    file: File,
    digest: Digest,
}

impl Sparse {
    fn put(&mut self, offset: u64, piece: &[u8]) -> io::Result<()> {
        self.digest.add(offset, piece);
        runs(piece).try_for_each(|(start, run)| self.file.write_all_at(run, offset + start as u64))
    }
}

/// By the files' own calls: a look through the mapping would give memory to every page that nobody has touched.
fn from_files(into: &mut Sparse, ram: &GuestRam) -> io::Result<()> {
    let mut start = 0;
    for (file, &bytes) in ram.files().iter().zip(ram.node_bytes()) {
        pieces(file, bytes, |offset, piece| into.put(start + offset, piece))?;
        start += bytes;
    }
    Ok(())
}

fn from_memory(into: &mut Sparse, path: &Path, ram: &GuestRam) -> Result<(), Error> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut offset = 0;
    for node in node_ranges(ram.layout(), ram.node_bytes()) {
        let range = node.range;
        // Nodes are multiples of pieces.
        for gpa in (range.gpa..range.gpa + range.bytes).step_by(PIECE_BYTES) {
            let read = ram.mapped().read_slice(&mut piece, GuestAddress(gpa));
            read.map_err(|error| Error::GuestMemory { gpa, why: error.to_string() })?;
            into.put(offset, &piece).map_err(Error::file("write", path))?;
            offset += PIECE_BYTES as u64;
        }
    }
    Ok(())
}
