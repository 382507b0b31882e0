//! The text that names a topology.

use ktstr_wire::Topology;

/// What is taken is possible, and means the same when it is written again.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(topology) = String::from_utf8_lossy(bytes).parse::<Topology>() else { return };
    assert!(topology.validate().is_ok() && (1..=Topology::MAX_CPUS).contains(&topology.cpus()));
    assert_eq!(topology.to_string().parse(), Ok(topology));
}

/// Good and bad ones.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    ["1,1,2,1", "2, 4, 8, 2", "1,65536,65536,2", "4294967295,1,1,1", "1,2,3"].map(Into::into).to_vec()
}
