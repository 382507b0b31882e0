//! Content hashes.

use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};

/// SHA-256 in progress; takes bytes as a writer.
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn new() -> Self {
        Self(Sha256::new())
    }

    /// 64 lower-case hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The hash of some bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    let mut hasher = Hasher::new();
    hasher.0.update(bytes);
    hasher.finish()
}

/// The hash of all that a reader yields.
pub(crate) fn of_reader(reader: &mut impl Read) -> io::Result<String> {
    let mut hasher = Hasher::new();
    io::copy(reader, &mut hasher)?;
    Ok(hasher.finish())
}

/// The part of a hash that goes into an id.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_sha256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(of_bytes(b""), empty);
        assert_eq!(of_reader(&mut io::empty()).unwrap(), empty);
        assert_eq!(short(empty), "e3b0c442");
    }
}
