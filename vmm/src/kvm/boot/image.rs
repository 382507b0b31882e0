//! The kernel image: an ELF file whose segments go to their physical addresses.

use super::{Error, copy};
use crate::layout::{EXTENDED_RAM_START, RamLayout};
use linux_loader::elf::{
    EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, ELFMAG, EM_X86_64, Elf64_Ehdr, Elf64_Phdr, PT_LOAD,
};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use vm_memory::{ByteValued, GuestMemoryMmap};

/// A vmlinux has three to five; a file that claims very many is not one.
const MAX_PROGRAM_HEADERS: u16 = 64;

/// Reads the kernel's segments from the file straight into guest memory and returns the address of its entry point.
///
/// # Errors
/// [`Error::Read`], and [`Error::Kernel`] for a file that is no kernel or does not fit.
pub(crate) fn load(path: &Path, memory: &GuestMemoryMmap, layout: &RamLayout) -> Result<u64, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let kernel = |why| Error::Kernel { path: path.to_owned(), why };
    let file = File::open(path).map_err(read)?;
    let header = check_header(&file).map_err(kernel)?;
    for segment in segments(&file, &header, layout).map_err(kernel)? {
        copy::copy(&file, segment.p_offset, segment.p_filesz, memory, segment.p_paddr).map_err(read)?;
    }
    Ok(header.e_entry)
}

fn check_header(file: &File) -> Result<Elf64_Ehdr, String> {
    let header: Elf64_Ehdr =
        read_object(file, 0).map_err(|error| format!("its ELF header cannot be read ({error})"))?;
    if header.e_ident[..4] != ELFMAG[..] {
        return Err("it does not start like an ELF file".to_owned());
    }
    if header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64
    {
        return Err(format!(
            "it is an ELF file of class {}, byte order {} and machine {}, not of 2, 1 and 62",
            header.e_ident[EI_CLASS], header.e_ident[EI_DATA], header.e_machine
        ));
    }
    if header.e_phentsize as usize != size_of::<Elf64_Phdr>() || header.e_phnum > MAX_PROGRAM_HEADERS {
        return Err(format!("it claims {} program headers of {} bytes", header.e_phnum, header.e_phentsize));
    }
    Ok(header)
}

/// What is to be loaded: every segment is in the file, and goes to RAM that is the kernel's.
fn segments(file: &File, header: &Elf64_Ehdr, layout: &RamLayout) -> Result<Vec<Elf64_Phdr>, String> {
    let file_bytes = file.metadata().map_err(|error| format!("its size is unknown ({error})"))?.len();
    let (mut segments, mut has_entry) = (Vec::new(), false);
    for index in 0..u64::from(header.e_phnum) {
        let offset =
            index.checked_mul(size_of::<Elf64_Phdr>() as u64).and_then(|skip| skip.checked_add(header.e_phoff));
        let offset = offset.ok_or("its program headers lie outside the file")?;
        let segment: Elf64_Phdr =
            read_object(file, offset).map_err(|error| format!("program header {index} cannot be read ({error})"))?;
        if segment.p_type != PT_LOAD {
            continue;
        }
        if segment.p_offset.checked_add(segment.p_filesz).is_none_or(|end| end > file_bytes) {
            return Err(format!("it is truncated: segment {index} goes beyond its {file_bytes} bytes"));
        }
        let end = segment.p_paddr.checked_add(segment.p_memsz.max(segment.p_filesz));
        let Some(end) = end.filter(|end| segment.p_paddr >= EXTENDED_RAM_START && *end <= layout.reserved.gpa) else {
            return Err(format!(
                "segment {index} of {:#x} bytes at {:#x} lies outside the guest's RAM for it, {EXTENDED_RAM_START:#x} to {:#x}",
                segment.p_memsz, segment.p_paddr, layout.reserved.gpa
            ));
        };
        has_entry |= (segment.p_paddr..end).contains(&header.e_entry);
        segments.push(segment);
    }
    if has_entry {
        Ok(segments)
    } else {
        Err(format!("its entry point {:#x} is in none of its segments", header.e_entry))
    }
}

