//! Which kernel modules the lab loads, and in which order.

use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// What the lab needs of the kernel, as modules or built in: the host's files, a writable layer on them, the transport
/// of both and of the output, and KVM itself. Dependencies come by themselves.
pub(super) const WANTED: [&str; 6] = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "kvm_amd"];

/// The modules of one kernel, as its package has them.
#[derive(Debug, Default)]
pub(super) struct Modules {
    /// Packed content by module name.
    packed: BTreeMap<String, Packed>,
    built_in: BTreeSet<String>,
}

#[derive(Debug)]
struct Packed {
    xz: bool,
    bytes: Vec<u8>,
}

/// A module ready for insmod.
#[derive(Debug)]
pub(super) struct Module {
    /// Its name, with underscores.
    pub(super) name: String,
    /// The ELF object, without compression and signature.
    pub(super) object: Vec<u8>,
}

impl Modules {
    /// Takes a file of the package if it is a module; `path` says so.
    pub(super) fn offer(&mut self, path: &str, content: impl Read) -> std::io::Result<()> {
        let file = path.rsplit('/').next().unwrap_or(path);
        let (name, xz) = match (file.strip_suffix(".ko"), file.strip_suffix(".ko.xz")) {
            (Some(name), _) => (name, false),
            (_, Some(name)) => (name, true),
            _ if file == "modules.builtin" => return self.read_built_in(content),
            _ => return Ok(()),
        };
        let bytes = read(content)?;
        self.packed.insert(canonical(name), Packed { xz, bytes });
        Ok(())
    }

    fn read_built_in(&mut self, content: impl Read) -> std::io::Result<()> {
        let text = read(content)?;
        for line in String::from_utf8_lossy(&text).lines() {
            let file = line.rsplit('/').next().unwrap_or(line);
            self.built_in.insert(canonical(file.trim_end_matches(".ko")));
        }
        Ok(())
    }

    /// The wanted modules and all they depend on, dependencies first.
    ///
    /// # Errors
    /// When a module is neither there nor built in, or cannot be read.
    pub(super) fn closure(&self, wanted: &[&str]) -> Result<Vec<Module>> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for name in wanted {
            self.visit(&canonical(name), &mut seen, &mut order)?;
        }
        Ok(order)
    }

    fn visit(&self, name: &str, seen: &mut BTreeSet<String>, order: &mut Vec<Module>) -> Result<()> {
        if self.built_in.contains(name) || !seen.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(packed) = self.packed.get(name) else {
            bail!("the kernel package has no module {name}, and the kernel has it not built in; the lab needs it");
        };
        let object = packed.unpack().with_context(|| format!("cannot unpack the module {name}"))?;
        for dependency in dependencies(&object).with_context(|| format!("cannot tell what {name} depends on"))? {
            self.visit(&dependency, seen, order)?;
        }
        order.push(Module { name: name.to_owned(), object });
        Ok(())
    }
}

impl Packed {
    fn unpack(&self) -> Result<Vec<u8>> {
        let mut object =
            if self.xz { read(lzma_rust2::XzReader::new(self.bytes.as_slice(), true))? } else { self.bytes.clone() };
        drop_signature(&mut object);
        Ok(object)
    }
}

