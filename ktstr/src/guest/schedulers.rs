//! What the test binary asks of the agent about schedulers.

use crate::scheduler::BpfMapWrite;
use anyhow::{Context, Result, bail, ensure};
use ktstr_wire::frames::frame;
use ktstr_wire::message::{decode, encode};
use ktstr_wire::scheduler::{
    MAX_REQUEST_BYTES, MapWrite, REQUEST_FD_ENV, SCHEDULER_PID_ENV, SchedulerReply, SchedulerRequest,
};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The schedulers of a test, as the host tells them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Known {
    /// In the order in which the agent has them.
    pub(crate) schedulers: Vec<Named>,
    /// The one that runs when the body starts.
    pub(crate) first: Option<u32>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// Whether it has BPF maps.
    pub(crate) is_program: bool,
}

/// The way to change them.
#[derive(Debug)]
pub(crate) struct Schedulers {
    known: Known,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    socket: Option<File>,
    running: Option<u32>,
    pid: Option<i32>,
}

impl Known {
    /// The number of the one that is called so.
    ///
    /// # Errors
    /// Says which there are.
    pub(crate) fn number(&self, name: &str) -> Result<u32, String> {
        let found = (0..).zip(&self.schedulers).find(|(_, scheduler)| scheduler.name == name);
        found.map(|(number, _)| number).ok_or_else(|| match self.schedulers.as_slice() {
            [] => {
                format!("there is no scheduler {name:?}, for the test has none: name it by `scheduler` or `schedulers`")
            }
            all => {
                let names: Vec<&str> = all.iter().map(|scheduler| scheduler.name.as_str()).collect();
                format!("there is no scheduler {name:?} among {}: add it by `schedulers`", names.join(", "))
            }
        })
    }
}

impl Schedulers {
    /// Those of this process, by what the agent put into its environment.
    pub(crate) fn from_env(known: Known) -> Self {
        let number = |name| std::env::var(name).ok()?.parse::<i32>().ok();
        // SAFETY: the agent made the descriptor for this process, and one process runs one test.
        let socket = number(REQUEST_FD_ENV).map(|fd| unsafe { File::from_raw_fd(fd) });
        let now = Mutex::new(Now { socket, running: known.first, pid: number(SCHEDULER_PID_ENV) });
        Self { known, now }
    }

    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// The process of the one that runs.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.now().pid
    }

    /// Stops what runs, and starts the one of this name.
    pub(crate) fn switch(&self, name: &str) -> Result<()> {
        let number = self.known.number(name).map_err(anyhow::Error::msg)?;
        self.now().change(&SchedulerRequest::Switch(number), Some(number))
    }

    /// Stops what runs.
    pub(crate) fn stop(&self) -> Result<()> {
        self.now().change(&SchedulerRequest::Stop, None)
    }

    /// Stops what runs and starts it again.
    pub(crate) fn restart(&self) -> Result<()> {
        let mut now = self.now();
        let number = now.running.context("no scheduler runs that could be started again")?;
        now.change(&SchedulerRequest::Switch(number), Some(number))
    }

    /// Writes into a map of the one that runs.
    pub(crate) fn write(&self, write: &MapWrite) -> Result<()> {
        let mut now = self.now();
        now.pid = now.ask(&SchedulerRequest::Write(write.clone()))?;
        Ok(())
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    /// Afterwards that one runs; none where it failed.
    fn change(&mut self, request: &SchedulerRequest, running: Option<u32>) -> Result<()> {
        (self.running, self.pid) = (None, None);
        self.pid = self.ask(request)?;
        self.running = running;
        Ok(())
    }

    /// The process of the scheduler that runs when it is done.
    fn ask(&mut self, request: &SchedulerRequest) -> Result<Option<i32>> {
        let socket = self.socket.as_mut().context("the agent has given no way to ask for schedulers")?;
        match ask(socket, request).context("cannot ask the agent for a scheduler")? {
            SchedulerReply::Done { pid } => Ok(pid),
            SchedulerReply::Failed(why) => bail!(why),
        }
    }
}

