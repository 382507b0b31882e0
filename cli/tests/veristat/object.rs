//! The BPF object in a scheduler's program: skeletons, of C and of Rust, have it whole.

/// `EM_BPF`, at byte 18 of an ELF header.
const BPF: u16 = 247;

/// Little-endian, 64 bits.
const MAGIC: &[u8] = b"\x7fELF\x02\x01\x01";

/// The first one.
pub(crate) fn in_program(program: &[u8]) -> Option<&[u8]> {
    let starts = program.windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC);
    let mut objects = starts.map(|(at, _)| &program[at..]).filter(|object| half(object, 18) == Some(BPF));
    let object = objects.next()?;
    // What libbpf's linker writes last are the headers of the sections: so many of that size behind this offset.
    let offset = u64::from_le_bytes(*object.get(40..)?.first_chunk()?);
    let end = offset + u64::from(half(object, 58)?) * u64::from(half(object, 60)?);
    object.get(..usize::try_from(end).ok()?)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
