//! Entries for the fuzz targets: bytes that others wrote go in, and nothing may break.

use crate::guest::Frame;
use crate::host::console::{Console, Log, last_lines};
use crate::host::session::Reports;
use std::time::Duration;

/// What a guest prints, in pieces of `piece` bytes; tells how many findings come of it.
pub fn console(bytes: &[u8], piece: usize) -> usize {
    let mut console = Console::new(Log::default());
    bytes.chunks(piece.max(1)).for_each(|piece| console.take(piece, Duration::ZERO));
    let seen = console.end();
    let _ = last_lines(&seen.text, 8);
    seen.findings.len()
}

/// What a test binary reports, a frame in each line; tells how many are refused.
///
/// # Panics
/// When a frame that was understood means something else once it is written and read again.
pub fn reports(bytes: &[u8]) -> usize {
    let mut reports = Reports::default();
    let frames = bytes.split(|byte| *byte == b'\n');
    for frame in frames.clone() {
        if let Ok(read) = serde_json::from_slice::<Frame>(frame) {
            let text = serde_json::to_vec(&read).unwrap_or_default();
            let again = serde_json::from_slice::<Frame>(&text).and_then(|again| serde_json::to_vec(&again));
            assert_eq!(again.unwrap_or_default(), text);
        }
    }
    frames.filter(|frame| reports.take(frame).is_err()).count()
}
