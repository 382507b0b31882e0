//! Tests of tracing, with programs of the machine that runs them. A thread of the test is the tracer.

use super::call::{Call, Room};
use super::ptrace::{Event, Tracee};
use super::*;
use rustix::pipe::pipe;
use rustix::process::{Signal, kill_process};
use std::io::Read;
use std::process::{Child, ChildStdout};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const LOGS: Asked = Asked { watchdog_timeout_ms: None, log_level: 1 };

/// Keeps none of the gate's end, which is the standard input.
const PARENT: &str = r#"exec 3<&0 </dev/null; /bin/sh -c "$0" <&3 3<&- & exec 3<&-; wait $!; echo code $?"#;

/// A shell that waits at a gate before it runs a script, and its tracer. The shell is the child of another, which tells in
/// the end how it ended: a process whose tracer and parent are threads of one process is waited for once only.
struct Traced {
    parent: Child,
    pid: Pid,
    output: ChildStdout,
    tracer: Tracer,
    thread: JoinHandle<Result<()>>,
}

impl Traced {
    fn start(script: &str) -> Self {
        let (inner, outer) = UnixStream::pair().unwrap();
        let gated = format!("echo $$; dd bs=1 count=1 of=/dev/null 2>/dev/null; {script}");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", PARENT, &gated]);
        command.stdin(OwnedFd::from(outer)).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut parent = command.spawn().unwrap();
        drop(command);
        let mut output = parent.stdout.take().unwrap();
        let pid = Pid::from_raw(number(&mut output)).unwrap();
        let ((news_out, news_in), (release_out, release_in)) = (pipe().unwrap(), pipe().unwrap());
        let tracer = Tracer::new(news_out, release_in, LOGS).unwrap();
        let thread = thread::spawn(move || tracees::trace(pid, LOGS, inner, news::Teller::new(news_in), release_out));
        Self { parent, pid, output, tracer, thread }
    }

    /// Everything that is told until it is no longer traced.
    fn news(&mut self) -> Vec<News> {
        let mut all = Vec::new();
        while !self.tracer.is_released() {
            all.extend(self.tracer.news().unwrap());
            thread::sleep(Duration::from_millis(1));
        }
        all
    }

    /// What it printed, and its exit code as the other shell tells it.
    fn end(mut self) -> String {
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        self.thread.join().unwrap().unwrap();
        assert!(self.parent.wait().unwrap().success());
        text
    }
}

/// The number on a line.
fn number(output: &mut ChildStdout) -> i32 {
    let mut digits = String::new();
    let mut byte = [0];
    while output.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        digits.push(char::from(byte[0]));
    }
    digits.parse().unwrap()
}

/// Runs a script to its end, traced all the time.
fn check(script: &str, expected: &str) {
    let mut traced = Traced::start(script);
    assert_eq!(traced.news(), [News::Released], "{script}");
    assert_eq!(traced.end(), expected, "{script}");
}

#[test]
fn a_program_runs_as_it_would_untraced() {
    check("exec /bin/echo hello", "hello\ncode 0\n");
    check("exec /bin/sh -c 'exit 7'", "code 7\n");
}

#[test]
fn children_and_their_programs_are_traced_to_their_ends() {
    check("exec /bin/sh -c '(echo a; exit 3); echo $?; /bin/echo b | /bin/cat'", "a\n3\nb\ncode 0\n");
}

#[test]
fn signals_arrive() {
    check("exec /bin/sh -c 'trap \"echo got\" USR1; kill -USR1 $$; echo end'", "got\nend\ncode 0\n");
    check("exec /bin/sh -c 'kill -TERM $$'", "code 143\n");
}

#[test]
fn a_program_that_never_starts_is_told_of() {
    let mut traced = Traced::start("printf 'cannot start x' >&0; exit 127");
    assert_eq!(traced.news(), [News::NotStarted("cannot start x".to_owned()), News::Released]);
    assert_eq!(traced.end(), "code 127\n");
}

