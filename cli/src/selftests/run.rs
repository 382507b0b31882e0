//! The runner in a machine of its own.

use super::parse::Line;
use super::verdict::End;
use crate::shell::guest::{Guest, News};
use crate::shell::tools::{self, HOME, Userland};
use anyhow::{Result, ensure};
use ktstr_cache::Cache;
use ktstr_initramfs::Image;
use ktstr_kernels::Kernel;
use ktstr_vmm::{Exit, VmConfig};
use ktstr_wire::{ExitStatus, HostMessage, Run, Streams};
use std::path::Path;
use std::time::{Duration, Instant};

/// Where the runner is in the guest.
const RUNNER: &str = "/root/runner";

/// How often to look at the guest.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Beyond the time that the tests may take: for the machine's boot, on a loaded host.
const BOOT_LIMIT: Duration = Duration::from_secs(600);

/// The most of the console that is kept.
const MOST_CONSOLE_BYTES: usize = 4 << 20;

/// What came of it.
pub(super) struct Seen {
    /// What the runner printed, and when, since the machine was started.
    pub(super) lines: Vec<Line>,
    pub(super) end: End,
    pub(super) console: String,
}

/// What the guest has: a user space, the runner, and the kernel's configuration where libbpf looks for it.
pub(super) fn payload(runner: &Path, kernel: &Kernel, cache: &Cache) -> Result<Image> {
    let image = Userland::find()?.image.program(runner, RUNNER);
    Ok(ktstr::with_kernel_config(image, kernel).build(cache)?)
}

/// Boots the machine and runs the tests whose names have `filter` in them.
pub(super) fn run(config: &VmConfig, payload: &Image, filter: Option<&str>, limit: Duration) -> Result<Seen> {
    let mut guest = Guest::boot(config, payload, &order(filter, limit))?;
    guest.tell(&HostMessage::InputEnd);
    let began = Instant::now();
    let (mut lines, mut console) = (Lines::default(), Vec::new());
    let end = loop {
        let mut end = None;
        for news in guest.look()? {
            match news {
                News::Hello => {}
                News::Console(bytes) if console.len() < MOST_CONSOLE_BYTES => console.extend(bytes),
                News::Console(_) => {}
                News::Output(_, bytes) => lines.take(&bytes, began.elapsed()),
                other => end = end.or(ended(other, limit)),
            }
        }
        if let Some(end) = end {
            break end;
        }
        if began.elapsed() > limit + BOOT_LIMIT {
            break End::Other("the guest was still silent long after its time".to_owned());
        }
        guest.keep_telling()?;
        std::thread::sleep(LOOK_EVERY);
    };
    guest.stop()?;
    ensure!(lines.dropped == 0, "the runner printed {} lines more than are kept", lines.dropped);
    Ok(Seen { lines: lines.finish(), end, console: String::from_utf8_lossy(&console).into_owned() })
}

fn order(filter: Option<&str>, limit: Duration) -> Run {
    let mut argv = vec!["/bin/sh".to_owned(), "-c".to_owned()];
    // Both streams in one, so that what libbpf says stands with the test that it is about.
    argv.push(format!("exec {RUNNER} \"$@\" 2>&1"));
    argv.push("runner".to_owned());
    argv.extend(filter.into_iter().flat_map(|filter| ["-t".to_owned(), filter.to_owned()]));
    Run {
        entropy: None,
        argv,
        env: tools::environment(),
        dir: HOME.to_owned(),
        streams: Streams::Piped,
        context: Vec::new(),
        deadline_ns: u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX),
        schedulers: Vec::new(),
        begin_scheduled: false,
        map_writes: Vec::new(),
        trace: None,
    }
}

fn ended(news: News, limit: Duration) -> Option<End> {
    let other = |how: String| Some(End::Other(how));
    match news {
        News::Exited(ExitStatus::Code(code)) => Some(End::Code(code)),
        News::Exited(ExitStatus::Signal(signal)) => other(format!("signal {signal} ended the runner")),
        News::Exited(ExitStatus::Deadline) => other(format!("the tests took more than {} s", limit.as_secs())),
        News::Fault(what) => other(format!("in the guest: {what}")),
        News::Over(Exit::Broken(why)) => other(why),
        News::Over(exit) => other(format!("the machine ended before the tests did: {exit:?}")),
        _ => None,
    }
}

/// Output, in lines.
#[derive(Default)]
struct Lines {
    whole: Vec<Line>,
    rest: Vec<u8>,
    dropped: usize,
}

impl Lines {
    /// A guest that prints without end is not given all of the host's memory.
    const MOST: usize = 1 << 17;
    const MOST_BYTES: usize = 64 << 10;

    fn take(&mut self, bytes: &[u8], at: Duration) {
        for &byte in bytes {
            if byte == b'\n' || self.rest.len() == Self::MOST_BYTES {
                self.end_line(at);
            }
            if byte != b'\n' {
                self.rest.push(byte);
            }
        }
    }

    fn end_line(&mut self, at: Duration) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.rest)).trim_end().to_owned();
        match self.whole.len() < Self::MOST {
            true => self.whole.push((at, line)),
            false => self.dropped += 1,
        }
    }

    fn finish(mut self) -> Vec<Line> {
        if !self.rest.is_empty() {
            let at = self.whole.last().map_or(Duration::ZERO, |(at, _)| *at);
            self.end_line(at);
        }
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_time_of_their_ends() {
        let at = Duration::from_secs;
        let mut lines = Lines::default();
        lines.take(b"a\nb", at(1));
        lines.take(b"c \n\nd", at(2));
        let expected = [(at(1), "a"), (at(2), "bc"), (at(2), ""), (at(2), "d")];
        assert_eq!(lines.finish(), expected.map(|(at, text)| (at, text.to_owned())));
    }
}
