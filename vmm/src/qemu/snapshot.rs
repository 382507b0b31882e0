//! Saving and restoring a QEMU machine: its migration stream, without RAM, which is in files of ours.
//!
//! Restored machines are told not to announce themselves to a network. They have none, and the timer for it is one of the
//! host's clock, by which QEMU limits how far its vCPUs go in one turn (accel/tcg/tcg-accel-ops-icount.c, `icount_get_limit`):
//! each run would be another.

use super::process::Process;
use super::qmp::{TIMEOUT, in_words};
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// QEMU's name for our end of the stream.
const STREAM: &str = "ktstr";

const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Far more than any machine has besides its RAM.
const MAX_BYTES: u64 = 256 << 20;

/// The state of a machine that stands still.
pub(super) fn save(process: &mut Process) -> io::Result<Vec<u8>> {
    let mut stream = begin(process, "migrate")?;
    let mut state = Vec::new();
    // It ends when QEMU closes its end, be it done or not.
    (&mut stream).take(MAX_BYTES).read_to_end(&mut state).map_err(in_words)?;
    finish(process)?;
    Ok(state)
}

/// Gives a machine that was started with `-incoming defer` its state.
pub(super) fn restore(process: &mut Process, state: &[u8]) -> io::Result<()> {
    process.execute("migrate-set-parameters", json!({ "announce-rounds": 0 }))?;
    let mut stream = begin(process, "migrate-incoming")?;
    // A QEMU that refuses the beginning closes its end, and says why below.
    let written = stream.write_all(state).map_err(in_words);
    drop(stream);
    finish(process)?;
    written
}

/// Starts a migration, of which the other end is returned.
fn begin(process: &mut Process, command: &str) -> io::Result<UnixStream> {
    let leave_ram = json!([{ "capability": "x-ignore-shared", "state": true }]);
    process.execute("migrate-set-capabilities", json!({ "capabilities": leave_ram }))?;
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(TIMEOUT))?;
    ours.set_write_timeout(Some(TIMEOUT))?;
    process.give(STREAM, theirs.as_raw_fd())?;
    drop(theirs);
    process.execute(command, json!({ "uri": format!("fd:{STREAM}") }))?;
    Ok(ours)
}

/// Waits until QEMU says that it is done.
fn finish(process: &mut Process) -> io::Result<()> {
    let began = Instant::now();
    loop {
        let answer = process.execute("query-migrate", json!({}))?;
        match answer["status"].as_str() {
            Some("completed") => return Ok(()),
            Some("failed" | "cancelled") => return Err(io::Error::other(why(&answer))),
            status if began.elapsed() > TIMEOUT => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("its state is {status:?} for too long")));
            }
            _ => sleep(LOOK_EVERY),
        }
    }
}

fn why(answer: &Value) -> String {
    answer["error-desc"].as_str().unwrap_or("it failed, and does not say why").to_owned()
}
