//! Child processes that never outlive this one.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    /// Everything it wrote to standard error.
    pub(crate) errors: String,
}

/// Runs a command without input; each line of its standard output goes to `line` as it comes.
pub(crate) fn run(command: &mut Command, mut line: impl FnMut(&str)) -> io::Result<Finished> {
    let (_, finished) = stream(command, |stdout| {
        for text in BufReader::new(stdout).split(b'\n') {
            line(&String::from_utf8_lossy(&text?));
        }
        Ok::<_, io::Error>(true)
    })?;
    Ok(finished)
}

/// As [`run`]; while no new line comes, `wait` is told every now and then for how long, and ends the command by an error.
/// A line that repeats the one before is no news: that is how apt-get shows that it waits.
pub(crate) fn run_watched(
    command: &mut Command,
    mut line: impl FnMut(&str),
    mut wait: impl FnMut(Duration) -> io::Result<()>,
) -> io::Result<Finished> {
    const LOOK_EVERY: Duration = Duration::from_millis(200);
    let (_, finished) = stream(command, |stdout| {
        let lines = lines_of(stdout);
        let (mut heard, mut last) = (Instant::now(), Vec::new());
        loop {
            match lines.recv_timeout(LOOK_EVERY) {
                Ok(text) => {
                    let text = text?;
                    line(&String::from_utf8_lossy(&text));
                    if text != last {
                        (heard, last) = (Instant::now(), text);
                        continue;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok::<_, io::Error>(true),
                Err(RecvTimeoutError::Timeout) => {}
            }
            wait(heard.elapsed())?;
        }
    })?;
    Ok(finished)
}

/// The lines that come through a pipe, read by a thread that ends with the pipe.
fn lines_of(stdout: ChildStdout) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || BufReader::new(stdout).split(b'\n').try_for_each(|text| sender.send(text)));
    receiver
}

/// Runs a command and returns its standard output.
pub(crate) fn output(command: &mut Command) -> io::Result<(String, Finished)> {
    let mut text = String::new();
    let finished = run(command, |line| {
        text.push_str(line);
        text.push('\n');
    })?;
    Ok((text, finished))
}

/// Runs a command whose standard output goes to `consume`. When that returns false it has seen enough, and the command
/// is ended.
pub(crate) fn stream<E: From<io::Error>>(
    command: &mut Command,
    consume: impl FnOnce(ChildStdout) -> Result<bool, E>,
) -> Result<(bool, Finished), E> {
    die_with_parent(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Reaped(command.spawn()?);
    let pipe_missing = || io::Error::other("a pipe of the child process is missing");
    let stdout = child.0.stdout.take().ok_or_else(pipe_missing)?;
    let mut stderr = child.0.stderr.take().ok_or_else(pipe_missing)?;
    let reader = std::thread::spawn(move || {
        let mut errors = Vec::new();
        let _ = stderr.read_to_end(&mut errors);
        String::from_utf8_lossy(&errors).into_owned()
    });
    let complete = consume(stdout)?;
    if !complete {
        child.0.kill()?;
    }
    let status = child.0.wait()?;
    let errors = reader.join().unwrap_or_default();
    Ok((complete, Finished { status, errors }))
}

/// A child that is ended and waited for when the caller gives up on it.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn die_with_parent(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec and makes one async-signal-safe system call that touches no memory.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn gives_output_errors_and_status() {
        let (text, finished) = output(&mut shell("echo a; echo b >&2; exit 3")).unwrap();
        assert_eq!((text.as_str(), finished.errors.as_str()), ("a\n", "b\n"));
        assert_eq!(finished.status.code(), Some(3));
    }

    #[test]
    fn ends_a_command_that_stays_silent() {
        for script in ["echo a; exec sleep 1000", "exec yes a"] {
            let mut lines = Vec::new();
            let given_up = run_watched(
                &mut shell(script),
                |line| lines.push(line.to_owned()),
                |_| Err(io::ErrorKind::TimedOut.into()),
            );
            assert_eq!(given_up.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert_eq!(lines[0], "a");
        }
        let finished = run_watched(&mut shell("sleep 0.3; exit 2"), |_| (), |_| Ok(())).unwrap();
        assert_eq!(finished.status.code(), Some(2));
    }

    #[test]
    fn ends_a_command_that_has_said_enough() {
        let (complete, finished) = stream(&mut shell("exec cat /dev/zero"), |mut stdout| {
            stdout.read_exact(&mut [0; 100])?;
            Ok::<_, io::Error>(false)
        })
        .unwrap();
        assert!(!complete && !finished.status.success());
    }
}
