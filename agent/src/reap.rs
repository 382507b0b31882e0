//! Ends of processes: the agent's own children, and those that lost their parent and were left to PID 1.

use anyhow::{Result, bail};
use ktstr_wire::ExitStatus;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, wait};

/// Reaps every process that has ended, and tells how each did.
pub(crate) fn reap() -> Result<Vec<(Pid, ExitStatus)>> {
    let mut ended = Vec::new();
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        ended.push((pid, exit_status(pid, status)?));
    }
    Ok(ended)
}

fn exit_status(pid: Pid, status: WaitStatus) -> Result<ExitStatus> {
    Ok(match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, Some(signal)) => ExitStatus::Signal(signal),
        (None, None) => bail!("process {pid:?} has the unknown exit status {status:?}"),
    })
}

/// Kills and reaps every other process, so that nothing holds a pipe open.
pub(crate) fn end_all() {
    // The "process group" of PID 1 is spelled -1, which kill(2) takes as every process but PID 1 itself. Failing means
    // that there is none.
    let _ = kill_process_group(Pid::INIT, Signal::KILL);
    while let Ok(Some(_)) | Err(rustix::io::Errno::INTR) = wait(WaitOptions::empty()) {}
}
