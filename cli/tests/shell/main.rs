//! `ktstr shell` as its users meet it, in real machines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pty;

use pty::OnTerminal;
use rustix::process::Signal;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const KTSTR: &str = env!("CARGO_BIN_EXE_ktstr");

fn shell(arguments: &[&str]) -> Command {
    let mut command = Command::new(KTSTR);
    command.arg("shell").args(arguments).stdin(Stdio::null());
    command
}

/// Runs it with this on its standard input.
fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = shell(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    // A program that does not read its input to the end closes the pipe.
    let _ = feed.join().unwrap();
    output
}

#[track_caller]
fn check(output: &Output, code: i32, stdout: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stdout)), (Some(code), stdout), "{stderr}");
}

#[test]
fn a_command_has_streams_and_an_exit_code() {
    let input: Vec<u8> = (0..3 << 20).map(|number: u32| (number / 251) as u8).collect();
    let output = run(&["--exec", "cat; echo error >&2; exit 7"], &input);
    assert!(output.stdout == input, "{} bytes of {} came back", output.stdout.len(), input.len());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "error\n");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn a_command_that_a_signal_ends_says_so() {
    check(&run(&["--exec", "echo before; kill -SEGV $$"], b""), 139, "before\n");
}

#[test]
fn commands_may_come_on_standard_input() {
    let script =
        "nproc; pwd; for kind in cgroup2 bpf tracefs devpts; do grep -c \" $kind \" /proc/mounts; done; exit 3";
    check(&run(&["--topology", "1,3,1,1"], script.as_bytes()), 3, "3\n/root\n1\n1\n1\n1\n");
}

#[test]
fn a_machine_follows_the_hosts_clock() {
    let mut command = shell(&["--exec", "echo ready; read go; sleep 3; echo done"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let began = Instant::now();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "done");
    // A busy host makes it longer, never shorter; its clock and the guest's may differ by a little.
    assert!(began.elapsed() >= Duration::from_millis(2900), "three seconds took {:?}", began.elapsed());
    assert!(child.wait().unwrap().success());
}

#[test]
fn files_are_included_with_what_they_need() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir_all(path("data/inner")).unwrap();
    fs::write(path("data/inner/file"), "from a directory\n").unwrap();
    symlink("inner/file", path("data/link")).unwrap();
    fs::write(path("script"), "#!/bin/bash\necho from a script\n").unwrap();
    fs::set_permissions(path("script"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(path("plain"), "from a file\n").unwrap();
    let of = |name: &str, to: &str| format!("{}{to}", path(name).display());
    let (data, script, plain) = (of("data", ""), of("script", ""), of("plain", ":/opt/there"));
    let arguments = ["--include", &data, "--include", &script, "--include", &plain, "--include", KTSTR];
    let exec = "cat data/link; script; cat /opt/there; ktstr --version";
    let output = run(&[&arguments[..], &["--exec", exec]].concat(), b"");
    let version = format!("ktstr {}\n", env!("CARGO_PKG_VERSION"));
    check(&output, 0, &format!("from a directory\nfrom a script\nfrom a file\n{version}"));
}

#[test]
fn a_machine_that_dies_is_no_answer() {
    let output = run(&["--exec", "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger"], b"");
    check(&output, 2, "");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("the machine ended before the program did"), "{stderr}");
    assert!(stderr.contains("console: ") && stderr.contains("sysrq_handle_crash"), "{stderr}");
}

#[test]
fn what_cannot_be_had_is_said() {
    let empty = tempfile::tempdir().unwrap();
    for (arguments, reason) in [
        (["--include", "/absent/file"], "cannot include /absent/file"),
        (["--kernel", "path:/absent/vmlinux"], "/absent/vmlinux"),
        (["--kernel", "nonsense"], "names no kernel"),
        (["--topology", "2,1,1,1"], "the nearest that works is 1,1,1,1"),
        (["--topology", "1,1024,1,1"], "512"),
        (["--memory", "16M"], "needs at least"),
        (["--memory", "much"], "write 512M or 4G"),
        (["--accel", "xen"], "auto, kvm or tcg"),
    ] {
        expect_refusal(shell(&arguments).args(["--exec", "true"]), reason);
    }
    expect_refusal(shell(&["--exec", "true"]).env("PATH", empty.path()), "neither busybox nor bash");
}

#[track_caller]
fn expect_refusal(command: &mut Command, reason: &str) {
    let output = command.output().unwrap();
    check(&output, 2, "");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(reason), "{reason:?} is not in {stderr}");
}

