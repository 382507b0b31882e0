//! veristat as the distribution packages it, with the libraries that it was built for: the machine may have older ones.

use anyhow::{Context, Result, ensure};
use ktstr_cache::Cache;
use ktstr_kernels::{Kernels, Package, deb};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages, how the names of their files begin, and under which names the loader looks for these.
const FILES: [(&str, &str, &str); 9] = [
    ("veristat", "veristat", "veristat"),
    ("libbpf1", "libbpf.so.1.", "libbpf.so.1"),
    ("libelf1t64", "libelf-", "libelf.so.1"),
    ("zlib1g", "libz.so.1.", "libz.so.1"),
    ("libzstd1", "libzstd.so.1.", "libzstd.so.1"),
    ("libc6", "libc.so.6", "libc.so.6"),
    ("libc6", "ld-linux-x86-64.so.2", LOADER),
    ("libbpf-dev", "bpf_helpers.h", "bpf_helpers.h"),
    ("libbpf-dev", "bpf_helper_defs.h", "bpf_helper_defs.h"),
];

/// The kind of cache entry that it is.
const KIND: &str = "veristat";

const LOADER: &str = "ld-linux-x86-64.so.2";

/// Bits for owner, group and others: for programs and libraries.
const PROGRAM: u32 = 0o755;

/// A directory with all that it needs.
pub(crate) struct Veristat {
    pub(crate) dir: PathBuf,
}

impl Veristat {
    /// From the cache, or from the archive into it.
    pub(crate) fn fetch() -> Result<Self> {
        let cache = Cache::open_default()?;
        let kernels = Kernels::new(cache.clone());
        let newest = |name: &str| kernels.newest_package(name, |found| found == name, &());
        let mut packages = FILES.map(|(package, ..)| package).to_vec();
        packages.dedup();
        let packages = packages.into_iter().map(newest).collect::<Result<Vec<_>, _>>()?;
        let id: Vec<_> = packages.iter().map(|package| format!("{}_{}", package.name, package.version)).collect();
        let id = id.join("+").replace(|c: char| !c.is_ascii_alphanumeric() && !"-_+.".contains(c), "_");
        let dir = cache.get_or_make(KIND, &id, |dir| unpack(&kernels, &packages, dir))?;
        // What is not the newest any more is of no use; another process may have removed it.
        cache.list(KIND)?.iter().filter(|other| **other != id).for_each(|other| _ = cache.remove(KIND, other));
        Ok(Self { dir })
    }

    /// Its files, without the headers.
    pub(crate) fn files() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(_, _, name)| *name).filter(|name| !name.ends_with(".h"))
    }

    /// The words that start it, in a directory of this machine or of a guest.
    pub(crate) fn words(dir: &str) -> [String; 4] {
        [format!("{dir}/{LOADER}"), "--library-path".to_owned(), dir.to_owned(), format!("{dir}/veristat")]
    }

    /// `veristat -C`, as CSV.
    pub(crate) fn compare(&self, base: &Path, comp: &Path) -> Result<String> {
        let [loader, words @ ..] = Self::words(&self.dir.to_string_lossy());
        let output = Command::new(loader).args(words).args(["-o", "csv", "-C"]).args([base, comp]).output()?;
        ensure!(output.status.success(), "veristat -C: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn unpack(kernels: &Kernels, packages: &[Package], dir: &Path) -> Result<()> {
    for package in packages {
        let file = kernels.download(package, dir, &())?;
        let wanted = FILES.iter().filter(|(name, ..)| *name == package.name);
        let mut missing: Vec<_> = wanted.map(|(_, begin, name)| (*begin, dir.join(name))).collect();
        deb::files(&file, |path, _, content| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let is_there = ["bin", "lib", "x86_64-linux-gnu", "include/bpf"]
                .iter()
                .any(|dir| path.parent().is_some_and(|of| of.ends_with(dir)));
            if let Some(at) = missing.iter().position(|(begin, _)| is_there && name.starts_with(begin)) {
                std::io::copy(content, &mut fs::File::create(missing.remove(at).1)?)?;
            }
            Ok(!missing.is_empty())
        })?;
        ensure!(missing.is_empty(), "{} {} has no {missing:?}", package.name, package.version);
        fs::remove_file(&file)?;
    }
    // Headers are included as bpf/NAME.
    symlink(".", dir.join("bpf"))?;
    for (_, _, name) in FILES {
        let path = dir.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(PROGRAM)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
