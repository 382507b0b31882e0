//! What objects are called.

/// A name as the kernel has it: at most 15 characters and a NUL (`BPF_OBJ_NAME_LEN`).
pub(super) fn name(bytes: &[u8; 16]) -> String {
    let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}
