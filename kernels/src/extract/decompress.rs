//! The compressions that a kernel may have been packed with, told apart by their first bytes.
//!
//! Source: arch/x86/boot/compressed/Makefile and scripts/Makefile.lib. All but gzip are followed by the size of the
//! kernel, 32 bits little-endian (`size_append`); gzip's own trailer ends in the same number.

use std::io::{self, Read};

/// Why a payload could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No known compression starts so.
    #[error("the kernel is compressed in an unknown way: its payload starts with {start:02x?}")]
    Unknown {
        /// The first bytes.
        start: Vec<u8>,
    },
    /// The compressed data is damaged.
    #[error("the kernel's {method} payload is damaged: fetch the kernel again")]
    Damaged {
        /// The compression.
        method: &'static str,
        /// What the decoder says.
        source: io::Error,
    },
    /// More or less came out than the image says.
    #[error("the kernel's {method} payload holds {got} bytes where the image says {expected}: fetch the kernel again")]
    Size {
        /// The compression.
        method: &'static str,
        /// Bytes that came out.
        got: u64,
        /// Bytes by the image's own word.
        expected: u64,
    },
    /// The image claims more than any kernel is.
    #[error("the kernel claims to be {claimed} bytes unpacked; no more than {LIMIT} are accepted")]
    TooBig {
        /// Bytes by the image's own word.
        claimed: u64,
    },
}

/// The most that a kernel may unpack to, in bytes.
const LIMIT: u64 = 2 << 30;
/// `zstd -22 --ultra`, which the kernel uses, has a window of 128 MiB.
const ZSTD_WINDOW: u64 = 128 << 20;
/// Each block of lz4's legacy format but the last unpacks to this.
const LZ4_BLOCK: usize = 8 << 20;

type Decoder = fn(&[u8], usize) -> io::Result<Vec<u8>>;

/// First bytes, name, decoder.
const METHODS: [(&[u8], &str, Decoder); 7] = [
    (b"\x1f\x8b", "gzip", gzip),
    (b"BZh", "bzip2", bzip2),
    (b"\xfd7zXZ\0", "xz", xz),
    (b"\x5d\0\0", "lzma", lzma),
    (b"\x89LZO\0\r\n\x1a\n", "lzo", lzo),
    (b"\x02\x21\x4c\x18", "lz4", lz4),
    (b"\x28\xb5\x2f\xfd", "zstd", zstd),
];

/// Decompresses a payload; what comes out has the size that the payload's last four bytes say.
pub(crate) fn decompress(payload: &[u8]) -> Result<Vec<u8>, Error> {
    let found = METHODS.iter().find(|(magic, ..)| payload.starts_with(magic));
    let unknown = || Error::Unknown { start: payload[..payload.len().min(8)].to_vec() };
    let &(_, method, decoder) = found.ok_or_else(unknown)?;
    let (body, tail) = payload.split_last_chunk::<4>().ok_or_else(unknown)?;
    let claimed = u64::from(u32::from_le_bytes(*tail));
    if claimed > LIMIT {
        return Err(Error::TooBig { claimed });
    }
    let expected = usize::try_from(claimed).map_err(|_| Error::TooBig { claimed })?;
    let input = if method == "gzip" { payload } else { body };
    let out = decoder(input, expected).map_err(|source| Error::Damaged { method, source })?;
    match out.len() == expected {
        true => Ok(out),
        false => Err(Error::Size { method, got: out.len() as u64, expected: claimed }),
    }
}

/// Reads to the end, or to one byte more than expected: enough to see that there is too much.
fn read_all(reader: impl Read, expected: usize) -> io::Result<Vec<u8>> {
    // The claim is not trusted with memory up front; the buffer grows with what really comes.
    let mut out = Vec::with_capacity(expected.min(64 << 20));
    reader.take(expected as u64 + 1).read_to_end(&mut out)?;
    Ok(out)
}

fn gzip(input: &[u8], expected: usize) -> io::Result<Vec<u8>> {
    read_all(flate2::read::GzDecoder::new(input), expected)
}

