//! Filling a cache entry: the kernel without DWARF, its configuration, and what is known of both.

use crate::btf;
use crate::error::{Error, write_context};
use crate::extract::{self, elf, source::Bytes};
use crate::hash;
use crate::kallsyms;
use crate::kconfig::Kconfig;
use crate::kernel::{META_VERSION, Meta, Origin, SYMBOLS_FILE};
use crate::symbols;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Options that tests and the monitor ask for; recorded, so that a warm start need not read the configuration.
const FEATURES: [&str; 22] = [
    "SCHED_CLASS_EXT",
    "DEBUG_INFO_BTF",
    "BPF_SYSCALL",
    "BPF_JIT",
    "KPROBES",
    "FTRACE",
    "CGROUPS",
    "CPUSETS",
    "FAIR_GROUP_SCHED",
    "CFS_BANDWIDTH",
    "NUMA",
    "PVH",
    "ACPI",
    "SERIAL_8250_CONSOLE",
    "DEVMEM",
    "TMPFS",
    "SCHEDSTATS",
    "PSI",
    "BLK_DEV_INITRD",
    "DEVTMPFS",
    "KALLSYMS",
    "BINFMT_ELF",
];

/// What the maker of an entry knows beforehand.
pub(crate) struct Known<'a> {
    pub(crate) spec: &'a str,
    /// The image in words, for messages.
    pub(crate) what: &'a str,
    pub(crate) origin: Origin,
    pub(crate) source_hash: String,
    pub(crate) tools: BTreeMap<String, String>,
}

/// Puts a kernel into the entry's directory. `image` is a vmlinux or bzImage; without `config`, an embedded one is
/// looked for.
pub(crate) fn install(dir: &Path, image: &dyn Bytes, config: Option<String>, known: Known<'_>) -> Result<(), Error> {
    let image_error = |source: extract::Error| Error::Image { what: known.what.to_owned(), source };
    let unpacked = extract::unpack(image).map_err(image_error)?;
    let bytes = unpacked.as_ref().map_or(image, |vmlinux| vmlinux);
    let parsed = elf::Elf::parse(bytes).map_err(|source| image_error(source.into()))?;
    let report = btf::examine(&parsed).map_err(|source| Error::Btf { what: known.what.to_owned(), source })?;
    let of_elf = |result: Result<Option<String>, elf::Error>| result.map_err(|source| image_error(source.into()));
    let release = of_elf(extract::release(&parsed))?.unwrap_or_else(|| "unknown".to_owned());
    let config = config.map_or_else(|| of_elf(extract::embedded_config(&parsed)), |text| Ok(Some(text)))?;

    write_vmlinux(&parsed, &dir.join("vmlinux"), known.what)?;
    if let Some(text) = &config {
        let path = dir.join("config");
        write_context(fs::write(&path, text), "write", &path)?;
    }
    let mut warnings: Vec<String> = report.health.complaint().into_iter().collect();
    let symbols = match kallsyms::read(&parsed) {
        Ok(found) => found,
        Err(error) => {
            warnings.push(error.to_string());
            None
        }
    };
    if let Some(table) = &symbols {
        symbols::write(table, &dir.join(SYMBOLS_FILE))?;
    }
    if config.is_none() {
        warnings.push("its configuration is unknown".to_owned());
    }
    let meta = Meta {
        version: META_VERSION,
        spec: known.spec.to_owned(),
        release,
        origin: known.origin,
        source_hash: known.source_hash,
        config_hash: config.as_ref().map(|text| hash::of_bytes(text.as_bytes())),
        tools: known.tools,
        features: features(config.as_deref(), &report),
        btf: report.health,
        symbols: symbols.map(|table| table.len()),
        warnings,
    };
    meta.write(dir)
}

fn features(config: Option<&str>, report: &btf::Report) -> BTreeMap<String, bool> {
    match config.map(Kconfig::parse) {
        Some(config) => FEATURES.iter().map(|name| ((*name).to_owned(), config.enabled(name))).collect(),
        // The types tell these two even without a configuration, where there are types.
        None if report.health == btf::BtfHealth::Missing => [("DEBUG_INFO_BTF".to_owned(), false)].into(),
        None => [("DEBUG_INFO_BTF".to_owned(), true), ("SCHED_CLASS_EXT".to_owned(), report.has_sched_ext)].into(),
    }
}

fn write_vmlinux(parsed: &elf::Elf<'_>, path: &Path, what: &str) -> Result<(), Error> {
    let mut out = BufWriter::new(write_context(File::create(path), "create", path)?);
    match parsed.write_without_debug(&mut out) {
        Ok(_) => write_context(out.flush(), "write", path),
        Err(elf::Error::Io(source)) => Err(Error::Write { doing: "write", path: path.to_owned(), source }),
        Err(other) => Err(Error::Image { what: what.to_owned(), source: other.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::testelf;
    use crate::kernel::Kernel;

    fn known() -> Known<'static> {
        Known {
            spec: "path:x",
            what: "x",
            origin: Origin::Path("x".into()),
            source_hash: "00".into(),
            tools: BTreeMap::new(),
        }
    }

    fn installed(image: Vec<u8>, config: Option<&str>) -> Result<(tempfile::TempDir, Kernel), Error> {
        let dir = tempfile::tempdir().unwrap();
        install(dir.path(), &image, config.map(str::to_owned), known())?;
        let kernel = Kernel::load("x", dir.path()).unwrap().unwrap();
        Ok((dir, kernel))
    }

    #[test]
    fn an_entry_has_kernel_config_and_description() {
        let (_dir, kernel) = installed(testelf::kernel(), Some("CONFIG_NUMA=y\n")).unwrap();
        assert_eq!(kernel.meta.release, "7.3.4-test");
        assert!(kernel.option("NUMA") && !kernel.option("PVH"));
        assert_eq!(fs::read(kernel.vmlinux()).unwrap(), testelf::kernel());
        assert!(kernel.meta.warnings[0].contains("no BTF"));
        assert!(!kernel.meta.is_sound());
    }

    #[test]
    fn an_unknown_config_is_a_warning() {
        let (_dir, kernel) = installed(testelf::kernel(), None).unwrap();
        assert_eq!(kernel.meta.config_hash, None);
        assert!(!kernel.config().exists());
        assert!(kernel.meta.warnings.iter().any(|warning| warning.contains("configuration is unknown")));
    }

    #[test]
    fn a_full_disk_is_told_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        // Every write to it fails with ENOSPC; see full(4).
        std::os::unix::fs::symlink("/dev/full", dir.path().join("vmlinux")).unwrap();
        let error = install(dir.path(), &testelf::kernel(), None, known()).unwrap_err();
        assert!(error.to_string().contains("the disk is full; free some space or point KTSTR_CACHE_DIR"), "{error}");
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("No space left on device"));
    }

    #[test]
    fn what_is_no_kernel_is_named() {
        let error = installed(b"hello".to_vec(), None).err().unwrap();
        assert!(error.to_string().contains("x is not a kernel"), "{error}");
    }
}
