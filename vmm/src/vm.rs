//! One virtual machine, whatever runs it.

use crate::accel::Chosen;
use crate::config::VmConfig;
use crate::error::Error;
use crate::machine::{Exit, Machine, VcpuClock};
use crate::memory::{Backing, GuestRam, RamRegion};
use crate::placement::{Plan, Report};
use crate::serial_log::SerialLog;
use crate::snapshot::{self, Snapshot};
use crate::stops::{self, Callback, Hit, Hook, Read};
use crate::{host_cpus, kvm, qemu};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The ports, in errors.
const CONSOLE: &str = "COM1";
const CONTROL: &str = "COM2";

/// As many vCPUs to a CPU of the host share RAM with a snapshot. In the lab, on one CPU, forks of 8 have said hello after 0.5 s
/// when they do and 0.75 s when not; tests on 64 took 8 s and 4 s; on 252 none ended, and 15 s.
const MOST_FOR_SHARED_RAM: usize = 16;

/// A machine. Its memory can be written before [`Vm::start`]; dropping it stops the guest and leaves nothing behind.
pub struct Vm {
    // Dropped first: the backend uses what follows.
    machine: Box<dyn Machine>,
    ram: GuestRam,
    console: SerialLog,
    control: SerialLog,
    placement: Option<Report>,
    kernel: PathBuf,
    has_started: bool,
    is_frozen: bool,
}