#[test]
fn a_terminal_has_its_size_and_ctrl_c() {
    let mut terminal = OnTerminal::start(shell(&[]), 33, 101);
    terminal.wait_for("# ");
    terminal.keys("stty size; tty\r");
    terminal.wait_for("33 101\r\n/dev/ttyS0\r\n");
    terminal.resize(44, 120);
    terminal.keys("until [ \"$(stty size)\" = '44 120' ]; do sleep 0.1; done; echo resi''zed\r");
    terminal.wait_for("resized\r\n");
    // The program says that it is in the foreground; the keys that start it, when the terminal repeats them, do not.
    terminal.keys("sh -c 'echo o''ne; exec sleep 1000'\r");
    terminal.wait_for("one\r\n");
    terminal.keys("\x03");
    terminal.keys("echo status $?\r");
    terminal.wait_for("status 130\r\n");
    terminal.keys("sh -c 'echo t''wo; exec sleep 1000'\r");
    terminal.wait_for("two\r\n");
    terminal.keys("\x1a");
    terminal.wait_for("Stopped");
    terminal.keys("disown; exit 9\r");
    assert_eq!(terminal.wait().code(), Some(9));
    assert!(terminal.is_as_before());
    assert_gone(terminal.pid());
}

#[test]
fn an_escape_ends_the_machine() {
    let mut terminal = OnTerminal::start(shell(&[]), 24, 80);
    terminal.wait_for("# ");
    assert!(!terminal.is_as_before());
    terminal.keys("\x01h");
    terminal.wait_for("end the machine");
    terminal.keys("\x01b");
    terminal.keys("h");
    terminal.wait_for("sysrq: HELP");
    terminal.keys("\x01x");
    assert_eq!(terminal.wait().code(), Some(137));
    assert!(terminal.is_as_before());
    assert_gone(terminal.pid());
}

#[test]
fn a_signal_restores_the_terminal() {
    let mut terminal = OnTerminal::start(shell(&[]), 24, 80);
    terminal.wait_for("# ");
    terminal.kill(Signal::TERM);
    assert_eq!(terminal.wait().signal(), Some(Signal::TERM.as_raw()));
    assert!(terminal.is_as_before());
    assert_gone(terminal.pid());
}

#[test]
fn being_killed_leaves_no_machine() {
    let mut terminal = OnTerminal::start(shell(&[]), 24, 80);
    terminal.wait_for("# ");
    terminal.kill(Signal::KILL);
    assert_eq!(terminal.wait().signal(), Some(Signal::KILL.as_raw()));
    assert_gone(terminal.pid());
}

#[test]
fn ctrl_c_before_the_guest_is_up_ends_it() {
    let mut terminal = OnTerminal::start(shell(&[]), 24, 80);
    terminal.wait_for("Ctrl-A");
    terminal.keys("\x03");
    assert_eq!(terminal.wait().signal(), Some(Signal::INT.as_raw()));
    assert!(terminal.is_as_before());
    assert_gone(terminal.pid());
}

/// Waits until no emulator of this process is left; the kernel takes a moment to end a killed one.
#[track_caller]
fn assert_gone(pid: u32) {
    let began = Instant::now();
    while emulator_of(pid) {
        assert!(began.elapsed() < Duration::from_secs(10), "the emulator is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn emulator_of(pid: u32) -> bool {
    let mark = format!("ktstr-{pid},");
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let cmdlines = processes.filter_map(|process| fs::read(Path::new(&process.path()).join("cmdline")).ok());
    cmdlines.into_iter().any(|cmdline| String::from_utf8_lossy(&cmdline).contains(&mark))
}
