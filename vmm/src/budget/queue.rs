//! A queue without state: a file whose bytes are the places, and whoever stands there has its byte locked.
//!
//! The locks are those of an open file (F_OFD_SETLK, fcntl(2)): two threads of a process have different ones, and they end
//! with the process.

use super::Error;
use super::folder::Folder;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

const NAME: &str = "queue";

/// Locked by whoever looks for the end of the queue and joins it. The places follow.
const DOOR: i64 = 0;
const FIRST_PLACE: i64 = 1;

/// A place in the queue, until it is dropped.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    folder: &'a Folder,
    file: File,
    place: i64,
}

impl<'a> Ticket<'a> {
    /// Joins the queue at its end.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn draw(folder: &'a Folder) -> Result<Self, Error> {
        let file = folder.open_file(NAME, libc::O_RDWR)?;
        let place = join(&file).map_err(|source| folder.error(NAME, source))?;
        Ok(Self { folder, file, place })
    }

    /// Its number; those of the ones before it are smaller.
    #[cfg(test)]
    pub(super) fn place(&self) -> i64 {
        self.place
    }

    /// Whether nobody is before this one, which stays so.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn is_first(&mut self) -> Result<bool, Error> {
        // A range of no bytes would reach to the end of all files.
        if self.place == FIRST_PLACE {
            return Ok(true);
        }
        let before = find_locked(&self.file, FIRST_PLACE, self.place - FIRST_PLACE);
        Ok(before.map_err(|source| self.folder.error(NAME, source))?.is_none())
    }
}

/// Locks the first place behind all that are taken.
fn join(file: &File) -> io::Result<i64> {
    lock_call(file, libc::F_OFD_SETLKW, libc::F_WRLCK, DOOR, 1)?;
    let mut place = FIRST_PLACE;
    while let Some(taken) = find_locked(file, place, 0)? {
        place = taken + 1;
    }
    lock_call(file, libc::F_OFD_SETLK, libc::F_WRLCK, place, 1)?;
    lock_call(file, libc::F_OFD_SETLK, libc::F_UNLCK, DOOR, 1)?;
    Ok(place)
}

/// The last byte of a lock that somebody else has on the range, if there is one; no bytes: to the end of all files.
fn find_locked(file: &File, start: i64, bytes: i64) -> io::Result<Option<i64>> {
    let found = lock_call(file, libc::F_OFD_GETLK, libc::F_WRLCK, start, bytes)?;
    // Ours are of one byte; what a stranger locks to the end of all files has no last byte.
    let last = found.l_start.saturating_add(found.l_len.max(1) - 1);
    Ok((i32::from(found.l_type) != libc::F_UNLCK).then_some(last))
}

fn lock_call(file: &File, command: i32, kind: i32, start: i64, bytes: i64) -> io::Result<libc::flock> {
    // SAFETY: all-zero is a valid lock description.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    (lock.l_start, lock.l_len) = (start, bytes);
    loop {
        // SAFETY: the description outlives the call, which may write to it and nothing else.
        if unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) } == 0 {
            return Ok(lock);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
