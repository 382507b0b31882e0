//! The ring, while somebody else writes to its memory.

use crate::memory::Memory;
use ktstr_wire::Region;
use ktstr_wire::ring::{CONTROL_BYTES, Consumer, Producer, Span, format};

const SPAN: Span = Span { offset: 0, data_bytes: 256 };

/// The bytes are a program: what is pushed, drained and overwritten in turn. Only what was pushed may come out, and in
/// its order.
pub(crate) fn run(bytes: &[u8]) {
    let mut memory = Memory::new(SPAN.len_bytes());
    let region = memory.region();
    if format(&region, SPAN).is_err() {
        return;
    }
    let [a, b, c, d, ref steps @ ..] = *bytes else { return };
    // Where both positions are: any multiple of 8, so that they wrap, too.
    let start = u32::from_le_bytes([a, b, c, d]) & !7;
    region.store(64, start);
    region.store(128, start);
    let (Ok(mut producer), Ok(mut consumer)) = (Producer::new(region, SPAN), Consumer::new(region, SPAN)) else {
        return;
    };
    let (mut pushed, mut popped) = (Vec::new(), 0);
    for step in steps.chunks_exact(4) {
        let [what, x, y, z] = *step else { continue };
        match what % 4 {
            0 => {
                let payload = vec![y; usize::from(x)];
                if producer.push(&payload) == Ok(true) {
                    pushed.push(payload);
                }
            }
            1 => {
                let _ = consumer.drain(|frame| {
                    assert_eq!(pushed.get(popped).map(Vec::as_slice), Some(frame));
                    popped += 1;
                });
            }
            2 => region.store(usize::from(x) % (CONTROL_BYTES / 4) * 4, u32::from(y) << (z % 32)),
            _ => region.write((usize::from(x) | usize::from(y) << 8) % SPAN.len_bytes(), &[z]),
        }
    }
}

/// A good life and a bad one.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let good = [[0xf0, 0xff, 0xff, 0xff], [0, 40, 1, 0], [0, 200, 2, 0], [1, 0, 0, 0], [0, 200, 3, 0], [1, 0, 0, 0]];
    let bad = [[0, 0, 0, 0], [0, 248, 1, 0], [1, 0, 0, 0], [2, 16, 2, 8], [1, 0, 0, 0], [3, 16, 1, 9]];
    vec![good.concat(), bad.concat()]
}
