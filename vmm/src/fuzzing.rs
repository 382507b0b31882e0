//! Entries for the fuzz targets: bytes that others wrote go in, and nothing may break.

use crate::kvm::boot::image;
use crate::kvm::state::State;
use crate::layout::RamLayout;
use crate::memory::{Backing, GuestRam};
use crate::qemu::qmp::Session;
use crate::snapshot::Manifest;
use ktstr_wire::Node;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::OnceLock;

/// What QEMU says over QMP; no more than a socket buffers.
///
/// # Panics
/// When the host gives no sockets.
#[allow(clippy::unwrap_used)]
pub fn qmp(bytes: &[u8]) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(&bytes[..bytes.len().min(64 << 10)]).unwrap();
    theirs.shutdown(Shutdown::Write).unwrap();
    let Ok(mut session) = Session::open(ours) else { return };
    let _ = session.execute("query-status", serde_json::json!({}));
    let _ = session.last_events();
}

/// The manifest of a snapshot.
pub fn snapshot_manifest(bytes: &[u8]) {
    let _ = Manifest::parse(bytes);
}

/// The kernel that is to be booted.
///
/// # Panics
/// When the host gives no memory.
#[allow(clippy::unwrap_used)]
pub fn boot_image(bytes: &[u8]) {
    static RAM: OnceLock<GuestRam> = OnceLock::new();
    let ram = RAM.get_or_init(|| {
        let node = Node { llcs: 1, memory_bytes: 512 << 20 };
        GuestRam::new(RamLayout::new(&[node.memory_bytes], 64 << 20).unwrap(), &[node], Backing::SharedFiles).unwrap()
    });
    let mut file = crate::memfd::create(c"ktstr-fuzz").unwrap();
    file.write_all(bytes).unwrap();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let _ = image::load(Path::new(&path), ram.mapped(), ram.layout());
}

/// What was saved of a machine under KVM.
///
/// # Panics
/// When what was read cannot be read again once it is written.
#[allow(clippy::unwrap_used)]
pub fn kvm_state(bytes: &[u8]) {
    if let Ok(state) = State::from_bytes(bytes) {
        State::from_bytes(&state.to_bytes().unwrap()).unwrap();
    }
}

/// Something for [`kvm_state`].
///
/// # Panics
/// Never.
#[allow(clippy::unwrap_used)]
pub fn a_kvm_state() -> Vec<u8> {
    State::blank(2).to_bytes().unwrap()
}
