//! Work that makes processes.

use super::system::done;
use crate::meter::Meter;
use crate::team::Team;
use std::io;
use std::ptr::null_mut;

pub(super) fn fork_exit(meter: &mut Meter<'_>, team: &Team<'_>) -> io::Result<()> {
    while meter.goes_on() {
        meter.unit();
        // SAFETY: a copy of this process with a copy of its stack. It calls nothing but `_exit`, which needs nothing
        // that glibc's own `fork` sets right in the child.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        if done(pid)? == 0 {
            team.wakes(team.index);
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) };
        }
        // SAFETY: nothing is written.
        let wait = || unsafe { libc::waitpid(pid as i32, null_mut(), 0) };
        while meter.wait(wait) < 0 && meter.goes_on() {}
        meter.iteration();
    }
    Ok(())
}
