//! What a snapshot in the cache says of itself.

/// Reads it.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_vmm::fuzzing::snapshot_manifest(bytes);
}

/// One as it is written.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let file = |bytes: u64| format!(r#"{{"bytes": {bytes}, "blake3": "{}"}}"#, "86678a4b".repeat(8));
    let [ram, state, console, control] = [570_425_344, 324_987, 338, 79].map(file);
    let files = format!(r#""ram": {ram}, "state": {state}, "console": {console}, "control": {control}"#);
    vec![format!(r#"{{"format": 1, "identity": "kernel 7.3.4\nprotocol 6", {files}}}"#).into_bytes()]
}
