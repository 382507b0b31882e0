//! Entries for the fuzz targets: bytes that others wrote go in, and nothing may break.

use crate::host::console::{Console, Log, last_lines};
use std::time::Duration;

/// What a guest prints, in pieces of `piece` bytes; tells how many findings come of it.
pub fn console(bytes: &[u8], piece: usize) -> usize {
    let mut console = Console::new(Log::default());
    bytes.chunks(piece.max(1)).for_each(|piece| console.take(piece, Duration::ZERO));
    let seen = console.end();
    let _ = last_lines(&seen.text, 8);
    seen.findings.len()
}
