//! The messages of guest and host.

use ktstr_wire::message::{HostMessage, decode, encode};
use ktstr_wire::trace::{TraceEnd, TraceEvent};
use ktstr_wire::{ExitStatus, GuestMessage, Run, Stream};

/// What can be decoded means the same when it is encoded again.
pub(crate) fn run(bytes: &[u8]) {
    if let Ok(message) = decode::<GuestMessage>(bytes) {
        assert_eq!(decode::<GuestMessage>(&encode(&message)).ok(), Some(message));
    }
    if let Ok(message) = decode::<HostMessage>(bytes) {
        assert_eq!(decode::<HostMessage>(&encode(&message)).ok(), Some(message));
    }
    if let Ok(order) = decode::<Run>(bytes) {
        assert_eq!(decode::<Run>(&encode(&order)).ok(), Some(order));
    }
}

/// Messages of a few kinds.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![
        encode(&GuestMessage::Started { at_ns: 2 }),
        encode(&GuestMessage::Output { stream: Stream::Stderr, bytes: b"out".to_vec() }),
        encode(&GuestMessage::Report(b"{}".to_vec())),
        encode(&GuestMessage::Exited { status: ExitStatus::Signal(9), at_ns: 3 }),
        encode(&GuestMessage::Trace(TraceEvent::Ended(TraceEnd {
            at_ns: 4,
            stopped: true,
            lost_records: 5,
            left_out_bytes: 6,
        }))),
        encode(&GuestMessage::Fault("why".to_owned())),
        encode(&HostMessage::Input(b"in".to_vec())),
    ]
}
