//! A serial port whose output goes to a log and whose input is kept until the guest takes it.
//!
//! Each byte is appended to the log when the guest writes it, and nothing is held back: the host sees a byte although
//! the guest stops, or dies, right after it. An append costs less than the exit from the guest that brought the byte.

use super::Error;
use crate::serial_log::SerialLog;
use kvm_ioctls::VmFd;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use vm_superio::serial::NoEvents;
use vm_superio::{Serial, Trigger};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// Registers that this file looks at (PC16550D data sheet, section 8).
const INTERRUPT_IDENTIFICATION: u8 = 2;
const LINE_STATUS: u8 = 5;

const INTERRUPT_ENABLE_RECEIVED: u8 = 1;
const NO_INTERRUPT: u8 = 1;
const RECEIVED: u8 = 0b100;
const IDENTIFICATION_MASK: u8 = 0b1111;
const DATA_READY: u8 = 1;
const BREAK: u8 = 1 << 4;

/// An interrupt line that is raised and lowered by writing to it.
pub(crate) struct InterruptLine(EventFd);

impl Trigger for InterruptLine {
    type E = io::Error;

    fn trigger(&self) -> io::Result<()> {
        self.0.write(1)
    }
}

/// What comes down the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Byte(u8),
    Break,
}

/// A 16550A.
pub(crate) struct Uart {
    port: &'static str,
    serial: Serial<InterruptLine, NoEvents, File>,
    /// What has arrived and is not in the receive FIFO yet, which is small.
    line: VecDeque<Signal>,
    /// The receive FIFO holds the zero byte of a BREAK, and nothing else.
    break_in_fifo: bool,
    /// The guest has not been told of it yet.
    break_untold: bool,
}

impl Uart {
    /// A port that writes to `log`, and the other end of its interrupt line.
    pub(super) fn new(port: &'static str, log: &SerialLog) -> Result<(Self, EventFd), Error> {
        let interrupt = |source| Error::Interrupt { port, source };
        let line = EventFd::new(EFD_NONBLOCK).map_err(interrupt)?;
        let end = line.try_clone().map_err(interrupt)?;
        let log = log.writer().map_err(|source| Error::Log { port, source })?;
        let serial = Serial::new(InterruptLine(line), log);
        Ok((Self { port, serial, line: VecDeque::new(), break_in_fifo: false, break_untold: false }, end))
    }

    /// The same, with its interrupt wired to a machine.
    pub(super) fn wired(port: &'static str, vm: &VmFd, interrupt: u32, log: &SerialLog) -> Result<Self, Error> {
        let (uart, line) = Self::new(port, log)?;
        vm.register_irqfd(&line, interrupt)
            .map_err(|error| Error::Interrupt { port, source: io::Error::from_raw_os_error(error.errno()) })?;
        Ok(uart)
    }

    /// Something arrives.
    pub(super) fn receive(&mut self, signals: impl IntoIterator<Item = Signal>) -> Result<(), Error> {
        self.line.extend(signals);
        self.fill_fifo()
    }

    pub(super) fn write(&mut self, offset: u8, value: u8) -> Result<(), Error> {
        let written = self.serial.write(offset, value);
        written.map_err(|error| Error::Write { port: self.port, why: error.to_string() })?;
        self.fill_fifo()
    }

    pub(super) fn read(&mut self, offset: u8) -> Result<u8, Error> {
        let value = match offset {
            INTERRUPT_IDENTIFICATION => self.identify_interrupt(),
            LINE_STATUS if std::mem::take(&mut self.break_untold) => self.serial.read(offset) | BREAK,
            _ => self.serial.read(offset),
        };
        self.fill_fifo()?;
        Ok(value)
    }

    /// The device takes the first byte that is read for the end of the interrupt, and a driver that reads some and leaves
    /// others would wait for ever: a real one goes on asking while there is something to be read.
    fn identify_interrupt(&mut self) -> u8 {
        let value = self.serial.read(INTERRUPT_IDENTIFICATION);
        let idle = value & IDENTIFICATION_MASK == NO_INTERRUPT;
        if idle && self.has_data() && self.serial.state().interrupt_enable & INTERRUPT_ENABLE_RECEIVED != 0 {
            return value & !IDENTIFICATION_MASK | RECEIVED;
        }
        value
    }

    fn has_data(&mut self) -> bool {
        self.serial.read(LINE_STATUS) & DATA_READY != 0
    }

