//! Layout of the reserved range: guest memory that the guest's kernel leaves alone and both sides map.
//!
//! A header page, the host-to-guest ring, the guest-to-host ring, and the payload archive behind them. The guest learns
//! the range's address from [`CMDLINE_KEY`] on the kernel command line, and the rest from the header.

use crate::PROTOCOL_VERSION;
use crate::region::Region;
use crate::ring::{self, Consumer, Producer, RingError, Span};
use std::io::{self, Read};

/// Key of the kernel command line: `ktstr.reserved=0xADDRESS,0xSIZE`, in bytes.
pub const CMDLINE_KEY: &str = "ktstr.reserved";

const MAGIC: u64 = u64::from_le_bytes(*b"KTSTRRSV");
const HEADER_BYTES: usize = 4096;
const ORDERS: Span = Span { offset: HEADER_BYTES, data_bytes: 256 << 10 };
const BULK: Span = Span { offset: (HEADER_BYTES + ORDERS.len_bytes()).next_multiple_of(4096), data_bytes: 8 << 20 };
const PAYLOAD_OFFSET: usize = (BULK.offset + BULK.len_bytes()).next_multiple_of(4096);

/// The payload is copied in pieces of this size.
const PIECE_BYTES: usize = 256 << 10;

const AT_MAGIC: usize = 0;
const AT_VERSION: usize = 8;
const AT_PAYLOAD_BYTES: usize = 16;

/// Why a reserved range cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReservedError {
    /// It is too small for the rings or the payload.
    #[error(
        "the reserved range of {have_bytes} bytes is too small for {need_bytes}: a smaller payload or a larger range is needed"
    )]
    TooSmall {
        /// Size of the range.
        have_bytes: usize,
        /// Size that would do.
        need_bytes: usize,
    },
    /// The header is not ours.
    #[error("the reserved range starts with {found:#x}, which is not the header that the host writes")]
    BadMagic {
        /// First eight bytes.
        found: u64,
    },
    /// Host and agent differ.
    #[error("the host speaks protocol version {found}, this agent {}", PROTOCOL_VERSION)]
    BadVersion {
        /// The host's version.
        found: u32,
    },
    /// The payload could not be read.
    #[error("cannot read the payload: {0}")]
    Payload(io::Error),
    /// A ring does not fit.
    #[error(transparent)]
    Ring(#[from] RingError),
}

/// The reserved range, mapped.
#[derive(Debug, Clone, Copy)]
pub struct Reserved<R> {
    region: R,
}

impl<R: Region + Clone> Reserved<R> {
    /// Bytes that a range needs for a payload of `payload_bytes`.
    pub const fn bytes_for(payload_bytes: usize) -> usize {
        PAYLOAD_OFFSET + payload_bytes
    }

    /// Host side: lays out an all-zero range.
    ///
    /// # Errors
    /// [`ReservedError::TooSmall`] when not even the rings fit.
    pub fn format(region: R) -> Result<Self, ReservedError> {
        let this = Self { region };
        this.check_room(0)?;
        ring::format(&this.region, ORDERS)?;
        ring::format(&this.region, BULK)?;
        this.region.write(AT_VERSION, &PROTOCOL_VERSION.to_le_bytes());
        this.region.write(AT_MAGIC, &MAGIC.to_le_bytes());
        Ok(this)
    }

    /// Guest side: finds what the host laid out.
    ///
    /// # Errors
    /// When the header is missing, of another version, or the range too small for what it claims.
    pub fn open(region: R) -> Result<Self, ReservedError> {
        let this = Self { region };
        this.check_room(0)?;
        let found = this.word(AT_MAGIC);
        if found != MAGIC {
            return Err(ReservedError::BadMagic { found });
        }
        let found = this.region.load(AT_VERSION);
        if found != PROTOCOL_VERSION {
            return Err(ReservedError::BadVersion { found });
        }
        this.check_room(this.payload_bytes())?;
        Ok(this)
    }

    /// Host side: puts the payload in place, `bytes` that are read from `archive`.
    ///
    /// # Errors
    /// [`ReservedError::TooSmall`]; [`ReservedError::Payload`] when the archive cannot be read or is shorter.
    pub fn put_payload(&self, archive: &mut impl Read, bytes: usize) -> Result<(), ReservedError> {
        self.check_room(bytes)?;
        let mut piece = vec![0; PIECE_BYTES.min(bytes)];
        let mut at = 0;
        while at < bytes {
            let count = PIECE_BYTES.min(bytes - at);
            archive.read_exact(&mut piece[..count]).map_err(ReservedError::Payload)?;
            self.region.write(PAYLOAD_OFFSET + at, &piece[..count]);
            at += count;
        }
        self.region.write(AT_PAYLOAD_BYTES, &(bytes as u64).to_le_bytes());
        Ok(())
    }

