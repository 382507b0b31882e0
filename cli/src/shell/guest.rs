//! The machine and the channels to its agent.

use anyhow::{Context, Result, ensure};
use ktstr_initramfs::Image;
use ktstr_vmm::{Exit, RamRegion, Vm, VmConfig};
use ktstr_wire::control::FrameReader;
use ktstr_wire::message::{decode, encode};
use ktstr_wire::ring::{Consumer, Producer};
use ktstr_wire::scheduler::SchedulerEvent;
use ktstr_wire::{ExitStatus, GuestMessage, HostMessage, Reserved, Run, Stream};
use std::collections::VecDeque;
use std::fs::File;

/// Pieces of the console, and of a program's output, that are taken before they are shown.
const PIECES_AT_ONCE: usize = 16;

/// A running guest.
pub(crate) struct Guest {
    vm: Vm,
    control: FrameReader,
    from_guest: Consumer<RamRegion>,
    to_guest: Producer<RamRegion>,
    /// What did not fit the ring yet.
    waiting: VecDeque<Vec<u8>>,
}

/// Something that the guest has said or done.
#[derive(Debug)]
pub(crate) enum News {
    /// The agent runs: from now on the console is the program's.
    Hello,
    /// On the console.
    Console(Vec<u8>),
    /// From a program that is connected by pipes.
    Output(Stream, Vec<u8>),
    /// About the scheduler that was ordered.
    Scheduler(SchedulerEvent),
    /// The program is gone, and all that it wrote has been told.
    Exited(ExitStatus),
    /// The agent could not do its part.
    Fault(String),
    /// The machine is over.
    Over(Exit),
}

impl Guest {
    /// Boots a machine that will run `order` in what `payload` holds.
    pub(crate) fn boot(config: &VmConfig, payload: &Image, order: &Run) -> Result<Self> {
        let mut vm = Vm::new(config)?;
        let reserved = Reserved::format(vm.reserved()?)?;
        let mut archive =
            File::open(&payload.path).with_context(|| format!("cannot read {}", payload.path.display()))?;
        reserved.put_payload(&mut archive, payload.len_bytes as usize)?;
        let (from_guest, mut to_guest) = (reserved.bulk_in()?, reserved.orders_out()?);
        ensure!(to_guest.push(&encode(order))?, "the command is too long: write it to a file, and --include that");
        vm.start()?;
        Ok(Self { vm, control: FrameReader::default(), from_guest, to_guest, waiting: VecDeque::new() })
    }

    /// All that is new, in the order in which it came about as far as that can be told.
    pub(crate) fn look(&mut self) -> Result<Vec<News>> {
        // In the reverse order, so that nothing is missed that came before what is seen here.
        let exit = self.vm.exit();
        let control = self.vm.read_control()?;
        self.control.push(&control);
        let mut news = Vec::new();
        let mut ends = Vec::new();
        while let Some(frame) = self.control.next_frame() {
            match decode(&frame).context("a message of the guest's agent cannot be understood")? {
                GuestMessage::Hello(_) => news.push(News::Hello),
                GuestMessage::Exited { status, .. } => ends.push(News::Exited(status)),
                GuestMessage::Fault(what) => ends.push(News::Fault(what)),
                _ => {}
            }
        }
        // A guest may write as fast as this reads. At the end all of it is wanted, and no more is coming.
        let limit = if ends.is_empty() && exit.is_none() { PIECES_AT_ONCE } else { usize::MAX };
        for _ in 0..limit {
            let console = self.vm.read_console()?;
            if console.is_empty() {
                break;
            }
            news.push(News::Console(console));
        }
        for _ in 0..limit {
            let frame = self.from_guest.pop().context("the guest has damaged the memory that it shares")?;
            let Some(frame) = frame else { break };
            match decode(&frame)? {
                GuestMessage::Output { stream, bytes } => news.push(News::Output(stream, bytes)),
                GuestMessage::Scheduler(event) => news.push(News::Scheduler(event)),
                _ => {}
            }
        }
        news.extend(ends);
        news.extend(exit.map(News::Over));
        Ok(news)
    }

    /// Types on the guest's console.
    pub(crate) fn type_into_console(&mut self, keys: &[u8]) -> Result<()> {
        Ok(self.vm.type_into_console(keys)?)
    }

    /// Sends a BREAK to the guest's console.
    pub(crate) fn send_break(&mut self) -> Result<()> {
        Ok(self.vm.send_break()?)
    }

    /// Tells the agent something, as soon as it takes it.
    pub(crate) fn tell(&mut self, message: &HostMessage) {
        self.waiting.push_back(encode(message));
    }

    /// Whether the agent has been told everything; tells it more of it.
    pub(crate) fn keep_telling(&mut self) -> Result<bool> {
        while let Some(message) = self.waiting.front() {
            if !self.to_guest.push(message).context("cannot pass input to the guest")? {
                return Ok(false);
            }
            self.waiting.pop_front();
        }
        Ok(true)
    }

    /// Ends the machine.
    pub(crate) fn stop(&mut self) -> Result<()> {
        Ok(self.vm.stop()?)
    }
}
