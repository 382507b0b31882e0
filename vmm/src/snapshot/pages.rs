//! The pages of a file of RAM: which of them are not all zero, and a checksum of those.
//!
//! A file is looked at piece by piece. Where it has no data it is not read; what has data and is zeros all the same, as on
//! file systems without holes, counts for nothing. So the checksum is that of the content, however a file system keeps it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What is read at once: enough for the hash to be fast, and it stays in a processor's cache.
pub(super) const PIECE_BYTES: usize = 256 << 10;

const PAGE_BYTES: usize = 4096;

/// The hash is faster than memory from a few threads on.
const MAX_THREADS: usize = 8;

/// Runs of pages that are not all zero: offset and bytes of each.
pub(super) fn runs(piece: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let zeros = [0; PAGE_BYTES];
    // Compared as a whole, which is fast without an optimiser, too.
    let mut is_zero = piece.chunks(PAGE_BYTES).map(move |page| *page == zeros[..page.len()]).peekable();
    let mut page = 0;
    std::iter::from_fn(move || {
        while is_zero.next_if_eq(&true).is_some() {
            page += 1;
        }
        let first = page;
        while is_zero.next_if_eq(&false).is_some() {
            page += 1;
        }
        let start = first * PAGE_BYTES;
        (page > first).then(|| Some((start, piece.get(start..piece.len().min(page * PAGE_BYTES))?)))?
    })
}

/// The first byte at or behind `offset` for which the file has room on its disk, as lseek(2) tells it.
pub(super) fn next_data(file: &File, offset: u64) -> io::Result<Option<u64>> {
    // SAFETY: plain system call; only the file's offset changes, which nothing here uses.
    let found = unsafe { libc::lseek(file.as_raw_fd(), offset as libc::off_t, libc::SEEK_DATA) };
    if let Ok(found) = u64::try_from(found) {
        return Ok(Some(found));
    }
    let error = io::Error::last_os_error();
    // Nothing but a hole up to the end.
    if error.raw_os_error() == Some(libc::ENXIO) { Ok(None) } else { Err(error) }
}

/// Calls `each` with the offset and the bytes of every piece of a file that may be anything but zeros.
///
/// # Errors
/// What reading or `each` returns.
pub(super) fn pieces(file: &File, bytes: u64, mut each: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let next = AtomicU64::new(0);
    let mut buffer = vec![0; PIECE_BYTES];
    while let Some((offset, piece)) = next_piece(file, bytes, &next, &mut buffer)? {
        each(offset, piece)?;
    }
    Ok(())
}

/// Reads the piece at `next` or the first behind it that has data, and moves `next` behind it. Several threads may share it.
fn next_piece<'a>(
    file: &File,
    bytes: u64,
    next: &AtomicU64,
    buffer: &'a mut [u8],
) -> io::Result<Option<(u64, &'a [u8])>> {
    loop {
        let offset = next.load(Ordering::Relaxed);
        let Some(data) = next_data(file, offset)?.filter(|data| *data < bytes) else { return Ok(None) };
        let start = data - data % PIECE_BYTES as u64;
        let end = bytes.min(start + PIECE_BYTES as u64);
        // Another thread may have been faster.
        if next.compare_exchange(offset, end, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let piece = buffer.get_mut(..(end - start) as usize).ok_or(io::ErrorKind::InvalidInput)?;
            file.read_exact_at(piece, start)?;
            return Ok(Some((start, piece)));
        }
    }
}

/// A checksum in the making: of the offsets, lengths and contents of all runs of pages that are not zeros.
#[derive(Debug, Default)]
pub(super) struct Digest {
    pieces: Vec<(u64, [u8; blake3::OUT_LEN])>,
}

impl Digest {
    /// Adds a piece, each once and in any order.
    pub(super) fn add(&mut self, offset: u64, piece: &[u8]) {
        self.pieces.extend(digest_of(offset, piece));
    }

    /// The checksum.
    pub(super) fn finish(mut self) -> String {
        self.pieces.sort_unstable();
        let mut all = blake3::Hasher::new();
        for (offset, digest) in &self.pieces {
            all.update(&offset.to_le_bytes()).update(digest);
        }
        all.finalize().to_string()
    }
}

