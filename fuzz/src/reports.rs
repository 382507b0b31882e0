//! What a test binary reports.

/// A frame in each line.
pub(crate) fn run(bytes: &[u8]) {
    ktstr::fuzzing::reports(bytes);
}

/// A frame of each sort, and outcomes alone.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let others = [br#"{"Outcome":{"Panicked":"boom"}}"#.as_slice(), br#"{"Outcome":{"Error":"why"}}"#];
    [vec![ktstr::fuzzing::report_frames()], others.map(<[u8]>::to_vec).to_vec()].concat()
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_are_understood() {
        assert!(super::seeds().iter().all(|seed| ktstr::fuzzing::reports(seed) == 0));
    }
}
