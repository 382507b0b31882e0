//! A serial port whose output goes to a log.
//!
//! Each byte is appended to the log when the guest writes it, and nothing is held back: the host sees a byte although
//! the guest stops, or dies, right after it. An append costs less than the exit from the guest that brought the byte.

use super::Error;
use crate::serial_log::SerialLog;
use kvm_ioctls::VmFd;
use std::fs::File;
use std::io;
use vm_superio::serial::NoEvents;
use vm_superio::{Serial, Trigger};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// An interrupt line that is raised and lowered by writing to it.
pub(crate) struct InterruptLine(EventFd);

impl Trigger for InterruptLine {
    type E = io::Error;

    fn trigger(&self) -> io::Result<()> {
        self.0.write(1)
    }
}

/// A 16550A.
pub(crate) struct Uart {
    port: &'static str,
    serial: Serial<InterruptLine, NoEvents, File>,
}

impl Uart {
    /// A port that writes to `log`, and the other end of its interrupt line.
    pub(super) fn new(port: &'static str, log: &SerialLog) -> Result<(Self, EventFd), Error> {
        let interrupt = |source| Error::Interrupt { port, source };
        let line = EventFd::new(EFD_NONBLOCK).map_err(interrupt)?;
        let end = line.try_clone().map_err(interrupt)?;
        let log = log.writer().map_err(|source| Error::Log { port, source })?;
        Ok((Self { port, serial: Serial::new(InterruptLine(line), log) }, end))
    }

    /// The same, with its interrupt wired to a machine.
    pub(super) fn wired(port: &'static str, vm: &VmFd, interrupt: u32, log: &SerialLog) -> Result<Self, Error> {
        let (uart, line) = Self::new(port, log)?;
        vm.register_irqfd(&line, interrupt)
            .map_err(|error| Error::Interrupt { port, source: io::Error::from_raw_os_error(error.errno()) })?;
        Ok(uart)
    }

    pub(super) fn write(&mut self, offset: u8, value: u8) -> Result<(), Error> {
        self.serial.write(offset, value).map_err(|error| Error::Write { port: self.port, why: error.to_string() })
    }

    pub(super) fn read(&mut self, offset: u8) -> u8 {
        self.serial.read(offset)
    }
}