fn read_object<T: ByteValued + Default>(file: &File, offset: u64) -> io::Result<T> {
    let mut object = T::default();
    file.read_exact_at(object.as_mut_slice(), offset)?;
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Backing;
    use crate::memory::tests::ram;
    use std::io::Write;
    use vm_memory::{Bytes, GuestAddress};

    const MIB: u64 = 1 << 20;
    const CODE: &[u8] = b"the kernel's code";
    const CODE_OFFSET: u64 = 0x1000;

    fn header() -> Elf64_Ehdr {
        let mut header = Elf64_Ehdr { e_machine: EM_X86_64, e_entry: 16 * MIB + 4, e_phoff: 64, ..Default::default() };
        header.e_ident[..4].copy_from_slice(ELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_ident[EI_DATA] = ELFDATA2LSB;
        header.e_phentsize = size_of::<Elf64_Phdr>() as u16;
        header.e_phnum = 1;
        header
    }

    fn segment() -> Elf64_Phdr {
        Elf64_Phdr {
            p_type: PT_LOAD,
            p_offset: CODE_OFFSET,
            p_paddr: 16 * MIB,
            p_filesz: CODE.len() as u64,
            p_memsz: 4096,
            ..Default::default()
        }
    }

    fn bytes(header: &Elf64_Ehdr, segment: &Elf64_Phdr) -> Vec<u8> {
        let mut bytes = [header.as_slice(), segment.as_slice()].concat();
        bytes.resize(CODE_OFFSET as usize, 0);
        bytes.extend_from_slice(CODE);
        bytes
    }

    fn check(bytes: &[u8], expected: Result<u64, &str>) {
        let ram = ram(&[512], Backing::Private);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let got = load(file.path(), ram.mapped(), ram.layout()).map_err(|error| error.to_string());
        match expected {
            Ok(entry) => {
                assert_eq!(got, Ok(entry));
                let mut code = [0; CODE.len()];
                ram.mapped().read_slice(&mut code, GuestAddress(16 * MIB)).unwrap();
                assert_eq!(code, CODE);
            }
            Err(part) => assert!(got.as_ref().unwrap_err().contains(part), "{got:?}"),
        }
    }

    #[test]
    fn segments_go_to_their_addresses() {
        check(&bytes(&header(), &segment()), Ok(16 * MIB + 4));
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        check(b"", Err("header cannot be read"));
        check(b"\x7fELF", Err("header cannot be read"));
        check(&[b'#'; 100], Err("does not start like an ELF file"));
        let mut narrow = header();
        narrow.e_ident[EI_CLASS] = 1;
        check(&bytes(&narrow, &segment()), Err("class 1"));
        check(&bytes(&Elf64_Ehdr { e_machine: 183, ..header() }, &segment()), Err("machine 183"));
        check(&bytes(&Elf64_Ehdr { e_phnum: 65535, ..header() }, &segment()), Err("65535 program headers"));
        check(&bytes(&Elf64_Ehdr { e_phoff: u64::MAX - 8, ..header() }, &segment()), Err("program header 0"));
        check(&bytes(&Elf64_Ehdr { e_entry: 0, ..header() }, &segment()), Err("entry point 0x0"));
    }

    #[test]
    fn segments_that_do_not_fit_are_refused() {
        let whole = bytes(&header(), &segment());
        check(&whole[..whole.len() - 1], Err("truncated"));
        check(&bytes(&header(), &Elf64_Phdr { p_offset: u64::MAX, ..segment() }), Err("truncated"));
        check(&bytes(&header(), &Elf64_Phdr { p_paddr: 0x7000, ..segment() }), Err("outside the guest's RAM"));
        check(&bytes(&header(), &Elf64_Phdr { p_paddr: 600 * MIB, ..segment() }), Err("outside the guest's RAM"));
        check(&bytes(&header(), &Elf64_Phdr { p_memsz: 600 * MIB, ..segment() }), Err("outside the guest's RAM"));
        check(&bytes(&header(), &Elf64_Phdr { p_paddr: u64::MAX, ..segment() }), Err("outside the guest's RAM"));
    }
}
