//! QEMU processes for one machine: the one that boots it, and one that goes on from what another was.

use super::input::Input;
use super::process::Process;
use super::{Error, Qemu, args, cannot_type, not_saved, plugin, said, snapshot};
use crate::config::VmConfig;
use crate::memory::GuestRam;
use crate::serial_log::SerialLog;
use std::os::fd::{AsRawFd, RawFd};

/// What all of them have in common.
pub(super) struct Launch {
    qemu: Qemu,
    config: VmConfig,
    cmdline: String,
    pub(super) ram: GuestRam,
    pub(super) console: RawFd,
    control: RawFd,
}

/// A process that has the machine and does not let it run.
pub(super) struct Launched {
    pub(super) process: Process,
    pub(super) input: Input,
    /// As [`crate::Vm::lacks`].
    pub(super) lacks: Option<String>,
}

impl Launch {
    /// # Errors
    /// There is no QEMU, or no such machine.
    pub(super) fn new(
        config: &VmConfig,
        ram: &GuestRam,
        console: &SerialLog,
        control: &SerialLog,
    ) -> Result<Self, crate::Error> {
        let qemu = Qemu::find()?;
        let cmdline = crate::cmdline::build(config, &args::kernel_words(config)?)?;
        let (console, control) = (console.raw_fd(), control.raw_fd());
        Ok(Self { qemu, config: config.clone(), cmdline, ram: ram.clone(), console, control })
    }

    /// Starts one, with what the plugin maps of stop points. With a state it goes on from there, and finds its RAM as it was.
    ///
    /// # Errors
    /// QEMU does not start, or refuses the state.
    pub(super) fn process(&self, stops: RawFd, from: Option<&[u8]>) -> Result<Launched, Error> {
        let (input, guest_end) = Input::new().map_err(cannot_type)?;
        let ram = &self.ram;
        let nodes: Vec<_> =
            ram.files().iter().map(|file| file.as_raw_fd()).zip(ram.node_bytes().iter().copied()).collect();
        let timers = args::timers(&self.config);
        let tasks = plugin::Tasks::new(self.qemu.version, timers.as_ref());
        let plugin = tasks.file().map_err(Error::Plugin)?;
        let mut files = args::Files {
            ram_nodes: &nodes,
            console: self.console,
            control: self.control,
            input: guest_end.as_raw_fd(),
            plugin: Some(plugin.as_raw_fd()),
            stops,
            waits_for_state: from.is_some(),
        };
        let (mut process, lacks) = match self.spawn(&files) {
            Err(Error::NotUp { stderr, .. }) if tasks.can_do_without(&stderr) => {
                files.plugin = None;
                let lacks = "without our plugin, so guests of many CPUs boot slowly, and on a busy host the same seed may be \
                             another run";
                let lacks = format!("{lacks}{}", said(&stderr));
                (self.spawn(&files)?, Some(lacks))
            }
            spawned => (spawned?, None),
        };
        if let Some(state) = from {
            let restored = snapshot::restore(&mut process, state);
            restored.map_err(|source| not_saved("restore", source, &mut process))?;
        }
        Ok(Launched { process, input, lacks })
    }

    fn spawn(&self, files: &args::Files<'_>) -> Result<Process, Error> {
        let words = args::build(self.qemu.version, &self.config, files, &self.cmdline);
        Process::spawn(&self.qemu.program, words, &files.all())
    }
}