#[test]
fn what_is_let_go_runs_on_untraced() {
    let script = "trap \"kill $!; grep TracerPid /proc/self/status; exit 0\" USR1";
    let script = script.replace("$!", "\\$!");
    let mut traced = Traced::start(&format!("exec /bin/sh -c '{script}; sleep 60 >/dev/null & echo $!; wait'"));
    let sleeper = number(&mut traced.output);
    let tracer_of = |pid: i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().find_map(|line| line.strip_prefix("TracerPid:")).unwrap().trim().parse::<i32>().unwrap()
    };
    let own = traced.pid.as_raw_nonzero().get();
    assert_ne!((tracer_of(sleeper), tracer_of(own)), (0, 0));
    traced.tracer.release();
    assert_eq!(traced.news(), [News::Released]);
    assert_eq!((tracer_of(sleeper), tracer_of(own)), (0, 0));
    kill_process(traced.pid, Signal::USR1).unwrap();
    assert_eq!(traced.end(), "TracerPid:\t0\ncode 0\n");
}

#[test]
fn a_program_that_is_killed_is_no_longer_traced() {
    let mut traced = Traced::start("exec /bin/sh -c 'echo $$; exec sleep 60'");
    number(&mut traced.output);
    kill_process(traced.pid, Signal::KILL).unwrap();
    assert_eq!(traced.news(), [News::Released]);
    assert!(traced.end().contains("code 137"));
}

/// A shell that is about to change its directory.
#[expect(clippy::zombie_processes, reason = "the loop ends with the process handed out, or the test fails")]
fn before_chdir(script: &str) -> (Child, Tracee) {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("read go; {script}")]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let tracee = Tracee::seize(Pid::from_child(&child)).unwrap();
    tracee.interrupt().unwrap();
    // It may be on its way to be a shell: that is an event, too, and only one of the two is seen.
    assert!([Event::Trap, Event::Exec].contains(&tracee.wait().unwrap()));
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"go\n").unwrap();
    loop {
        tracee.resume(0).unwrap();
        assert_ne!(tracee.wait().unwrap(), Event::Gone);
        if tracee.entry().unwrap().is_some_and(|entry| entry.number == libc::SYS_chdir as u64) {
            return (child, tracee);
        }
    }
}

#[test]
fn a_call_is_made_otherwise_and_leaves_nothing() {
    let (child, tracee) = before_chdir("cd / && /bin/pwd");
    let maps = || std::fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
    let before = maps();
    let mut call = Call::begin(tracee, tracee.entry().unwrap().unwrap()).unwrap();
    let room = Room::map(&mut call, 4096).unwrap().unwrap();
    assert_ne!(maps(), before);
    memory::write(tracee.0, room.address, b"/proc/1\0").unwrap();
    let mut args = call.entry.args;
    args[0] = room.address;
    assert_eq!(call.make_own(args).unwrap(), 0);
    memory::write(tracee.0, room.address, b"/nowhere\0").unwrap();
    assert_eq!(call.make_own(args).unwrap(), -i64::from(libc::ENOENT));
    room.unmap(&mut call).unwrap();
    call.finish(0).unwrap();
    assert_eq!(maps(), before);
    tracee.detach(0).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "/proc/1\n");
}

#[test]
fn signals_wait_until_a_call_is_over() {
    let (child, tracee) = before_chdir("trap 'echo got' USR1; cd /; echo there");
    let mut call = Call::begin(tracee, tracee.entry().unwrap().unwrap()).unwrap();
    kill_process(tracee.0, Signal::USR1).unwrap();
    let room = Room::map(&mut call, 4096).unwrap().unwrap();
    room.unmap(&mut call).unwrap();
    call.give_up().unwrap();
    tracee.resume(0).unwrap();
    assert_eq!(tracee.wait().unwrap(), Event::Signal(libc::SIGUSR1));
    tracee.detach(libc::SIGUSR1).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "got\nthere\n");
}
