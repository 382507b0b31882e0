//! A kernel in the cache, and what is known of it.

use crate::btf::BtfHealth;
use crate::error::{Error, io_context, write_context};
use crate::extract::elf;
use crate::kconfig::Kconfig;
use crate::symbols::Symbols;
use crate::version::Version;
use serde::{Deserialize, Serialize};
use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The version of `meta.json`; entries of another one are made anew.
pub(crate) const META_VERSION: u32 = 2;
const META_FILE: &str = "meta.json";
pub(crate) const SYMBOLS_FILE: &str = "symbols";

/// Where a kernel came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The distribution's packages: name and version of each that was unpacked.
    Packages(Vec<(String, String)>),
    /// A file or directory of this machine.
    Path(PathBuf),
    /// Built here from this source.
    Built(String),
}

/// What is known of a cached kernel; `meta.json` in its directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The format of this description.
    pub version: u32,
    /// The spec that brought the kernel into the cache.
    pub spec: String,
    /// `uname -r`.
    pub release: String,
    /// Where it came from.
    pub origin: Origin,
    /// SHA-256 of what it was made from: packages, the image file, or source and fragment.
    pub source_hash: String,
    /// SHA-256 of the configuration; `None` when that is unknown.
    pub config_hash: Option<String>,
    /// Versions of the tools that built it here, by name; empty for a prebuilt kernel.
    pub tools: BTreeMap<String, String>,
    /// Whether BPF programs can use it.
    pub btf: BtfHealth,
    /// Options that tests ask for, without `CONFIG_`, and whether they are built in; absent when unknown.
    pub features: BTreeMap<String, bool>,
    /// How many symbols the file `symbols` has; `None` when the kernel's symbol table is missing or cannot be read.
    pub symbols: Option<usize>,
    /// What a user should know before relying on it.
    pub warnings: Vec<String>,
}

impl Meta {
    /// The version that the release starts with.
    pub fn kernel_version(&self) -> Option<Version> {
        Version::leading(&self.release)
    }

    /// Whether `latest` may mean this kernel: sched_ext and sound BTF.
    pub fn is_sound(&self) -> bool {
        self.btf.is_sound() && self.features.get("SCHED_CLASS_EXT") == Some(&true)
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<(), Error> {
        let path = dir.join(META_FILE);
        let text = serde_json::to_vec_pretty(self).map_err(|source| Error::Meta { path: path.clone(), source })?;
        write_context(fs::write(&path, text), "write", &path)
    }
}

/// A kernel in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Readable and derived from the contents: `7.3.4+deb13-cloud-amd64-1f0c92ab`.
    pub id: String,
    /// The cache entry.
    pub dir: PathBuf,
    /// What is known of it.
    pub meta: Meta,
}

impl Kernel {
    /// Reads the entry `id` at `dir`; `None` when its description is of another format.
    pub(crate) fn load(id: &str, dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join(META_FILE);
        let text = io_context(fs::read(&path), "read", &path)?;
        let damaged = |source| Error::Meta { path: path.clone(), source };
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
        if value["version"] != META_VERSION {
            return Ok(None);
        }
        let meta = serde_json::from_value(value).map_err(damaged)?;
        Ok(Some(Self { id: id.to_owned(), dir: dir.to_owned(), meta }))
    }

    /// The ELF kernel without DWARF.
    pub fn vmlinux(&self) -> PathBuf {
        self.dir.join("vmlinux")
    }

    /// The configuration; the file is absent when that is unknown (`meta.config_hash` is `None`).
    pub fn config(&self) -> PathBuf {
        self.dir.join("config")
    }

    /// The kernel's types: its `.BTF` section (Documentation/bpf/btf.rst); `None` when it has none.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Image`] when the file is damaged.
    pub fn btf(&self) -> Result<Option<Vec<u8>>, Error> {
        let path = self.vmlinux();
        let file = io_context(fs::File::open(&path), "open", &path)?;
        let section = elf::Elf::parse(&file).and_then(|parsed| parsed.section(".BTF"));
        section.map_err(|source| Error::Image { what: path.display().to_string(), source: source.into() })
    }

    /// The kernel's symbols.
    ///
    /// # Errors
    /// [`Error::NoSymbols`] when the kernel has none that can be read; [`Error::Io`].
    pub fn symbols(&self) -> Result<Symbols, Error> {
        match self.meta.symbols {
            Some(_) => Symbols::read(&self.dir.join(SYMBOLS_FILE)),
            None => Err(Error::NoSymbols { release: self.meta.release.clone() }),
        }
    }

    /// The value of a numeric option, named with or without `CONFIG_`; `None` when it has none or that cannot be told.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.meta.config_hash.as_ref()?;
        Kconfig::parse(&fs::read_to_string(self.config()).ok()?).value(name)?.parse().ok()
    }

    /// Whether an option is built in, named with or without `CONFIG_`; false when that cannot be told.
    pub fn option(&self, name: &str) -> bool {
        self.known_options(&[name])[..] == [Some(true)]
    }

    /// The value of an option, named with or without `CONFIG_`, as the configuration has it; `None` when it is not set or
    /// that cannot be told.
    pub fn option_value(&self, name: &str) -> Option<String> {
        self.read_config()?.value(name).map(str::to_owned)
    }

    /// The configuration, if there is one.
    fn read_config(&self) -> Option<Kconfig> {
        self.meta.config_hash.as_ref()?;
        Some(Kconfig::parse(&fs::read_to_string(self.config()).ok()?))
    }

    /// Whether each option is built in; the configuration is read once, and only where `meta` does not tell.
    fn known_options(&self, names: &[&str]) -> Vec<Option<bool>> {
        let config = LazyCell::new(|| self.read_config());
        let known = |name: &&str| {
            let name = plain(name);
            let told = self.meta.features.get(name).copied();
            told.or_else(|| config.as_ref().map(|config| config.enabled(name)))
        };
        names.iter().map(known).collect()
    }

    /// Checks that options are built in, named with or without `CONFIG_`.
    ///
    /// # Errors
    /// [`Error::Lacks`] names all that are not; [`Error::ConfigUnknown`] those that cannot be told.
    pub fn require(&self, option_names: &[&str]) -> Result<(), Error> {
        let release = self.meta.release.clone();
        let known = self.known_options(option_names);
        let those = |wanted: Option<bool>| -> Vec<String> {
            let pairs = option_names.iter().zip(&known).filter(|(_, known)| **known == wanted);
            pairs.map(|(name, _)| plain(name).to_owned()).collect()
        };
        match (those(Some(false)), those(None)) {
            (lost, _) if !lost.is_empty() => Err(Error::Lacks { release, options: lost }),
            (_, unknown) if !unknown.is_empty() => Err(Error::ConfigUnknown { release, options: unknown }),
            _ => Ok(()),
        }
    }
}

/// An option's name without `CONFIG_`.
fn plain(name: &str) -> &str {
    name.strip_prefix("CONFIG_").unwrap_or(name)
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
pub(crate) mod tests;
