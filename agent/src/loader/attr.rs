//! What the calls that are looked at have in their attribute block (`union bpf_attr`, include/uapi/linux/bpf.h).

/// `enum bpf_cmd`.
pub(super) const MAP_UPDATE_ELEM: u64 = 2;
pub(super) const PROG_LOAD: u64 = 5;

/// The largest block that is copied. The kernel takes no more than a page.
const MAX_BYTES: usize = 4096;

/// A block, as many bytes of it as the program passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attr {
    bytes: Vec<u8>,
}

/// Where the fields are, in bytes.
mod place {
    pub(super) const PROG_TYPE: usize = 0;
    pub(super) const INSN_CNT: usize = 4;
    pub(super) const LOG_LEVEL: usize = 24;
    pub(super) const LOG_SIZE: usize = 28;
    pub(super) const LOG_BUF: usize = 32;
    pub(super) const PROG_NAME: usize = 48;
    pub(super) const EXPECTED_ATTACH_TYPE: usize = 68;
    pub(super) const PROG_BTF_FD: usize = 72;
    pub(super) const FUNC_INFO: usize = 80;
    pub(super) const FUNC_INFO_CNT: usize = 88;
    pub(super) const LOG_TRUE_SIZE: usize = 140;
    pub(super) const MAP_FD: usize = 0;
    pub(super) const VALUE: usize = 16;
}

impl Attr {
    /// Room for a block of this size; `None` for one that the kernel refuses.
    pub(super) fn of_size(bytes: u64) -> Option<Self> {
        let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= MAX_BYTES)?;
        Some(Self { bytes: vec![0; bytes] })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// What is behind the block is zero to the kernel.
    fn word(&self, at: usize) -> u32 {
        self.bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_ne_bytes(*word))
    }

    fn address(&self, at: usize) -> u64 {
        u64::from(self.word(at)) | u64::from(self.word(at + 4)) << 32
    }

    fn set(&mut self, at: usize, value: &[u8]) {
        let end = at + value.len();
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[at..end].copy_from_slice(value);
    }

    /// `BPF_PROG_LOAD`: `BPF_PROG_TYPE_*`.
    pub(super) fn prog_type(&self) -> u32 {
        self.word(place::PROG_TYPE)
    }

    /// `BPF_PROG_LOAD`: how many instructions there are.
    pub(super) fn insns(&self) -> u32 {
        self.word(place::INSN_CNT)
    }

    /// `BPF_PROG_LOAD`: `enum bpf_attach_type`, or what the program's type takes it for.
    pub(super) fn attach_type(&self) -> u32 {
        self.word(place::EXPECTED_ATTACH_TYPE)
    }

    /// `BPF_PROG_LOAD`: the descriptor of the program's BTF.
    pub(super) fn btf_fd(&self) -> i32 {
        self.word(place::PROG_BTF_FD) as i32
    }

    /// `BPF_PROG_LOAD`: the address of what is known of its functions, the program's own first; `None` for nothing.
    pub(super) fn func_info(&self) -> Option<u64> {
        (self.word(place::FUNC_INFO_CNT) > 0).then(|| self.address(place::FUNC_INFO))
    }

    /// `BPF_PROG_LOAD`: the name, at most 15 characters.
    pub(super) fn prog_name(&self) -> String {
        let name = self.bytes.iter().skip(place::PROG_NAME).take(15).take_while(|byte| **byte != 0);
        String::from_utf8_lossy(&name.copied().collect::<Vec<u8>>()).into_owned()
    }

    /// `BPF_PROG_LOAD`: the level that the program asks for by itself.
    pub(super) fn log_level(&self) -> u32 {
        self.word(place::LOG_LEVEL)
    }

    /// `BPF_PROG_LOAD`: address and size of the log.
    pub(super) fn log(&self) -> (u64, u32) {
        (self.address(place::LOG_BUF), self.word(place::LOG_SIZE))
    }

    /// `BPF_PROG_LOAD`: asks for a log, and for its true size.
    pub(super) fn ask_for_log(&mut self, level: u32, address: u64, bytes: u32) {
        self.set(place::LOG_LEVEL, &level.to_ne_bytes());
        self.set(place::LOG_SIZE, &bytes.to_ne_bytes());
        self.set(place::LOG_BUF, &address.to_ne_bytes());
        self.set(place::LOG_TRUE_SIZE, &[0; 4]);
    }

    /// `BPF_PROG_LOAD`, behind it: how long the whole log is, with a zero byte behind it; 0 for no log.
    pub(super) fn log_true_size(&self) -> u32 {
        self.word(place::LOG_TRUE_SIZE)
    }

    /// `BPF_MAP_UPDATE_ELEM`: the map.
    pub(super) fn map_fd(&self) -> i32 {
        self.word(place::MAP_FD) as i32
    }

    /// `BPF_MAP_UPDATE_ELEM`: the address of the value.
    pub(super) fn value(&self) -> u64 {
        self.address(place::VALUE)
    }

    pub(super) fn set_value(&mut self, address: u64) {
        self.set(place::VALUE, &address.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_block_grows_by_zeros() {
        let mut attr = Attr::of_size(72).unwrap();
        attr.bytes_mut()[48..53].copy_from_slice(b"stall");
        attr.bytes_mut()[0] = 27;
        attr.bytes_mut()[4] = 9;
        attr.bytes_mut()[68] = 24;
        attr.ask_for_log(2, 0x7f00_1234_5678, 1 << 26);
        assert_eq!(attr.bytes().len(), 144);
        assert_eq!((attr.prog_type(), attr.prog_name(), attr.log_level()), (27, "stall".to_owned(), 2));
        assert_eq!((attr.insns(), attr.attach_type(), attr.func_info()), (9, 24, None));
        assert_eq!((attr.log(), attr.log_true_size()), ((0x7f00_1234_5678, 1 << 26), 0));
    }

    #[test]
    fn a_long_block_keeps_its_size() {
        let mut attr = Attr::of_size(168).unwrap();
        attr.ask_for_log(1, 1, 1);
        assert_eq!(attr.bytes().len(), 168);
        attr.bytes_mut()[72..96]
            .copy_from_slice(&[[5, 0, 0, 0, 8, 0, 0, 0], [0, 9, 0, 0, 1, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0, 0]].concat());
        assert_eq!((attr.btf_fd(), attr.func_info()), (5, Some(0x1_0000_0900)));
        assert!(Attr::of_size(4097).is_none() && Attr::of_size(u64::MAX).is_none());
    }

    #[test]
    fn fields_behind_the_block_are_zero() {
        let attr = Attr::of_size(5).unwrap();
        assert_eq!((attr.log(), attr.prog_name(), attr.value(), attr.log_true_size()), ((0, 0), String::new(), 0, 0));
    }
}