impl Vm {
    /// Makes the machine, without letting it run.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub fn new(config: &VmConfig) -> Result<Self, Error> {
        Self::make(config, None)
    }

    /// Makes a machine that goes on from a snapshot, without letting it run. It has the memory that the other had, which can
    /// be written before [`Vm::start`], and what that had written to its ports is read first. Under KVM it shares what it
    /// does not change of its memory with the snapshot's file and so with all that were made of it, unless it has more than 16
    /// vCPUs for each CPU of the host.
    ///
    /// # Errors
    /// Why it cannot be made; the snapshot is of another machine than `config` describes, or of another host.
    pub fn fork(config: &VmConfig, snapshot: &Snapshot) -> Result<Self, Error> {
        Self::make(config, Some(snapshot))
    }

    fn make(config: &VmConfig, from: Option<&Snapshot>) -> Result<Self, Error> {
        config.validate()?;
        let mut placement = config.placement.as_ref().map(|plan| plan.report.clone());
        let mut placing = config.placement.as_ref().zip(placement.as_mut());
        let ram = make_ram(config, from, &mut placing)?;
        let [console, control] = from.map_or([&[][..]; 2], Snapshot::logs);
        let console = SerialLog::with(c"ktstr-com1", console).map_err(cannot_log(CONSOLE))?;
        let control = SerialLog::with(c"ktstr-com2", control).map_err(cannot_log(CONTROL))?;
        let from = from.map(Snapshot::state);
        let machine: Box<dyn Machine> = match config.accel {
            Chosen::Kvm => Box::new(kvm::KvmMachine::new(config, &ram, &console, &control, placing, from)?),
            Chosen::Tcg => Box::new(qemu::QemuMachine::new(config, &ram, &console, &control, from)?),
        };
        if config.accel == Chosen::Tcg {
            placement = placement.map(|_| Report::none("all vCPUs take turns on one thread of an emulator"));
        }
        let kernel = config.kernel.clone();
        Ok(Self { machine, ram, console, control, placement, kernel, has_started: false, is_frozen: false })
    }

    /// Calls back each time before a vCPU executes the kernel's instruction at this guest-virtual address, as its ELF file
    /// has it, with the guest's RAM in hand. Such a stop point is set before [`Vm::start`].
    ///
    /// Under emulation the whole machine stands still until the callback returns, its time included, and the guest cannot
    /// tell; what a hit costs the host beside its callback is about 3 µs where there is a CPU for the thread that calls back,
    /// some 10 µs where there is none, and up to 50 µs where hits are more than a millisecond apart (`cargo xtask bench
    /// stops`). Under KVM only this vCPU stands still and the others go on, there can be four addresses, and each hit takes
    /// some µs of the guest's time.
    ///
    /// The callback is made on a thread of its own, or the vCPU's, one after the other. One that panics ends the machine:
    /// [`Vm::exit`] says so. An address within an instruction is never reached, and nothing can tell.
    ///
    /// # Errors
    /// [`stops::Error`]: the address is no code of the kernel, the machine runs already, or the backend cannot.
    pub fn stop_at(
        &mut self,
        address: u64,
        callback: impl FnMut(&Hit, &GuestRam) + Send + 'static,
    ) -> Result<(), Error> {
        self.hook(Hook { address, reads: Vec::new(), callback: Callback::Standing(Box::new(callback)) })
    }

    /// As [`Vm::stop_at`], but nobody waits for the callback: values in guest memory are copied at the stop point, and it is
    /// told soon after, in the order of the hits. Under emulation a hit costs about 1 µs with four values.
    ///
    /// When [`Vm::exit`] tells that the machine is over, or [`Vm::stop`] returns, all callbacks have been made.
    ///
    /// # Errors
    /// As [`Vm::stop_at`]; values that there is no room for.
    pub fn record_at(
        &mut self,
        address: u64,
        reads: &[Read],
        callback: impl FnMut(&Hit) + Send + 'static,
    ) -> Result<(), Error> {
        self.hook(Hook { address, reads: reads.to_vec(), callback: Callback::After(Box::new(callback)) })
    }

    fn hook(&mut self, hook: Hook) -> Result<(), Error> {
        if self.has_started {
            return Err(stops::Error::Running { address: hook.address }.into());
        }
        stops::check_is_code(hook.address, &self.kernel)?;
        hook.check_reads()?;
        self.machine.stop_at(hook)
    }

    /// Lets the vCPUs run.
    ///
    /// # Errors
    /// Why they cannot.
    pub fn start(&mut self) -> Result<(), Error> {
        self.has_started = true;
        self.machine.start()
    }

    /// Has the machine stop by itself when the guest executes [`ktstr_wire::MARK`], always at the same instruction, which
    /// [`Vm::freeze`] then tells; before [`Vm::start`]. False: it goes on there, and is frozen at any moment or never.
    pub fn stop_at_mark(&mut self) -> bool {
        self.machine.stop_at_mark()
    }

    /// Makes all vCPUs stand still, and guest time with them, until [`Vm::resume`]. False: the guest has not come to where
    /// that can be done; it runs on, and this is to be called again, unless [`Vm::exit`] says that it is over.
    ///
    /// # Errors
    /// Why it cannot be done: the machine does not run, or the backend cannot.
    pub fn freeze(&mut self) -> Result<bool, Error> {
        if !self.has_started {
            return Err(out_of_turn("freeze a machine", "has not been started"));
        }
        if self.machine.exit().is_some() {
            return Ok(false);
        }
        self.is_frozen = self.is_frozen || self.machine.freeze()?;
        Ok(self.is_frozen)
    }

    /// Saves a frozen machine as the files of a [`Snapshot`] in a directory that has none of them. The identity says in all
    /// that matters what machine it is of; [`Snapshot::open`] compares it.
    ///
    /// The directory is a snapshot when this returns, and may then be renamed. One in which this failed is to be removed. Under
    /// emulation the machine is in a new process then, made of what was saved, so that its run is that of each fork.
    ///
    /// # Errors
    /// [`snapshot::Error`], and why the backend cannot.
    pub fn save(&mut self, dir: &Path, identity: &str) -> Result<(), Error> {
        if !self.is_frozen {
            return Err(out_of_turn("save a machine", "is not frozen"));
        }
        let state = self.machine.save()?;
        let (console, control) = (all_of(&self.console, CONSOLE)?, all_of(&self.control, CONTROL)?);
        Ok(snapshot::save(dir, identity, &self.ram, &state, [&console, &control])?)
    }

    /// Lets a frozen machine go on.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn resume(&mut self) -> Result<(), Error> {
        if !self.is_frozen {
            return Err(out_of_turn("let a machine go on", "is not frozen"));
        }
        self.machine.resume()?;
        self.is_frozen = false;
        Ok(())
    }

    /// What the machine has of performance mode, if it was made with a plan for it.
    pub fn placement(&self) -> Option<&Report> {
        self.placement.as_ref()
    }

    /// What the backend goes without, and why, for people; the guest works all the same. Some of it is known only once the
    /// machine runs.
    pub fn lacks(&self) -> Option<&str> {
        self.machine.lacks()
    }

    /// The guest's RAM.
    pub fn ram(&self) -> &GuestRam {
        &self.ram
    }

    /// The reserved range of the guest's RAM.
    ///
    /// # Errors
    /// As [`GuestRam::reserved`].
    pub fn reserved(&self) -> Result<RamRegion, Error> {
        self.ram.reserved()
    }

    /// What the guest wrote to its console (COM1) since the last call, as [`SerialLog::read_new`] gives it.
    ///
    /// # Errors
    /// [`Error::SerialLog`].
    pub fn read_console(&mut self) -> Result<Vec<u8>, Error> {
        self.console.read_new().map_err(cannot_log(CONSOLE))
    }

    /// What the guest wrote to the control channel (COM2) since the last call, as [`SerialLog::read_new`] gives it.
    ///
    /// # Errors
    /// [`Error::SerialLog`].
    pub fn read_control(&mut self) -> Result<Vec<u8>, Error> {
        self.control.read_new().map_err(cannot_log(CONTROL))
    }

    /// Bytes on the console and on the control channel that nobody will read ([`SerialLog::skipped_bytes`]).
    pub fn skipped_bytes(&self) -> [u64; 2] {
        [self.console.skipped_bytes(), self.control.skipped_bytes()]
    }

    /// Types into the guest's console: the bytes arrive on COM1 in their order, as fast as the guest takes them. Returns at
    /// once; what the guest has not taken yet is kept for it, however much that is.
    ///
    /// What comes before the guest's driver has opened the port can be lost, as on a real one. Under emulation each byte
    /// arrives at a moment of the host's, so a run in which something is typed is not the same twice.
    ///
    /// # Errors
    /// When the machine is gone, or the host is out of resources.
    pub fn type_into_console(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.machine.type_into_console(bytes)
    }

    /// Sends a BREAK to the guest's console. Linux takes the byte after it for a SysRq command, if it comes within five
    /// seconds of guest time (Documentation/admin-guide/sysrq.rst), which a sleeping guest of [`Pace::Instructions`] lets pass
    /// in a moment: [`Vm::send_sysrq`] sends both.
    ///
    /// Under emulation it overtakes what was typed before and has not been taken by the guest: wait for what that brings
    /// about. What is typed after it stays behind it.
    ///
    /// # Errors
    /// As [`Vm::type_into_console`].
    pub fn send_break(&mut self) -> Result<(), Error> {
        self.machine.send_break()
    }

    /// Sends a BREAK to the guest's console and this byte with it, so that no guest time passes between: what Linux takes for a
    /// SysRq command. Where the guest has not taken what was typed before, the byte stays behind that and is none.
    ///
    /// # Errors
    /// As [`Vm::type_into_console`].
    pub fn send_sysrq(&mut self, key: u8) -> Result<(), Error> {
        self.machine.send_sysrq(key)
    }

    /// Interrupts the first CPU whether it takes interrupts or not. A Linux that is told to (`unknown_nmi_panic`) panics, and
    /// then prints where that CPU is and all that it has not printed yet.
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn send_nmi(&mut self) -> Result<(), Error> {
        self.machine.send_nmi()
    }

    /// Why the machine stopped, once it has.
    pub fn exit(&mut self) -> Option<Exit> {
        self.machine.exit()
    }

    /// The clocks of the threads that run vCPUs, in vCPU order; one where all vCPUs share a thread.
    pub fn vcpu_clocks(&self) -> Vec<VcpuClock> {
        self.machine.vcpu_clocks()
    }

    /// The guest time that the vCPUs have executed so far, without what they were idle; `None` where guest time is the
    /// host's, or the machine does not tell. Asking does not change the run.
    pub fn executed(&mut self) -> Option<Duration> {
        self.machine.executed()
    }

    /// Ends the guest, whatever it does, and waits until its threads or processes are gone.
    ///
    /// # Errors
    /// What could not be ended in good time, which only a host can cause, never a guest. It is not waited for again.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.machine.stop()
    }
}

