//! The setup header of a bzImage. Source: Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".

/// Why the compressed kernel cannot be found in a bzImage.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A protocol from before 2.08.
    #[error(
        "the bzImage's boot protocol {major}.{minor:02} does not say where its payload is: it needs 2.08 (Linux 2.6.26)"
    )]
    TooOld {
        /// Major number.
        major: u8,
        /// Minor number.
        minor: u8,
    },
    /// The payload would lie outside the file.
    #[error("the bzImage is cut short: its payload ends at byte {end}, the file at {size}; fetch it again")]
    Truncated {
        /// Where the payload would end.
        end: u64,
        /// The file's size in bytes.
        size: u64,
    },
}

const SETUP_SECTS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const VERSION: usize = 0x206;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const KERNEL_VERSION: usize = 0x20e;
const HEADER_END: usize = 0x250;

/// Whether a file that starts with these bytes has a Linux setup header.
pub(super) fn is_bzimage(start: &[u8]) -> bool {
    start.get(MAGIC..MAGIC + 4) == Some(b"HdrS") && start.len() >= HEADER_END
}

/// Offset and length in bytes of the compressed kernel in a bzImage of `size` bytes; `start` passes [`is_bzimage`].
pub(super) fn payload(start: &[u8], size: u64) -> Result<(u64, u64), Error> {
    let (major, minor) = (start[VERSION + 1], start[VERSION]);
    if (major, minor) < (2, 8) {
        return Err(Error::TooOld { major, minor });
    }
    let word = |at: usize| u64::from(u32::from_le_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]));
    // "if the setup_sects field contains 0, the real value is 4"
    let setup_sectors = if start[SETUP_SECTS] == 0 { 4 } else { u64::from(start[SETUP_SECTS]) };
    let protected_mode = (setup_sectors + 1) * 512;
    let (offset, length) = (protected_mode + word(PAYLOAD_OFFSET), word(PAYLOAD_LENGTH));
    let end = offset + length;
    if end > size || length == 0 { Err(Error::Truncated { end, size }) } else { Ok((offset, length)) }
}

/// The release: the first word of the version text that the header points to.
pub(super) fn release(start: &[u8]) -> Option<String> {
    let pointer = start.get(KERNEL_VERSION..KERNEL_VERSION + 2).filter(|_| is_bzimage(start))?;
    let text = start.get(usize::from(u16::from_le_bytes([pointer[0], pointer[1]])) + 0x200..)?;
    let word = text.split(|byte| !byte.is_ascii_graphic()).next()?;
    let fits = word.len() < 65 && word.first().is_some_and(u8::is_ascii_digit);
    fits.then(|| String::from_utf8_lossy(word).into_owned())
}

/// A bzImage around a payload, for tests.
#[cfg(test)]
pub(crate) fn wrap(payload: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 1024];
    image[SETUP_SECTS] = 1;
    image[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
    image[VERSION..VERSION + 2].copy_from_slice(&[15, 2]);
    image[PAYLOAD_OFFSET..PAYLOAD_OFFSET + 4].copy_from_slice(&64u32.to_le_bytes());
    image[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    let version = b"7.3.4-test (builder@host) #1";
    image[KERNEL_VERSION..KERNEL_VERSION + 2].copy_from_slice(&0x100u16.to_le_bytes());
    image[0x300..0x300 + version.len()].copy_from_slice(version);
    image.resize(1024 + 64, 0x90);
    image.extend_from_slice(payload);
    image
}
