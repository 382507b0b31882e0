//! A guest and this program's standard streams, connected until one of them ends.

use super::escape::{Action, HELP, Keys};
use super::guest::{Guest, News};
use super::input::{Input, Piece};
use super::terminal::{self, Raw};
use anyhow::{Context, Result, bail, ensure};
use ktstr_vmm::Exit;
use ktstr_wire::{ExitStatus, HostMessage, Stream, WindowSize};
use signal_hook::consts::SIGWINCH;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a guest may take to boot: for emulated ones with hundreds of CPUs on a loaded host. A person interrupts sooner.
const BOOT_LIMIT: Duration = Duration::from_secs(600);

/// How often to look at a guest that has just said something, and at one that has not for a while.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const LOOK_IDLY_EVERY: Duration = Duration::from_millis(10);
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// Lines of the console that explain an end.
const LAST_LINES: usize = 40;
/// As much of the console as is kept for that.
const KEPT_BYTES: usize = 16 << 10;

/// Exit codes of what a signal has ended, as shells give them.
const SIGNALLED: i32 = 128;
const SIGKILL: i32 = 9;
const SIGPIPE: i32 = 13;

/// How the program in the guest is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It has the console, and the console has this terminal.
    Terminal(WindowSize),
    /// It has pipes; `has_input` says whether it gets this program's standard input.
    Piped { has_input: bool },
}

/// Both sides, connected.
pub(super) struct Session {
    guest: Guest,
    mode: Mode,
    /// Since the guest's hello, where there is any input.
    input: Option<Input>,
    has_said_hello: bool,
    raw: Option<Raw>,
    keys: Keys,
    /// The end of what was on the console and was not shown.
    console: Vec<u8>,
    last_news: Instant,
}

impl Session {
    pub(super) fn new(guest: Guest, mode: Mode) -> Self {
        Self {
            guest,
            mode,
            input: None,
            has_said_hello: false,
            raw: None,
            keys: Keys::default(),
            console: Vec::new(),
            last_news: Instant::now(),
        }
    }

    /// Connects the two until the program or the machine ends; the exit code.
    pub(super) fn run(mut self) -> Result<u8> {
        let resized = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGWINCH, Arc::clone(&resized)).context("cannot watch for signals")?;
        let began = Instant::now();
        loop {
            for news in self.guest.look()? {
                self.last_news = Instant::now();
                if let Some(code) = self.take(news)? {
                    self.guest.stop()?;
                    return Ok(code as u8);
                }
            }
            ensure!(
                self.has_said_hello || began.elapsed() < BOOT_LIMIT,
                "the guest has not come up within {} s{}",
                BOOT_LIMIT.as_secs(),
                self.last_lines()
            );
            if resized.swap(false, Ordering::Relaxed)
                && let Mode::Terminal(_) = self.mode
            {
                self.guest.tell(&HostMessage::Resize(terminal::size()?));
            }
            if let Some(code) = self.pass_input_on()? {
                self.guest.stop()?;
                return Ok(code as u8);
            }
        }
    }

    /// Passes news on; the exit code when they are the last.
    fn take(&mut self, news: News) -> Result<Option<i32>> {
        match news {
            News::Hello => self.begin()?,
            News::Console(bytes) => {
                if self.raw.is_some() {
                    return show(io::stdout(), &bytes);
                }
                self.console.extend(bytes);
                self.console.drain(..self.console.len().saturating_sub(KEPT_BYTES));
            }
            News::Output(Stream::Stdout, bytes) => return show(io::stdout(), &bytes),
            News::Output(Stream::Stderr, bytes) => return show(io::stderr(), &bytes),
            News::Exited(ExitStatus::Code(code)) => return Ok(Some(code)),
            News::Exited(ExitStatus::Signal(signal)) => return Ok(Some(SIGNALLED + signal)),
            News::Exited(ExitStatus::Deadline) => bail!("the guest ended the program, though it had no deadline"),
            // None was ordered.
            News::Scheduler(_) => {}
            News::Fault(what) => bail!("in the guest: {what}{}", self.last_lines()),
            // Someone at the console has told it to.
            News::Over(Exit::PowerOff) if self.raw.is_some() => return Ok(Some(0)),
            News::Over(exit) => bail!("the machine ended before the program did: {}{}", told(&exit), self.last_lines()),
        }
        Ok(None)
    }

    /// The guest is there.
    fn begin(&mut self) -> Result<()> {
        self.has_said_hello = true;
        match self.mode {
            Mode::Terminal(_) => {
                self.raw = Some(Raw::enter()?);
                self.input = Some(Input::read()?);
            }
            Mode::Piped { has_input: true } => self.input = Some(Input::read()?),
            Mode::Piped { has_input: false } => self.guest.tell(&HostMessage::InputEnd),
        }
        Ok(())
    }

    /// Waits a moment for input, and passes it on; an exit code when the machine is to be ended.
    fn pass_input_on(&mut self) -> Result<Option<i32>> {
        let rest = if self.last_news.elapsed() < IDLE_AFTER { LOOK_EVERY } else { LOOK_IDLY_EVERY };
        // While the guest does not take what there is, no more is read.
        let told_all = self.guest.keep_telling()?;
        let Some(input) = self.input.as_ref().filter(|_| told_all) else {
            std::thread::sleep(rest);
            return Ok(None);
        };
        let Some(piece) = input.wait(rest) else { return Ok(None) };
        self.last_news = Instant::now();
        match (self.mode, piece) {
            (Mode::Piped { .. }, Piece::Bytes(bytes)) => self.guest.tell(&HostMessage::Input(bytes)),
            (Mode::Piped { .. }, Piece::End) => self.guest.tell(&HostMessage::InputEnd),
            (Mode::Terminal(_), Piece::Bytes(keys)) => return self.act(&keys),
            // The terminal has hung up.
            (Mode::Terminal(_), Piece::End) => return Ok(Some(SIGNALLED + SIGKILL)),
        }
        Ok(None)
    }

    /// Does what the keys mean.
    fn act(&mut self, keys: &[u8]) -> Result<Option<i32>> {
        for action in self.keys.take(keys) {
            match action {
                Action::Type(keys) => self.guest.type_into_console(&keys)?,
                Action::Break => self.guest.send_break()?,
                Action::Help => drop(show(io::stdout(), HELP.as_bytes())?),
                Action::End => return Ok(Some(SIGNALLED + SIGKILL)),
            }
        }
        Ok(None)
    }

    /// The end of the console, unless it has been shown.
    fn last_lines(&self) -> String {
        let console = String::from_utf8_lossy(&self.console);
        ktstr::last_lines(&console, LAST_LINES).iter().map(|line| format!("\n    console: {line}")).collect()
    }
}

/// Writes to one of our streams. When nobody reads it any more, the code of a process that has met that.
fn show(mut stream: impl Write, bytes: &[u8]) -> Result<Option<i32>> {
    match stream.write_all(bytes).and_then(|()| stream.flush()) {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Some(SIGNALLED + SIGPIPE)),
        Err(error) => Err(error).context("cannot pass the guest's output on"),
    }
}

fn told(exit: &Exit) -> String {
    match exit {
        Exit::PowerOff => "it was powered off".to_owned(),
        Exit::Reset => "it was reset, as after a kernel panic".to_owned(),
        Exit::TripleFault => "it died of a triple fault".to_owned(),
        Exit::Broken(why) => why.clone(),
    }
}