fn make_ram(
    config: &VmConfig,
    from: Option<&Snapshot>,
    placing: &mut Option<(&Plan, &mut Report)>,
) -> Result<GuestRam, Error> {
    let (layout, nodes) = (config.ram_layout()?, &config.machine.nodes);
    let file = from.map(|snapshot| snapshot.ram(config.machine.memory_bytes())).transpose()?;
    let backing = match config.accel {
        Chosen::Kvm => Backing::Private,
        Chosen::Tcg => Backing::SharedFiles,
    };
    let vcpus = config.machine.topology.cpus();
    let ram = match (placing, file) {
        (Some((plan, report)), _) if config.accel == Chosen::Kvm => GuestRam::placed(layout, nodes, plan, report)?,
        (_, Some(file)) if config.accel == Chosen::Tcg || !is_crowded(vcpus, host_cpus::usable().len()) => {
            return GuestRam::forked(layout, nodes, backing, file);
        }
        _ => GuestRam::new(layout, nodes, backing)?,
    };
    file.map_or(Ok(()), |file| ram.fill(file))?;
    Ok(ram)
}

/// Whether so many vCPUs share a CPU of the host that RAM which they share with a snapshot costs more than a copy. Where one
/// writes to a page for the first time, KVM turns the others away from it until that one has its copy (virt/kvm/kvm_main.c,
/// `mmu_invalidate_retry_gfn`). They try again at once, and keep it from the CPU that it needs for that.
fn is_crowded(vcpus: u32, host_cpus: usize) -> bool {
    vcpus as usize > MOST_FOR_SHARED_RAM * host_cpus
}

fn cannot_log(port: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::SerialLog { port, source }
}

fn all_of(log: &SerialLog, port: &'static str) -> Result<Vec<u8>, Error> {
    Ok(log.so_far().map_err(cannot_log(port))?.ok_or(snapshot::Error::LogGone { port })?)
}

fn out_of_turn(action: &'static str, state: &str) -> Error {
    snapshot::Error::State { action, state: state.to_owned() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_vcpus_to_a_cpu_share_no_ram_with_a_snapshot() {
        let crowded = [(16, 1), (17, 1), (64, 3), (64, 4), (252, 16)].map(|(vcpus, host)| is_crowded(vcpus, host));
        assert_eq!(crowded, [false, true, true, false, false]);
    }
}