fn ask(socket: &mut (impl Read + Write), request: &SchedulerRequest) -> Result<SchedulerReply> {
    let bytes = encode(request);
    let length = bytes.len();
    ensure!(length <= MAX_REQUEST_BYTES, "its {length} bytes are more than the {MAX_REQUEST_BYTES} allowed");
    socket.write_all(&frame(&bytes))?;
    let mut length = [0; 4];
    socket.read_exact(&mut length).context("the agent does not answer")?;
    let length = u32::from_le_bytes(length) as usize;
    ensure!(
        length <= MAX_REQUEST_BYTES,
        "the agent answers with {length} bytes, more than the {MAX_REQUEST_BYTES} allowed"
    );
    let mut reply = vec![0; length];
    socket.read_exact(&mut reply).context("the agent's answer is cut")?;
    Ok(decode(&reply)?)
}

/// What is written now, which has no time of its own.
pub(crate) fn at_once(write: &BpfMapWrite) -> Result<MapWrite> {
    let timed = write.timed();
    ensure!(timed.after_ns == 0, "a write that is asked for is made at once: leave out `after`");
    Ok(timed.write)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    fn known() -> Known {
        let named = |name: &str| Named { name: name.to_owned(), is_program: true };
        Known { schedulers: vec![named("one"), named("two")], first: Some(0) }
    }

    fn schedulers(socket: UnixStream) -> Schedulers {
        let socket = Some(File::from(std::os::fd::OwnedFd::from(socket)));
        Schedulers { known: known(), now: Mutex::new(Now { socket, running: Some(0), pid: Some(5) }) }
    }

    /// An agent that gives these answers; what it was asked.
    fn agent(mut socket: UnixStream, replies: Vec<SchedulerReply>) -> std::thread::JoinHandle<Vec<SchedulerRequest>> {
        std::thread::spawn(move || {
            let mut answer = |reply: &SchedulerReply| {
                let mut length = [0; 4];
                socket.read_exact(&mut length).unwrap();
                let mut request = vec![0; u32::from_le_bytes(length) as usize];
                socket.read_exact(&mut request).unwrap();
                let reply = encode(reply);
                socket.write_all(&(reply.len() as u32).to_le_bytes()).unwrap();
                socket.write_all(&reply).unwrap();
                decode(&request).unwrap()
            };
            replies.iter().map(&mut answer).collect()
        })
    }

    #[test]
    fn the_one_that_runs_is_known() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let done = |pid| SchedulerReply::Done { pid };
        let failed = SchedulerReply::Failed("it does not load".to_owned());
        let agent = agent(theirs, vec![done(Some(7)), done(Some(8)), failed, done(None)]);
        let schedulers = schedulers(ours);
        assert_eq!(schedulers.pid(), Some(5));
        schedulers.switch("two").unwrap();
        schedulers.restart().unwrap();
        assert_eq!(schedulers.pid(), Some(8));
        assert_eq!(schedulers.switch("one").unwrap_err().to_string(), "it does not load");
        assert_eq!(schedulers.pid(), None);
        assert!(schedulers.restart().unwrap_err().to_string().contains("no scheduler runs"));
        schedulers.stop().unwrap();
        let asked = agent.join().unwrap();
        use SchedulerRequest::{Stop, Switch};
        assert_eq!(asked, [Switch(1), Switch(1), Switch(0), Stop]);
    }

    #[test]
    fn an_agent_that_is_gone_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let schedulers = schedulers(ours);
        drop(theirs);
        let error = format!("{:#}", schedulers.stop().unwrap_err());
        assert!(error.starts_with("cannot ask the agent for a scheduler"), "{error}");
    }

    #[test]
    fn unknown_names_are_refused() {
        assert_eq!(known().number("two"), Ok(1));
        assert!(known().number("six").unwrap_err().contains("there is no scheduler \"six\" among one, two"));
        assert!(Known::default().number("one").unwrap_err().contains("for the test has none"));
    }

    #[test]
    fn a_write_has_no_time_of_its_own() {
        let write = BpfMapWrite::variable("x", &[1]);
        assert_eq!(at_once(&write).unwrap().value, [1]);
        assert!(at_once(&write.after(Duration::from_millis(1))).is_err());
    }
}