fn read(mut content: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    content.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `-` and `_` are one in module names (scripts/Makefile.lib, modname).
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

/// The `depends=` line of a module's `.modinfo` section.
fn dependencies(object: &[u8]) -> Result<Vec<String>> {
    let elf = goblin::elf::Elf::parse(object)?;
    let info = elf
        .section_headers
        .iter()
        .find(|header| elf.shdr_strtab.get_at(header.sh_name) == Some(".modinfo"))
        .and_then(|header| object.get(header.file_range()?))
        .context("it has no .modinfo section")?;
    Ok(depends(info))
}

fn depends(info: &[u8]) -> Vec<String> {
    let lines = info.split(|&byte| byte == 0);
    let list = lines.filter_map(|line| line.strip_prefix(b"depends=")).next().unwrap_or_default();
    let names = list.split(|&byte| byte == b',').filter(|name| !name.is_empty());
    names.map(|name| canonical(&String::from_utf8_lossy(name))).collect()
}

/// Cuts the appended signature off, as far as there is one (include/linux/module_signature.h). The kernel accepts
/// unsigned modules; checking signatures under emulation takes time and gains nothing.
fn drop_signature(object: &mut Vec<u8>) {
    const MARKER: &[u8] = b"~Module signature appended~\n";
    const DESCRIPTOR_BYTES: usize = 12;
    let Some(signed) = object.strip_suffix(MARKER) else { return };
    let Some((rest, descriptor)) = signed.split_last_chunk::<DESCRIPTOR_BYTES>() else { return };
    let [.., a, b, c, d] = *descriptor;
    let signature_bytes = u32::from_be_bytes([a, b, c, d]) as usize;
    if let Some(length) = rest.len().checked_sub(signature_bytes) {
        object.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_line_is_found_and_canonical() {
        assert_eq!(depends(b"license=GPL\0depends=kvm,ccp\0name=kvm_amd\0"), ["kvm", "ccp"]);
        assert_eq!(depends(b"depends=virtio-ring\0"), ["virtio_ring"]);
        assert!(depends(b"depends=\0").is_empty());
        assert!(depends(b"").is_empty());
    }

    #[test]
    fn signature_is_cut_off() {
        let mut object = b"ELFxxSIGN".to_vec();
        object.extend_from_slice(&[0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 4]);
        object.extend_from_slice(b"~Module signature appended~\n");
        drop_signature(&mut object);
        assert_eq!(object, b"ELFxx");
        drop_signature(&mut object);
        assert_eq!(object, b"ELFxx");
    }

    #[test]
    fn a_signature_longer_than_the_module_is_left() {
        let mut object = vec![0xff; 12];
        object.extend_from_slice(b"~Module signature appended~\n");
        let before = object.clone();
        drop_signature(&mut object);
        assert_eq!(object, before);
    }

    #[test]
    fn closure_has_dependencies_first_and_each_once() {
        let mut modules = Modules::default();
        modules.offer("lib/modules/V/modules.builtin", b"kernel/drivers/virtio/virtio_pci.ko\n".as_slice()).unwrap();
        for (name, depends) in [("kvm-amd", "kvm,ccp"), ("kvm", "irqbypass"), ("ccp", ""), ("irqbypass", "")] {
            modules.offer(&format!("k/{name}.ko"), object(depends).as_slice()).unwrap();
        }
        let order = modules.closure(&["virtio_pci", "kvm_amd", "kvm"]).unwrap();
        let names: Vec<_> = order.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["irqbypass", "kvm", "ccp", "kvm_amd"]);
    }

    #[test]
    fn a_missing_module_is_named() {
        let error = Modules::default().closure(&["kvm_amd"]).unwrap_err().to_string();
        assert!(error.contains("no module kvm_amd"), "{error}");
    }

    /// The smallest ELF with a `.modinfo` section: header, section names, the section, three section headers.
    fn object(depends: &str) -> Vec<u8> {
        let names = b"\0.modinfo\0.shstrtab\0";
        let info = format!("depends={depends}\0");
        let names_at = 64_u64;
        let info_at = names_at + names.len() as u64;
        let headers_at = (info_at + info.len() as u64).next_multiple_of(8);
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\x3e\0\x01\0\0\0".to_vec();
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(&headers_at.to_le_bytes());
        bytes.extend_from_slice(&[0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 64, 0, 3, 0, 2, 0]);
        bytes.extend_from_slice(names);
        bytes.extend_from_slice(info.as_bytes());
        bytes.resize(headers_at as usize, 0);
        for (name, kind, at, size) in
            [(0_u32, 0_u32, 0, 0), (1, 1, info_at, info.len() as u64), (10, 3, names_at, names.len() as u64)]
        {
            bytes.extend_from_slice(&name.to_le_bytes());
            bytes.extend_from_slice(&kind.to_le_bytes());
            for word in [0, 0, at, size, 0, 1, 0] {
                bytes.extend_from_slice(&u64::to_le_bytes(word));
            }
        }
        bytes
    }
}
