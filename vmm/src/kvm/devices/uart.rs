//! A serial port whose output goes to a log and whose input is kept until the guest takes it.
//!
//! Each byte is appended to the log when the guest writes it, and nothing is held back: the host sees a byte although
//! the guest stops, or dies, right after it. An append costs less than the exit from the guest that brought the byte.

use super::Error;
use crate::serial_log::SerialLog;
use kvm_ioctls::VmFd;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use vm_superio::serial::NoEvents;
use vm_superio::{Serial, SerialState, Trigger};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Signal {
    Byte(u8),
    Break,
}

/// What a port knows, and what it has not given to the guest yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UartState {
    #[serde(with = "Registers")]
    serial: SerialState,
    line: VecDeque<Signal>,
    break_in_fifo: bool,
    break_untold: bool,
}

/// For serde, which is no business of the device's crate.
#[derive(Serialize, Deserialize)]
#[serde(remote = "SerialState")]
struct Registers {
    baud_divisor_low: u8,
    baud_divisor_high: u8,
    interrupt_enable: u8,
    interrupt_identification: u8,
    line_control: u8,
    line_status: u8,
    modem_control: u8,
    modem_status: u8,
    scratch: u8,
    in_buffer: Vec<u8>,
}

impl Default for UartState {
    fn default() -> Self {
        let serial = SerialState::default();
        Self { serial, line: VecDeque::new(), break_in_fifo: false, break_untold: false }
    }
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
    /// A port that writes to `log`, in this state if it has one, and the other end of its interrupt line.
    pub(super) fn new(port: &'static str, log: &SerialLog, state: Option<UartState>) -> Result<(Self, EventFd), Error> {
        let interrupt = |source| Error::Interrupt { port, source };
        let line = EventFd::new(EFD_NONBLOCK).map_err(interrupt)?;
        let end = line.try_clone().map_err(interrupt)?;
        let log = log.writer().map_err(|source| Error::Log { port, source })?;
        if state.as_ref().is_some_and(|state| state.serial.interrupt_enable != 0) {
            // One may have been on its way to a controller when that was saved. A driver that finds nothing goes on; a kernel
            // that has none yet would take it for an exception.
            line.write(1).map_err(interrupt)?;
        }
        let UartState { serial, line: waiting, break_in_fifo, break_untold } = state.unwrap_or_default();
        let serial = Serial::from_state(&serial, InterruptLine(line), NoEvents, log)
            .map_err(|error| Error::State { port, why: error.to_string() })?;
        Ok((Self { port, serial, line: waiting, break_in_fifo, break_untold }, end))
    }

    /// The same, with its interrupt wired to a machine.
    pub(super) fn wired(
        port: &'static str,
        vm: &VmFd,
        interrupt: u32,
        log: &SerialLog,
        state: Option<UartState>,
    ) -> Result<Self, Error> {
        let (uart, line) = Self::new(port, log, state)?;
        // What is on the line already arrives now.
        vm.register_irqfd(&line, interrupt)
            .map_err(|error| Error::Interrupt { port, source: io::Error::from_raw_os_error(error.errno()) })?;
        Ok(uart)
    }

    /// All that another port needs to go on from here.
    pub(super) fn state(&self) -> UartState {
        let (serial, line) = (self.serial.state(), self.line.clone());
        UartState { serial, line, break_in_fifo: self.break_in_fifo, break_untold: self.break_untold }
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
        let (mut uart, line) = Uart::new("COM1", &SerialLog::new(c"test").unwrap(), None).unwrap();
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

    #[test]
    fn a_port_goes_on_where_another_was_saved() {
        let (mut uart, _line) = uart();
        let sent: Vec<_> = bytes(b"ab").chain([Signal::Break]).chain(bytes(&[7; 200])).collect();
        uart.receive(sent.clone()).unwrap();
        assert_eq!(take(&mut uart, 1), sent[..1]);
        let saved = postcard::to_stdvec(&uart.state()).unwrap();
        let state: UartState = postcard::from_bytes(&saved).unwrap();
        assert_eq!(state, uart.state());
        let (mut other, line) = Uart::new("COM1", &SerialLog::new(c"test").unwrap(), Some(state)).unwrap();
        assert_eq!(line.read().unwrap(), 1, "the driver is told, for it may not know yet");
        for uart in [&mut uart, &mut other] {
            assert_eq!(take(uart, usize::MAX), sent[1..]);
        }
    }

    #[test]
    fn nobody_is_told_where_there_is_no_driver() {
        let (_, line) = Uart::new("COM2", &SerialLog::new(c"test").unwrap(), Some(UartState::default())).unwrap();
        assert_eq!(line.read().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_state_that_no_port_can_have_is_an_error() {
        let serial = SerialState { in_buffer: vec![0; 65], ..Default::default() };
        let state = UartState { serial, ..Default::default() };
        let error = Uart::new("COM2", &SerialLog::new(c"test").unwrap(), Some(state)).err().unwrap().to_string();
        assert_eq!(error, "the saved state of COM2 cannot be used: No space left in FIFO");
    }
}
