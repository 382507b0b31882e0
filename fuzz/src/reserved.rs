//! The reserved range, as an agent finds it, and the word on the kernel command line that leads to it.

use crate::memory::Memory;
use ktstr_wire::reserved::parse_cmdline_value;
use ktstr_wire::{MappedRegion, Region, Reserved};
use std::cell::RefCell;

/// As much behind the header page as a payload may be.
const PAYLOAD_BYTES: usize = 4096;

/// The bytes are the start of the range, over what a host has laid out.
pub(crate) fn run(bytes: &[u8]) {
    thread_local! {
        static RANGE: RefCell<Memory> = RefCell::new(Memory::new(Reserved::<MappedRegion>::bytes_for(PAYLOAD_BYTES)));
    }
    let _ = parse_cmdline_value(&String::from_utf8_lossy(bytes));
    RANGE.with_borrow_mut(|range| look(&range.region(), &bytes[..bytes.len().min(64 << 10)]));
}

fn look(region: &MappedRegion, bytes: &[u8]) {
    region.write(0, &vec![0; 128 << 10]);
    let _ = Reserved::format(*region);
    region.write(0, bytes);
    let Ok(guest) = Reserved::open(*region) else { return };
    let mut payload = vec![0; guest.payload_bytes()];
    guest.read_payload(0, &mut payload);
    let _ = guest.orders_in().map(|mut orders| orders.drain(|_| {}));
    let _ = guest.bulk_out().map(|mut bulk| bulk.push(b"x"));
}

/// A header of our own, and a word.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut range = Memory::new(Reserved::<MappedRegion>::bytes_for(PAYLOAD_BYTES));
    let region = range.region();
    let mut header = vec![0; 4096 + 512];
    if let Ok(host) = Reserved::format(region) {
        let _ = host.put_payload(&mut &[7; 100][..], 100);
        let _ = host.orders_out().map(|mut orders| orders.push(b"order"));
    }
    region.read(0, &mut header);
    vec![header, b"0x3e000000,0x1000000".to_vec()]
}
