//! Groups in which every sender sends to every receiver, as in hackbench.

use crate::meter::Meter;
use crate::team::Team;
use crate::work_type::Channel;
use std::io;
use std::os::fd::RawFd;

/// As hackbench sends by default.
const MESSAGE_BYTES: usize = 100;

/// In each group the first `fds` workers send and the others receive, each from a channel of its own.
pub(super) fn run(meter: &mut Meter<'_>, team: &Team<'_>, fds: usize, channel: Channel) -> io::Result<()> {
    let (group, member) = (team.index / (2 * fds), team.index % (2 * fds));
    // From where a receiver reads, and where its senders write.
    let ends = |receiver: usize| match channel {
        Channel::Pipes => team.pipe(group * fds + receiver),
        Channel::Sockets => team.socket_pair(group * fds + receiver),
    };
    if member >= fds {
        return receive(meter, ends(member - fds).0);
    }
    while meter.goes_on() {
        meter.unit();
        for receiver in 0..fds {
            team.wakes(group * 2 * fds + fds + receiver);
            send(meter, ends(receiver).1)?;
        }
        meter.iteration();
    }
    Ok(())
}

fn send(meter: &mut Meter<'_>, into: RawFd) -> io::Result<()> {
    let message = [0_u8; MESSAGE_BYTES];
    // SAFETY: a live buffer of this size. It blocks while the channel is full; then nobody says when that ends.
    let sent = meter.wait(|| unsafe { libc::write(into, message.as_ptr().cast(), MESSAGE_BYTES) });
    if sent < 0 { interrupted() } else { Ok(()) }
}

fn receive(meter: &mut Meter<'_>, from: RawFd) -> io::Result<()> {
    let mut message = [0_u8; MESSAGE_BYTES];
    while meter.goes_on() {
        // SAFETY: room for as many bytes.
        let got = meter.wait(|| unsafe { libc::read(from, message.as_mut_ptr().cast(), MESSAGE_BYTES) });
        if got < 0 {
            interrupted()?;
            continue;
        }
        meter.unit();
        meter.iteration();
    }
    Ok(())
}

/// A signal is no error: it is how a worker is stopped.
fn interrupted() -> io::Result<()> {
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}