    /// Size of the payload.
    pub fn payload_bytes(&self) -> usize {
        usize::try_from(self.word(AT_PAYLOAD_BYTES)).unwrap_or(usize::MAX)
    }

    /// Copies payload bytes out, from `offset` of the payload on.
    pub fn read_payload(&self, offset: usize, into: &mut [u8]) {
        self.region.read(PAYLOAD_OFFSET + offset, into);
    }

    /// The ring from host to guest, writing end.
    ///
    /// # Errors
    /// As [`Producer::new`].
    pub fn orders_out(&self) -> Result<Producer<R>, RingError> {
        Producer::new(self.region.clone(), ORDERS)
    }

    /// The ring from host to guest, reading end.
    ///
    /// # Errors
    /// As [`Consumer::new`].
    pub fn orders_in(&self) -> Result<Consumer<R>, RingError> {
        Consumer::new(self.region.clone(), ORDERS)
    }

    /// The ring from guest to host, writing end.
    ///
    /// # Errors
    /// As [`Producer::new`].
    pub fn bulk_out(&self) -> Result<Producer<R>, RingError> {
        Producer::new(self.region.clone(), BULK)
    }

    /// The ring from guest to host, reading end.
    ///
    /// # Errors
    /// As [`Consumer::new`].
    pub fn bulk_in(&self) -> Result<Consumer<R>, RingError> {
        Consumer::new(self.region.clone(), BULK)
    }

    fn check_room(&self, payload_bytes: usize) -> Result<(), ReservedError> {
        let have_bytes = self.region.len_bytes();
        let need_bytes = PAYLOAD_OFFSET.saturating_add(payload_bytes);
        if have_bytes < need_bytes { Err(ReservedError::TooSmall { have_bytes, need_bytes }) } else { Ok(()) }
    }

    fn word(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        self.region.read(at, &mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// Parses the value of [`CMDLINE_KEY`]: guest-physical address and size in bytes.
pub fn parse_cmdline_value(value: &str) -> Option<(u64, usize)> {
    let hex = |text: &str| u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok();
    let (gpa, size) = value.split_once(',')?;
    Some((hex(gpa)?, usize::try_from(hex(size)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::tests::Owned;

    #[test]
    fn both_sides_find_the_same_things() {
        let owned = Owned::new(Reserved::<crate::MappedRegion>::bytes_for(100));
        let host = Reserved::format(owned.region()).unwrap();
        host.put_payload(&mut &[7; 100][..], 100).unwrap();
        assert!(host.orders_out().unwrap().push(b"run").unwrap());
        let guest = Reserved::open(owned.region()).unwrap();
        let mut payload = vec![0; guest.payload_bytes()];
        guest.read_payload(0, &mut payload);
        assert_eq!(payload, [7; 100]);
        assert_eq!(guest.orders_in().unwrap().pop().unwrap().unwrap(), b"run");
        assert!(host.put_payload(&mut &[0; 101][..], 101).unwrap_err().to_string().contains("too small"));
        assert!(host.put_payload(&mut &[0; 99][..], 100).unwrap_err().to_string().contains("cannot read the payload"));
    }

    #[test]
    fn a_guest_refuses_what_no_host_wrote() {
        let owned = Owned::new(Reserved::<crate::MappedRegion>::bytes_for(0));
        assert!(matches!(Reserved::open(owned.region()), Err(ReservedError::BadMagic { found: 0 })));
        Reserved::format(owned.region()).unwrap();
        owned.region().store(AT_VERSION, 99);
        assert!(matches!(Reserved::open(owned.region()), Err(ReservedError::BadVersion { found: 99 })));
        owned.region().store(AT_VERSION, PROTOCOL_VERSION);
        owned.region().write(AT_PAYLOAD_BYTES, &u64::MAX.to_le_bytes());
        assert!(matches!(Reserved::open(owned.region()), Err(ReservedError::TooSmall { .. })));
    }

    #[test]
    fn parses_the_command_line() {
        assert_eq!(parse_cmdline_value("0x3e000000,0x1000"), Some((0x3e00_0000, 0x1000)));
        assert_eq!(parse_cmdline_value("3e000000,0x1000"), None);
    }
}