/// The checksum of a file of this length.
///
/// # Errors
/// What reading returns.
pub(super) fn digest(file: &File, bytes: u64) -> io::Result<String> {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get().min(MAX_THREADS));
    let next = AtomicU64::new(0);
    let all = Mutex::new(Digest::default());
    let work = || -> io::Result<()> {
        let mut buffer = vec![0; PIECE_BYTES];
        let mut own = Digest::default();
        while let Some((offset, piece)) = next_piece(file, bytes, &next, &mut buffer)? {
            own.add(offset, piece);
        }
        all.lock().unwrap_or_else(PoisonError::into_inner).pieces.extend(own.pieces);
        Ok(())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let others = others.into_iter().map(|other| other.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())));
        others.fold(own, io::Result::and)
    })?;
    Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner).finish())
}

/// Of one piece; `None` for zeros.
fn digest_of(offset: u64, piece: &[u8]) -> Option<(u64, [u8; blake3::OUT_LEN])> {
    let mut hasher = blake3::Hasher::new();
    for (start, run) in runs(piece) {
        hasher.update(&(start as u64).to_le_bytes()).update(&(run.len() as u64).to_le_bytes()).update(run);
    }
    (hasher.count() > 0).then(|| (offset, *hasher.finalize().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_runs(pages: &[u8], expected: &[(usize, usize)]) {
        let piece: Vec<u8> = pages.iter().flat_map(|&last| [vec![0; PAGE_BYTES - 1], vec![last]].concat()).collect();
        let found: Vec<_> = runs(&piece).map(|(start, run)| (start / PAGE_BYTES, run.len() / PAGE_BYTES)).collect();
        assert_eq!(found, expected, "{pages:?}");
    }

    #[test]
    fn only_pages_of_zeros_are_left_out() {
        check_runs(&[], &[]);
        check_runs(&[0, 0], &[]);
        check_runs(&[1, 0, 2, 3, 0], &[(0, 1), (2, 2)]);
        check_runs(&[0, 1, 1], &[(1, 2)]);
    }

    fn file(length: u64, data: &[(u64, &[u8])]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(length).unwrap();
        data.iter().for_each(|(offset, bytes)| file.write_all_at(bytes, *offset).unwrap());
        file
    }

    #[test]
    fn the_checksum_is_that_of_the_content() {
        const LENGTH: u64 = 8 << 20;
        let of = |data: &[(u64, &[u8])]| digest(&file(LENGTH, data), LENGTH).unwrap();
        let data = [(5000, &b"one"[..]), (3 << 20, b"two"), (LENGTH - 1, b"!")];
        let expected = of(&data);
        // Written out, zeros and all.
        let zeros = vec![0; LENGTH as usize];
        assert_eq!(of(&[&[(0, &zeros[..])], &data[..]].concat()), expected);
        for other in [
            &[(5001, &b"one"[..]), data[1], data[2]][..],
            &[(5000 + 4096, b"one"), data[1], data[2]],
            &[(5000 + PIECE_BYTES as u64, b"one"), data[1], data[2]],
            &data[1..],
            &[data[0], data[1], data[2], (6 << 20, b"\x01")],
        ] {
            assert_ne!(of(other), expected, "{other:?}");
        }
        assert_ne!(of(&[]), expected);
    }

    #[test]
    fn pieces_are_those_with_data() {
        let file = file(4 << 20, &[(1 << 20, b"a"), ((1 << 20) + 1, b"b"), ((3 << 20) + 9, b"c")]);
        let mut found = Vec::new();
        pieces(&file, 4 << 20, |offset, piece| {
            found.push((offset, piece.iter().filter(|byte| **byte != 0).count()));
            Ok(())
        })
        .unwrap();
        // A file system may give room to more than was written.
        found.retain(|(_, bytes)| *bytes > 0);
        assert_eq!(found, [(1 << 20, 2), (3 << 20, 1)]);
    }
}
