//! An instruction that does nothing, by which the guest says that from here on it can go on at any other time.

/// `nopl 0x7473746b(%rax,%rax,1)` (SDM volume 2, NOP), with letters for a displacement. An emulator knows it when it sees it.
pub const MARK: [u8; 8] = [0x0f, 0x1f, 0x84, 0x00, b'k', b't', b's', b't'];
