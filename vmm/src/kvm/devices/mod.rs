//! The devices of a machine, and the I/O ports at which they sit.
//!
//! A device sees register offsets, nothing of ports or of how its interrupt gets to a CPU.

mod sleep;
mod uart;

use uart::Signal;
pub(crate) use uart::{Uart, UartState};

use crate::layout::{ACPI_SLEEP, COM1, COM2, I8042};
use crate::machine::Exit;
use crate::serial_log::SerialLog;
use kvm_ioctls::VmFd;
use sleep::SleepControl;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use vm_superio::{I8042Device, Trigger};

/// The keyboard controller's command that resets the machine.
pub(crate) const RESET_COMMAND: u8 = 0xfe;

/// What a read gets where there is nothing: no device pulls the bus lines down.
const NOTHING: u8 = 0xff;

/// Ports of one UART.
const UART_PORTS: u16 = 8;

/// Why a device could not be made or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port has nowhere to write to.
    #[error("cannot open the log of {port}: {source}")]
    Log {
        /// `COM1` or `COM2`.
        port: &'static str,
        /// What came back.
        source: io::Error,
    },
    /// The port's interrupt cannot be wired.
    #[error("cannot wire the interrupt of {port}: {source}")]
    Interrupt {
        /// `COM1` or `COM2`.
        port: &'static str,
        /// What came back.
        source: io::Error,
    },
    /// The port cannot go on from what was saved.
    #[error("the saved state of {port} cannot be used: {why}")]
    State {
        /// `COM1` or `COM2`.
        port: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The guest cannot be told of its input.
    #[error("cannot tell the guest of what arrives on {port}: {why}")]
    Receive {
        /// `COM1` or `COM2`.
        port: &'static str,
        /// What came back.
        why: String,
    },
    /// What the guest wrote is lost: the host is out of memory for it.
    #[error("cannot keep what the guest wrote to {port}: {why}")]
    Write {
        /// `COM1` or `COM2`.
        port: &'static str,
        /// What came back.
        why: String,
    },
}

/// The guest's request for a reset.
#[derive(Debug, Default)]
struct ResetLine(AtomicBool);

