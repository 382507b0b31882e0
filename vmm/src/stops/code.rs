//! What of a kernel is code.

use super::Error;
use goblin::elf64::header::{ELFMAG, Header};
use goblin::elf64::section_header::{SHF_EXECINSTR, SHF_WRITE, SectionHeader};
use std::fs::File;
use std::path::Path;

/// Checks that an address is in a section of the kernel that holds code.
///
/// # Errors
/// [`Error::NoCode`], or [`Error::Kernel`] when the file does not tell.
pub(crate) fn check_is_code(address: u64, kernel: &Path) -> Result<(), Error> {
    let kernel_name = || kernel.display().to_string();
    match code_of(kernel) {
        Ok(sections) if sections.iter().any(|&(start, bytes)| address.wrapping_sub(start) < bytes) => Ok(()),
        Ok(_) => Err(Error::NoCode { address, kernel: kernel_name() }),
        Err(why) => Err(Error::Kernel { address, kernel: kernel_name(), why }),
    }
}

/// Address and size of each section that holds code. The linker marks the one of data as executable too.
fn code_of(kernel: &Path) -> Result<Vec<(u64, u64)>, String> {
    let mut file = File::open(kernel).map_err(|error| error.to_string())?;
    let header = Header::from_fd(&mut file).map_err(|error| error.to_string())?;
    if !header.e_ident.starts_with(ELFMAG) {
        return Err("it is no ELF file".to_owned());
    }
    let sections = SectionHeader::from_fd(&mut file, header.e_shoff, header.e_shnum.into());
    let sections = sections.map_err(|error| error.to_string())?;
    let kind = u64::from(SHF_EXECINSTR | SHF_WRITE);
    let code = sections.iter().filter(|section| section.sh_flags & kind == u64::from(SHF_EXECINSTR));
    Ok(code.map(|section| (section.sh_addr, section.sh_size)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER_BYTES: usize = 64;
    const SECTION_BYTES: usize = 64;

    /// A file with a section of code at 0x1000, 16 bytes long, and one of data behind it.
    fn elf() -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[40] = HEADER_BYTES as u8;
        bytes[58] = SECTION_BYTES as u8;
        bytes[60] = 2;
        for (flags, start) in [(u64::from(SHF_EXECINSTR), 0x1000_u64), (u64::from(SHF_EXECINSTR | SHF_WRITE), 0x1010)] {
            let mut section = [0; SECTION_BYTES];
            section[8..16].copy_from_slice(&flags.to_le_bytes());
            section[16..24].copy_from_slice(&start.to_le_bytes());
            section[32] = 16;
            bytes.extend(section);
        }
        bytes
    }

    fn check(bytes: &[u8], address: u64) -> Result<(), Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        check_is_code(address, file.path())
    }

    #[test]
    fn only_code_is_code() {
        assert!(check(&elf(), 0x1000).is_ok() && check(&elf(), 0x100f).is_ok());
        for address in [0, 0xfff, 0x1010, u64::MAX] {
            assert!(matches!(check(&elf(), address), Err(Error::NoCode { .. })), "{address:#x}");
        }
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        for bytes in [&[][..], b"\x7fELF", &elf()[..100], &[0; 200]] {
            assert!(matches!(check(bytes, 0x1000), Err(Error::Kernel { .. })));
        }
    }
}
