//! A trace of tracks, packet by packet.

use super::proto::{
    ChildOrdering, DebugAnnotation, EventType, STATE_CLEARED, Trace, TracePacket, TrackDescriptor, TrackEvent,
};
use super::slices::Slice;
use prost::Message as _;

/// All packets are of one sequence, so that their order is the order of events at the same time.
const SEQUENCE: u32 = 1;

/// A track, by its number in the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Track(u64);

/// What a person sees of an event: its name, and facts about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Label {
    /// On the slice.
    pub(super) name: String,
    /// Beside it once it is clicked.
    pub(super) facts: Vec<(&'static str, String)>,
}

impl Label {
    /// A name alone.
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), facts: Vec::new() }
    }

    /// With a fact.
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.facts.push((name, value.to_string()));
        self
    }
}

/// A trace that is being made.
#[derive(Debug, Default)]
pub(super) struct Builder {
    trace: Trace,
    tracks: u64,
}

impl Builder {
    /// Adds a track, below another one or at the top. Tracks are shown in the order in which they are added.
    pub(super) fn track(&mut self, parent: Option<Track>, name: &str) -> Track {
        self.tracks += 1;
        let descriptor = TrackDescriptor {
            uuid: Some(self.tracks),
            name: Some(name.to_owned()),
            parent_uuid: parent.map(|Track(uuid)| uuid),
            child_ordering: Some(ChildOrdering::Explicit.into()),
            sibling_order_rank: i32::try_from(self.tracks).ok(),
        };
        self.packet(TracePacket { track_descriptor: Some(descriptor), ..TracePacket::default() });
        Track(self.tracks)
    }

    /// Adds slices in order, which do not overlap.
    pub(super) fn slices<T>(&mut self, track: Track, category: &str, slices: &[Slice<T>], label: impl Fn(&T) -> Label) {
        for slice in slices {
            self.event(track, EventType::SliceBegin, slice.from_ns, category, label(&slice.what));
            self.event(track, EventType::SliceEnd, slice.to_ns, category, Label::default());
        }
    }

    /// Adds something without length.
    pub(super) fn instant(&mut self, track: Track, at_ns: u64, category: &str, label: Label) {
        self.event(track, EventType::Instant, at_ns, category, label);
    }

    fn event(&mut self, Track(uuid): Track, kind: EventType, at_ns: u64, category: &str, label: Label) {
        let annotation =
            |(name, value): (&str, String)| DebugAnnotation { name: Some(name.to_owned()), string_value: Some(value) };
        let is_end = kind == EventType::SliceEnd;
        let event = TrackEvent {
            debug_annotations: label.facts.into_iter().map(annotation).collect(),
            r#type: Some(kind.into()),
            track_uuid: Some(uuid),
            categories: if is_end { Vec::new() } else { vec![category.to_owned()] },
            name: (!is_end).then_some(label.name),
        };
        self.packet(TracePacket { timestamp: Some(at_ns), track_event: Some(event), ..TracePacket::default() });
    }

    fn packet(&mut self, packet: TracePacket) {
        let first = self.trace.packet.is_empty();
        self.trace.packet.push(TracePacket {
            trusted_packet_sequence_id: Some(SEQUENCE),
            sequence_flags: first.then_some(STATE_CLEARED),
            ..packet
        });
    }

    /// The file.
    pub(super) fn finish(self) -> Vec<u8> {
        self.trace.encode_to_vec()
    }
}
