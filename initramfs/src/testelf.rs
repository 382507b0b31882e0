//! Small ELF files for tests: header, program headers and a dynamic section, with no compiler involved.

/// Where the one PT_LOAD of a made file is mapped.
const BASE: u64 = 0x1000_0000;

/// An x86-64 object to be written.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestElf {
    interp: Option<String>,
    strings: Vec<(u64, String)>,
    flags_1: u64,
    machine: Option<u16>,
    debug_bytes: usize,
}

impl TestElf {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn interp(mut self, path: &str) -> Self {
        self.interp = Some(path.to_owned());
        self
    }

    fn string(mut self, tag: u64, value: &str) -> Self {
        self.strings.push((tag, value.to_owned()));
        self
    }

    pub(crate) fn needed(self, name: &str) -> Self {
        self.string(1, name)
    }

    pub(crate) fn soname(self, name: &str) -> Self {
        self.string(14, name)
    }

    pub(crate) fn rpath(self, path: &str) -> Self {
        self.string(15, path)
    }

    pub(crate) fn runpath(self, path: &str) -> Self {
        self.string(29, path)
    }

    pub(crate) fn nodeflib(mut self) -> Self {
        self.flags_1 = 0x800;
        self
    }

    pub(crate) fn machine(mut self, machine: u16) -> Self {
        self.machine = Some(machine);
        self
    }

    /// Adds section headers: a `.debug_info` of this length and the `.shstrtab` that names it.
    pub(crate) fn debug(mut self, bytes: usize) -> Self {
        self.debug_bytes = bytes;
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let phnum: u16 = if self.interp.is_some() { 3 } else { 2 };
        let interp = self.interp.as_ref().map_or_else(Vec::new, |path| [path.as_bytes(), b"\0"].concat());
        let dynamic_at = (64 + usize::from(phnum) * 56 + interp.len()).next_multiple_of(8);
        let mut table = vec![0_u8];
        let mut dynamic = Vec::new();
        for (tag, value) in &self.strings {
            dynamic.push((*tag, table.len() as u64));
            table.extend_from_slice(value.as_bytes());
            table.push(0);
        }
        let dynamic_len = (dynamic.len() + 4) * 16;
        let strings_at = dynamic_at + dynamic_len;
        dynamic.push((0x6fff_fffb, self.flags_1));
        dynamic.push((5, BASE + strings_at as u64));
        dynamic.push((10, table.len() as u64));
        dynamic.push((0, 0));
        let end = strings_at + table.len();

        let mut out = self.header(phnum);
        phdr(&mut out, 1, 0, end);
        phdr(&mut out, 2, dynamic_at, dynamic_len);
        if self.interp.is_some() {
            phdr(&mut out, 3, 64 + usize::from(phnum) * 56, interp.len());
        }
        out.extend_from_slice(&interp);
        out.resize(dynamic_at, 0);
        for (tag, value) in dynamic {
            out.extend_from_slice(&u64::to_le_bytes(tag));
            out.extend_from_slice(&u64::to_le_bytes(value));
        }
        out.extend_from_slice(&table);
        if self.debug_bytes > 0 {
            self.sections(&mut out);
        }
        out
    }

    fn header(&self, phnum: u16) -> Vec<u8> {
        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        out.extend_from_slice(&3_u16.to_le_bytes());
        out.extend_from_slice(&self.machine.unwrap_or(62).to_le_bytes());
        out.extend_from_slice(&1_u32.to_le_bytes());
        for word in [0_u64, 64, 0] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&0_u32.to_le_bytes());
        for half in [64_u16, 56, phnum, 64, 0, 0] {
            out.extend_from_slice(&half.to_le_bytes());
        }
        out
    }

    fn sections(&self, out: &mut Vec<u8>) {
        let debug_at = out.len() as u64;
        out.resize(out.len() + self.debug_bytes, 0xdb);
        let names_at = out.len() as u64;
        let names = b"\0.debug_info\0.shstrtab\0";
        out.extend_from_slice(names);
        let table_at = out.len() as u64;
        shdr(out, 0, 0, 0, 0);
        shdr(out, 1, 1, debug_at, self.debug_bytes as u64);
        shdr(out, 13, 3, names_at, names.len() as u64);
        out[0x28..0x30].copy_from_slice(&table_at.to_le_bytes());
        out[0x3c..0x3e].copy_from_slice(&3_u16.to_le_bytes());
        out[0x3e..0x40].copy_from_slice(&2_u16.to_le_bytes());
    }
}

fn phdr(out: &mut Vec<u8>, kind: u32, offset: usize, size: usize) {
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&5_u32.to_le_bytes());
    let (offset, size) = (offset as u64, size as u64);
    for word in [offset, BASE + offset, BASE + offset, size, size, 8] {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

fn shdr(out: &mut Vec<u8>, name: u32, kind: u32, offset: u64, size: u64) {
    out.extend_from_slice(&name.to_le_bytes());
    out.extend_from_slice(&kind.to_le_bytes());
    for word in [0_u64, 0, offset, size] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&1_u64.to_le_bytes());
    out.extend_from_slice(&0_u64.to_le_bytes());
}