impl Trigger for ResetLine {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// All ports of a machine. Every vCPU may use it at once.
pub(crate) struct Ports {
    com1: Mutex<Uart>,
    com2: Mutex<Uart>,
    keyboard: Mutex<I8042Device<ResetLine>>,
}

fn lock<T>(device: &Mutex<T>) -> MutexGuard<'_, T> {
    // A device has no state that a panic could leave half-changed.
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ports {
    /// The devices of a machine, with their interrupts wired; the serial ports go on from a state, if they have one.
    ///
    /// # Errors
    /// What could not be made.
    pub(crate) fn new(
        vm: &VmFd,
        console: &SerialLog,
        control: &SerialLog,
        saved: Option<[UartState; 2]>,
    ) -> Result<Self, Error> {
        let [com1, com2] = saved.map_or([None, None], |saved| saved.map(Some));
        Ok(Self {
            com1: Mutex::new(Uart::wired("COM1", vm, COM1.1, console, com1)?),
            com2: Mutex::new(Uart::wired("COM2", vm, COM2.1, control, com2)?),
            keyboard: Mutex::new(I8042Device::new(ResetLine::default())),
        })
    }

    /// All that the ports of another machine need to go on: COM1 and COM2. A machine whose other devices have a state is over.
    pub(crate) fn state(&self) -> [UartState; 2] {
        [&self.com1, &self.com2].map(|uart| lock(uart).state())
    }

    /// The guest wrote to a port; with several bytes, one after the other to the same port. `Some` when the machine is
    /// over.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Receive`].
    pub(crate) fn write(&self, port: u16, bytes: &[u8]) -> Result<Option<Exit>, Error> {
        for &byte in bytes {
            if let Some((uart, offset)) = self.uart(port) {
                lock(uart).write(offset, byte)?;
            } else if port == I8042.0 || port == I8042.1 {
                let mut keyboard = lock(&self.keyboard);
                let Ok(()) = keyboard.write((port - I8042.0) as u8, byte);
                if keyboard.reset_evt().0.load(Ordering::Relaxed) {
                    return Ok(Some(Exit::Reset));
                }
            } else if port == ACPI_SLEEP.0 && SleepControl::write(byte) {
                return Ok(Some(Exit::PowerOff));
            }
        }
        Ok(None)
    }

    /// Bytes arrive on COM1.
    ///
    /// # Errors
    /// [`Error::Receive`].
    pub(crate) fn type_into_console(&self, bytes: &[u8]) -> Result<(), Error> {
        lock(&self.com1).receive(bytes.iter().map(|byte| Signal::Byte(*byte)))
    }

    /// A BREAK arrives on COM1.
    ///
    /// # Errors
    /// [`Error::Receive`].
    pub(crate) fn send_break(&self) -> Result<(), Error> {
        lock(&self.com1).receive([Signal::Break])
    }

    /// A BREAK arrives on COM1, and a byte right behind it.
    ///
    /// # Errors
    /// [`Error::Receive`].
    pub(crate) fn send_sysrq(&self, key: u8) -> Result<(), Error> {
        lock(&self.com1).receive([Signal::Break, Signal::Byte(key)])
    }

    /// The guest reads from a port.
    ///
    /// # Errors
    /// [`Error::Receive`].
    pub(crate) fn read(&self, port: u16, bytes: &mut [u8]) -> Result<(), Error> {
        for byte in bytes {
            *byte = if let Some((uart, offset)) = self.uart(port) {
                lock(uart).read(offset)?
            } else if port == I8042.0 || port == I8042.1 {
                lock(&self.keyboard).read((port - I8042.0) as u8)
            } else if port == ACPI_SLEEP.0 || port == ACPI_SLEEP.1 {
                SleepControl::read()
            } else {
                NOTHING
            };
        }
        Ok(())
    }

    /// The guest reads memory where there is none.
    pub(crate) fn read_memory(bytes: &mut [u8]) {
        bytes.fill(NOTHING);
    }

    fn uart(&self, port: u16) -> Option<(&Mutex<Uart>, u8)> {
        [(&self.com1, COM1.0), (&self.com2, COM2.0)]
            .into_iter()
            .find(|(_, base)| (*base..base + UART_PORTS).contains(&port))
            .map(|(uart, base)| (uart, (port - base) as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports() -> (Ports, SerialLog, SerialLog) {
        let (console, control) = (SerialLog::new(c"test").unwrap(), SerialLog::new(c"test").unwrap());
        let uart = |port, log: &SerialLog| Mutex::new(Uart::new(port, log, None).unwrap().0);
        let ports = Ports {
            com1: uart("COM1", &console),
            com2: uart("COM2", &control),
            keyboard: Mutex::new(I8042Device::new(ResetLine::default())),
        };
        (ports, console, control)
    }

    fn read(ports: &Ports, port: u16) -> u8 {
        let mut byte = [0];
        ports.read(port, &mut byte).unwrap();
        byte[0]
    }

    #[test]
    fn every_byte_reaches_its_log_at_once() {
        let (ports, mut console, mut control) = ports();
        assert_eq!(ports.write(0x3f8, b"on the console").unwrap(), None);
        assert_eq!(ports.write(0x2f8, &[0xf5]).unwrap(), None);
        assert_eq!(console.read_new().unwrap(), b"on the console");
        assert_eq!(control.read_new().unwrap(), [0xf5]);
    }

    #[test]
    fn a_uart_is_found_where_one_is_and_nowhere_else() {
        let (ports, ..) = ports();
        for (port, present) in [(0x3f8, true), (0x2f8, true), (0x3e8, false), (0x2e8, false)] {
            ports.write(port + 7, &[0x5a]).unwrap();
            assert_eq!(read(&ports, port + 7), if present { 0x5a } else { 0xff }, "{port:#x}");
        }
        // A driver waits for these bits before it writes.
        assert_eq!(read(&ports, 0x3f8 + 5) & 0x60, 0x60);
    }

    #[test]
    fn the_guest_ends_the_machine() {
        let (ports, ..) = ports();
        assert_eq!(read(&ports, 0x64) & 2, 0, "a driver waits until the controller takes commands");
        assert_eq!(ports.write(0x64, &[0xd1]).unwrap(), None);
        assert_eq!(ports.write(0x60, &[0xfe]).unwrap(), None);
        assert_eq!(ports.write(0x64, &[0xfe]).unwrap(), Some(Exit::Reset));
        assert_eq!(ports.write(0x601, &[0x34]).unwrap(), None);
        assert_eq!(ports.write(0x600, &[0x34]).unwrap(), Some(Exit::PowerOff));
    }

    #[test]
    fn an_empty_bus_reads_as_ones() {
        let (ports, ..) = ports();
        let mut bytes = [0; 4];
        ports.read(0xcf8, &mut bytes).unwrap();
        assert_eq!(bytes, [0xff; 4]);
        assert_eq!(ports.write(0x80, &[1, 2, 3]).unwrap(), None);
    }
}
