//! The reserved range, mapped: orders come in, bulk goes out.

use crate::now_ns;
use anyhow::{Context, Result};
use ktstr_wire::message::{decode, encode};
use ktstr_wire::reserved::{CMDLINE_KEY, parse_cmdline_value};
use ktstr_wire::ring::{Consumer, Producer};
use ktstr_wire::{GuestMessage, HostMessage, MappedRegion, Reserved, Run};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::fs::{self, File};
use std::ptr::NonNull;
use std::time::Duration;

/// How long a full ring is waited for before messages are given up.
const FULL_RING_PATIENCE: Duration = Duration::from_secs(10);

/// How often a full ring is looked at. Emulated time flies while all sleep: the more looks, the more of the host's time.
const FULL_RING_POLL: Duration = Duration::from_micros(100);

/// How often the host's order is looked for.
const ORDER_POLL: Duration = Duration::from_millis(1);

/// Both rings and the payload.
pub(crate) struct Link {
    reserved: Reserved<MappedRegion>,
    bulk: Producer<MappedRegion>,
    orders: Consumer<MappedRegion>,
    /// Whether a full ring is waited for until the host takes something.
    is_patient: bool,
    /// Since when there is no room for what is to be sent.
    full_since_ns: Option<u64>,
}

impl Link {
    /// Maps the range that the kernel command line names.
    pub(crate) fn map() -> Result<Self> {
        let cmdline = fs::read_to_string("/proc/cmdline").context("cannot read /proc/cmdline")?;
        let value = cmdline
            .split_ascii_whitespace()
            .find_map(|word| word.strip_prefix(CMDLINE_KEY)?.strip_prefix('='))
            .with_context(|| format!("the kernel command line has no {CMDLINE_KEY}"))?;
        let (gpa, bytes) =
            parse_cmdline_value(value).with_context(|| format!("{CMDLINE_KEY}={value} is not 0xADDRESS,0xSIZE"))?;
        let mem = File::options().read(true).write(true).open("/dev/mem").context("cannot open /dev/mem")?;
        let flags = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { mmap(std::ptr::null_mut(), bytes, flags, MapFlags::SHARED, &mem, gpa) }
            .with_context(|| format!("cannot map {bytes:#x} bytes of /dev/mem at {gpa:#x}"))?;
        let start = NonNull::new(start.cast()).context("the reserved range was mapped at address zero")?;
        // SAFETY: mapped above, never unmapped, and only used through the region.
        let region = unsafe { MappedRegion::new(start, bytes) };
        let reserved = Reserved::open(region).context("cannot use the reserved range")?;
        let bulk = reserved.bulk_out().context("cannot use the ring to the host")?;
        let orders = reserved.orders_in().context("cannot use the ring from the host")?;
        Ok(Self { reserved, bulk, orders, is_patient: false, full_since_ns: None })
    }

    /// The range itself.
    pub(crate) fn reserved(&self) -> &Reserved<MappedRegion> {
        &self.reserved
    }

    /// The host's order, which comes after the payload. Both may still be on their way; a host that sends none gives the
    /// guest up.
    pub(crate) fn order(&mut self) -> Result<Run> {
        loop {
            if let Some(bytes) = self.orders.pop().context("cannot read the host's order")? {
                return decode(&bytes).context("cannot read the host's order");
            }
            std::thread::sleep(ORDER_POLL);
        }
    }

    /// What the host has said since, if anything.
    pub(crate) fn host_message(&mut self) -> Result<Option<HostMessage>> {
        let bytes = self.orders.pop().context("cannot read what the host says")?;
        bytes.map(|bytes| decode(&bytes).context("cannot read what the host says")).transpose()
    }

    /// From now on no message is dropped, however long the host takes nothing.
    pub(crate) fn be_patient(&mut self) {
        self.is_patient = true;
    }

    /// Sends bulk. While the ring is full this waits; in the end the message is dropped and counted, and so are those
    /// behind it until there is room again: a host that has stopped reading holds the guest up once, not at each message.
    ///
    /// # Errors
    /// When somebody else wrote into the ring.
    pub(crate) fn send(&mut self, message: &GuestMessage) -> Result<()> {
        let bytes = encode(message);
        if !self.bulk.can_ever_hold(bytes.len()) {
            self.bulk.count_dropped();
            return Ok(());
        }
        while !self.bulk.push(&bytes).context("cannot use the ring to the host")? {
            let now_ns = now_ns();
            let since_ns = *self.full_since_ns.get_or_insert(now_ns);
            let waited_ns = now_ns.saturating_sub(since_ns);
            if !self.is_patient && waited_ns > FULL_RING_PATIENCE.as_nanos() as u64 {
                self.bulk.count_dropped();
                return Ok(());
            }
            std::thread::sleep(FULL_RING_POLL);
        }
        self.full_since_ns = None;
        Ok(())
    }
}
