//! What workers of one group share with each other, beyond what their parent reads.

use crate::clock::monotonic_ns;
use crate::shared::{NO_WORK, Shared, Slot, Word};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

/// What a group of workers needs to talk to each other. All of it is made before the first of them is forked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Needs {
    /// Words of shared memory.
    pub(crate) words: usize,
    /// Pipes (pipe(2)).
    pub(crate) pipes: usize,
    /// Pairs of connected stream sockets (unix(7)).
    pub(crate) socket_pairs: usize,
}

/// The means of one group, made for its [`Needs`]. Dropped in the parent once the workers have them.
#[derive(Debug)]
pub(crate) struct Means {
    words: Shared<Word>,
    pipes: Vec<(OwnedFd, OwnedFd)>,
    socket_pairs: Vec<(OwnedFd, OwnedFd)>,
}

impl Means {
    pub(crate) fn new(needs: Needs) -> io::Result<Self> {
        let words = Shared::new(needs.words)?;
        let pipes = (0..needs.pipes).map(|_| pipe()).collect::<io::Result<_>>()?;
        let socket_pairs = (0..needs.socket_pairs).map(|_| socket_pair()).collect::<io::Result<_>>()?;
        Ok(Self { words, pipes, socket_pairs })
    }
}

/// How one worker sees its group: all workers of one [`WorkloadConfig`](crate::WorkloadConfig).
///
/// Every worker has all descriptors of its group, and none that another worker of it does not have; they are not to be
/// closed, because workers may be threads that share them. So nobody sees an end of file, and nobody needs one to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Team<'a> {
    /// This worker's number in the group.
    pub(crate) index: usize,
    /// The group's slots, in order.
    pub(crate) slots: &'a [Slot],
    pub(crate) means: &'a Means,
}

impl<'a> Team<'a> {
    /// How many workers the group has.
    pub(crate) fn size(&self) -> usize {
        self.slots.len()
    }

    /// Shared memory, zero at first.
    pub(crate) fn word(&self, number: usize) -> &'a Word {
        &self.means.words[number]
    }

    /// A pipe: the end to read from, the end to write to.
    pub(crate) fn pipe(&self, number: usize) -> (RawFd, RawFd) {
        raw(&self.means.pipes[number])
    }

    /// Two sockets that are connected.
    pub(crate) fn socket_pair(&self, number: usize) -> (RawFd, RawFd) {
        raw(&self.means.socket_pairs[number])
    }

    /// To be called just before the system call that ends the [`wait`](crate::meter::Meter::wait) of this worker of the
    /// group: from now on it has work. If it is not waiting, nothing happens.
    pub(crate) fn wakes(&self, index: usize) {
        let _ = self.slots[index].ready_ns.compare_exchange(NO_WORK, monotonic_ns(), AcqRel, Relaxed);
    }
}

fn raw(pair: &(OwnedFd, OwnedFd)) -> (RawFd, RawFd) {
    (pair.0.as_raw_fd(), pair.1.as_raw_fd())
}

/// A pipe: the end to read from, the end to write to.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: room for two descriptors.
    let made = unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) };
    own(made, fds)
}

fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: room for two descriptors.
    let made = unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr()) };
    own(made, fds)
}

fn own(made: i32, fds: [RawFd; 2]) -> io::Result<(OwnedFd, OwnedFd)> {
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: two fresh descriptors that nothing else owns.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}