fn bzip2(input: &[u8], expected: usize) -> io::Result<Vec<u8>> {
    read_all(::bzip2::read::BzDecoder::new(input), expected)
}

fn xz(input: &[u8], expected: usize) -> io::Result<Vec<u8>> {
    read_all(lzma_rust2::XzReader::new_mem_limit(input, false, memory_limit_kib()), expected)
}

fn lzma(input: &[u8], expected: usize) -> io::Result<Vec<u8>> {
    read_all(lzma_rust2::LzmaReader::new_mem_limit(input, memory_limit_kib(), None)?, expected)
}

fn memory_limit_kib() -> u32 {
    u32::try_from(LIMIT >> 10).unwrap_or(u32::MAX)
}

fn zstd(input: &[u8], expected: usize) -> io::Result<Vec<u8>> {
    let decoder = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(input, ZSTD_WINDOW);
    read_all(decoder.map_err(invalid)?, expected)
}

/// lz4's legacy format: magic, then blocks, each after its compressed size. Source: lib/decompress_unlz4.c.
fn lz4(input: &[u8], expected: usize) -> io::Result<Vec<u8>> {
    let mut rest = Fields(input.get(4..).unwrap_or_default());
    let mut out = Vec::new();
    let mut block = vec![0; LZ4_BLOCK];
    while !rest.0.is_empty() && out.len() <= expected {
        let size = u32::from_le_bytes(rest.take()?);
        let got = lz4_flex::block::decompress_into(rest.slice(size as usize)?, &mut block).map_err(invalid)?;
        out.extend_from_slice(&block[..got]);
    }
    Ok(out)
}

/// The lzop file format. Source: lib/decompress_unlzo.c, and lzop's own conf.h for the checksum flags.
fn lzo(input: &[u8], expected: usize) -> io::Result<Vec<u8>> {
    const LIMIT_BLOCK: usize = 64 << 20;
    let mut rest = Fields(input.get(9..).unwrap_or_default());
    let flags = lzop_header(&mut rest)?;
    let checksums = |bits: u32| (flags & bits).count_ones() as usize * 4;
    let mut out = Vec::new();
    while out.len() <= expected {
        let unpacked = u32::from_be_bytes(rest.take()?) as usize;
        if unpacked == 0 {
            break;
        }
        let packed = u32::from_be_bytes(rest.take()?) as usize;
        if unpacked > LIMIT_BLOCK || packed > unpacked {
            return Err(invalid("a block of an impossible size"));
        }
        rest.slice(checksums(0x001 | 0x100))?;
        if packed < unpacked {
            rest.slice(checksums(0x002 | 0x200))?;
            let mut block = vec![0; unpacked];
            let got = lzokay::decompress::decompress(rest.slice(packed)?, &mut block)
                .map_err(|e| invalid(format!("{e:?}")))?;
            out.extend_from_slice(&block[..got.min(unpacked)]);
        } else {
            out.extend_from_slice(rest.slice(packed)?);
        }
    }
    Ok(out)
}

/// Reads past the header; returns its flags.
fn lzop_header(rest: &mut Fields<'_>) -> io::Result<u32> {
    const HAS_FILTER: u32 = 0x800;
    let has_level_and_time = u16::from_be_bytes(rest.take()?) >= 0x0940;
    // Library version, version needed to extract, method.
    rest.slice(5)?;
    rest.slice(usize::from(has_level_and_time))?;
    let flags = u32::from_be_bytes(rest.take()?);
    rest.slice(if flags & HAS_FILTER == 0 { 0 } else { 4 })?;
    // Mode and the low half of the time; then its high half.
    rest.slice(if has_level_and_time { 12 } else { 8 })?;
    let [name_length] = rest.take()?;
    // The name and the header's checksum.
    rest.slice(usize::from(name_length) + 4)?;
    Ok(flags)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// What is left of a buffer that is read from its front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn slice(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(taken)
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(*taken)
    }
}
