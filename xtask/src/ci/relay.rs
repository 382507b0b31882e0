//! A command whose output is both shown and kept.

use anyhow::{Context, Result};
use std::io::{self, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

/// What a command came to.
#[derive(Debug)]
pub(super) struct Relayed {
    /// How it ended.
    pub(super) status: ExitStatus,
    /// What it wrote to its standard output, and then to its standard error.
    pub(super) text: String,
}

/// Runs a command; its output appears as it comes.
///
/// # Errors
/// When it cannot be started.
pub(super) fn relay(command: &mut Command) -> Result<Relayed> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The summaries in it are read.
    command.env("CARGO_TERM_COLOR", "never");
    let spawned = command.spawn();
    let mut child = spawned.with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let text = thread::scope(|scope| {
        let out = scope.spawn(|| pass_on(out, io::stdout()));
        let err = pass_on(err, io::stderr());
        let mut text = out.join().unwrap_or_default();
        text.extend(err);
        text
    });
    let status = child.wait().context("cannot wait for a command")?;
    Ok(Relayed { status, text: String::from_utf8_lossy(&text).into_owned() })
}

fn pass_on(source: Option<impl Read>, mut sink: impl Write) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 1 << 12]);
    let Some(mut source) = source else { return all };
    while let Ok(count @ 1..) = source.read(&mut buffer) {
        let bytes = buffer.get(..count).unwrap_or_default();
        all.extend_from_slice(bytes);
        // Nobody may be reading; the outcome counts all the same.
        let _ = sink.write_all(bytes).and_then(|()| sink.flush());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_both_streams_and_the_status() {
        let relayed = relay(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap();
        assert_eq!((relayed.status.code(), relayed.text.as_str()), (Some(3), "out\nerr\n"));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = relay(&mut Command::new("/absent/program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot run /absent/program");
    }
}
