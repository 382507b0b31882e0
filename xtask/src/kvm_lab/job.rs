//! The job: a shell script that recreates the caller's directory, environment and command inside the lab.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What to run in the lab, and as whom it should believe to run.
#[derive(Debug)]
pub(super) struct Job<'a> {
    /// The working directory.
    pub(super) dir: &'a Path,
    /// The whole environment.
    pub(super) env: &'a [(OsString, OsString)],
    /// The command and its arguments.
    pub(super) command: &'a [OsString],
}

/// The script that the lab's shell runs as the first process of a PID namespace.
///
/// It does not `exec` the command: a command that were the first process itself would ignore signals it has no handler
/// for.
pub(super) fn script(job: &Job<'_>) -> Vec<u8> {
    let mut text = b"b=/run/kvm-lab/busybox\n$b mount -t proc proc /proc\ncd ".to_vec();
    quote(&mut text, job.dir.as_os_str());
    // The shell's own remarks, such as `Killed`, stay out of the command's stderr.
    text.extend_from_slice(b" || exit 125\nexec 3>&2 2>/dev/null\n(exec $b env -i");
    for (name, value) in job.env {
        let mut pair = name.clone();
        pair.push("=");
        pair.push(value);
        text.push(b' ');
        quote(&mut text, &pair);
    }
    for word in job.command {
        text.push(b' ');
        quote(&mut text, word);
    }
    text.extend_from_slice(b" 2>&3 3>&-)\nexit $?\n");
    text
}

/// Appends one shell word that stands for exactly these bytes.
fn quote(text: &mut Vec<u8>, word: &OsStr) {
    text.push(b'\'');
    for &byte in word.as_bytes() {
        match byte {
            b'\'' => text.extend_from_slice(br"'\''"),
            other => text.push(other),
        }
    }
    text.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;
    use std::process::Command;

    /// A POSIX shell reads the quoted word back as the same bytes.
    fn check(bytes: &[u8]) {
        let mut text = b"printf %s ".to_vec();
        quote(&mut text, OsStr::from_bytes(bytes));
        let output = Command::new("sh").arg("-c").arg(OsString::from_vec(text)).output().unwrap();
        assert_eq!(output.stdout, bytes);
    }

    #[test]
    fn quoting_keeps_every_byte() {
        check(b"");
        check(b"plain");
        check(br#"it's "$HOME" `x` \ * ? ! # ; & | < >"#);
        check(b"two\nlines\ttab");
        check(&(1..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn script_has_directory_environment_and_command() {
        let job = Job {
            dir: Path::new("/a b"),
            env: &[("X".into(), "1 2".into())],
            command: &["echo".into(), "it's".into()],
        };
        let text = String::from_utf8(script(&job)).unwrap();
        assert!(text.contains("cd '/a b' || exit 125\n"), "{text}");
        assert!(text.contains("(exec $b env -i 'X=1 2' 'echo' 'it'\\''s' 2>&3 3>&-)\nexit $?\n"), "{text}");
    }
}