    /// Moves what has arrived into the receive FIFO, as far as it fits. A BREAK is a zero byte and a bit of the line's
    /// status that goes with it, so it is alone there.
    fn fill_fifo(&mut self) -> Result<(), Error> {
        if self.break_in_fifo && self.has_data() {
            return Ok(());
        }
        self.break_in_fifo = false;
        match self.line.front().copied() {
            None => Ok(()),
            Some(Signal::Break) if self.has_data() => Ok(()),
            Some(Signal::Break) => {
                self.break_in_fifo = self.enqueue(&[0])? == 1;
                self.break_untold = self.break_in_fifo;
                Ok(())
            }
            Some(Signal::Byte(_)) => {
                let byte = |signal: &Signal| match signal {
                    Signal::Byte(byte) => Some(*byte),
                    Signal::Break => None,
                };
                let bytes: Vec<u8> = self.line.iter().take(self.serial.fifo_capacity()).map_while(byte).collect();
                if bytes.is_empty() { Ok(()) } else { self.enqueue(&bytes).map(drop) }
            }
        }
    }

    /// Takes from the line what the FIFO has taken: nothing in loopback mode, in which the line is cut off.
    fn enqueue(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let taken = self.serial.enqueue_raw_bytes(bytes);
        let taken = taken.map_err(|error| Error::Receive { port: self.port, why: error.to_string() })?;
        self.line.drain(..taken);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: u8 = 0;
    const INTERRUPT_ENABLE: u8 = 1;
    const MODEM_CONTROL: u8 = 4;
    const LOOPBACK: u8 = 1 << 4;

    /// A port whose driver takes interrupts.
    fn uart() -> (Uart, EventFd) {
        let (mut uart, line) = Uart::new("COM1", &SerialLog::new(c"test").unwrap()).unwrap();
        uart.write(INTERRUPT_ENABLE, INTERRUPT_ENABLE_RECEIVED).unwrap();
        (uart, line)
    }

    fn bytes(bytes: &[u8]) -> impl Iterator<Item = Signal> {
        bytes.iter().map(|byte| Signal::Byte(*byte))
    }

    /// What a driver takes at once that reads at most `limit` bytes, as drivers/tty/serial/8250/8250_port.c does
    /// (serial8250_rx_chars).
    fn take(uart: &mut Uart, limit: usize) -> Vec<Signal> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            match uart.read(LINE_STATUS).unwrap() & (BREAK | DATA_READY) {
                0 => break,
                status => {
                    let byte = uart.read(DATA).unwrap();
                    taken.push(if status & BREAK != 0 { Signal::Break } else { Signal::Byte(byte) });
                }
            }
        }
        taken
    }

    fn asks_to_be_read(uart: &mut Uart) -> bool {
        uart.read(INTERRUPT_IDENTIFICATION).unwrap() & IDENTIFICATION_MASK == RECEIVED
    }

    #[test]
    fn what_arrives_is_told_and_taken_in_order() {
        let (mut uart, line) = uart();
        let sent: Vec<u8> = (0..1000).map(|number: u32| number as u8).collect();
        uart.receive(bytes(&sent)).unwrap();
        assert_eq!(line.read().unwrap(), 1);
        assert_eq!(take(&mut uart, usize::MAX), bytes(&sent).collect::<Vec<_>>());
        assert!(!asks_to_be_read(&mut uart));
    }

    #[test]
    fn what_a_driver_leaves_is_told_again() {
        let (mut uart, _line) = uart();
        uart.receive(bytes(&[7; 203])).unwrap();
        let mut count = 0;
        while asks_to_be_read(&mut uart) {
            count += take(&mut uart, 50).len();
        }
        assert_eq!(count, 203);
    }

    #[test]
    fn a_break_keeps_its_place() {
        let (mut uart, line) = uart();
        let sent: Vec<_> = bytes(b"ab").chain([Signal::Break]).chain(bytes(b"l\0")).chain([Signal::Break; 2]).collect();
        uart.receive(sent.clone()).unwrap();
        assert_eq!(line.read().unwrap(), 1);
        assert_eq!(take(&mut uart, usize::MAX), sent);
        assert_eq!(uart.read(LINE_STATUS).unwrap() & (BREAK | DATA_READY), 0);
    }

    #[test]
    fn a_break_is_told_once_and_its_byte_is_zero() {
        let (mut uart, _line) = uart();
        uart.receive([Signal::Break]).unwrap();
        assert_eq!(uart.read(LINE_STATUS).unwrap() & (BREAK | DATA_READY), BREAK | DATA_READY);
        assert_eq!(uart.read(LINE_STATUS).unwrap() & (BREAK | DATA_READY), DATA_READY);
        assert_eq!(uart.read(DATA).unwrap(), 0);
        assert_eq!(uart.read(LINE_STATUS).unwrap() & (BREAK | DATA_READY), 0);
    }

    #[test]
    fn what_arrives_during_loopback_comes_after_it() {
        let (mut uart, _line) = uart();
        uart.write(MODEM_CONTROL, LOOPBACK).unwrap();
        uart.receive(bytes(b"x").chain([Signal::Break])).unwrap();
        assert_eq!(take(&mut uart, usize::MAX), []);
        uart.write(MODEM_CONTROL, 0).unwrap();
        assert_eq!(take(&mut uart, usize::MAX), [Signal::Byte(b'x'), Signal::Break]);
    }
}
