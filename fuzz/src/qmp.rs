//! What QEMU says.

/// Opens a session, runs a command and waits for the end.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_vmm::fuzzing::qmp(bytes);
}

/// A whole session.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let lines = [
        r#"{"QMP": {"version": {"qemu": {"micro": 2, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}"#,
        r#"{"return": {}}"#,
        r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESUME"}"#,
        r#"{"return": {"status": "running"}}"#,
        r#"{"error": {"class": "GenericError", "desc": "why"}}"#,
        r#"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}"#,
    ];
    vec![lines.join("\r\n").into_bytes()]
}
