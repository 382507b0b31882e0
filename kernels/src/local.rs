//! Kernels that are on this machine already: `host` and `path:`.

use std::fs;
use std::path::{Path, PathBuf};

/// The files of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// vmlinux or bzImage.
    pub(crate) image: PathBuf,
    /// The configuration, where it is beside the image.
    pub(crate) config: Option<PathBuf>,
}

/// Looks for the kernel at a path: a file, a build tree, or a directory with `vmlinuz-*` or `vmlinux`. In vain: what was
/// looked for.
pub(crate) fn at_path(path: &Path) -> Result<Found, Vec<String>> {
    if path.is_file() {
        let config = config_beside(path);
        return Ok(Found { image: path.to_owned(), config });
    }
    // A build tree's vmlinux is preferred to its bzImage: the same kernel, with nothing to decompress.
    let fixed = [path.join("vmlinux"), path.join("arch/x86/boot/bzImage"), path.join("vmlinuz"), path.join("bzImage")];
    let image = fixed.iter().find(|image| image.is_file()).cloned().or_else(|| newest_vmlinuz(path));
    let looked =
        || fixed.iter().map(|image| image.display().to_string()).chain([format!("{}/vmlinuz-*", path.display())]);
    let image = image.ok_or_else(|| looked().collect::<Vec<_>>())?;
    let config = config_in(path, &image).or_else(|| config_beside(&image));
    Ok(Found { image, config })
}

/// Looks for the running kernel, below `root` (which is `/`).
pub(crate) fn of_host(root: &Path, release: &str) -> Result<Found, Vec<String>> {
    let boot = root.join("boot");
    let modules = root.join("lib/modules").join(release);
    let images = [boot.join(format!("vmlinuz-{release}")), modules.join("vmlinuz")];
    let configs = [boot.join(format!("config-{release}")), modules.join("config")];
    match images.iter().find(|image| image.is_file()) {
        Some(image) => {
            Ok(Found { image: image.clone(), config: configs.iter().find(|config| config.is_file()).cloned() })
        }
        None => Err(images.iter().map(|image| image.display().to_string()).collect()),
    }
}

/// The release of the running kernel. Source: uname(2), by way of proc(5).
pub(crate) fn host_release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

fn newest_vmlinuz(dir: &Path) -> Option<PathBuf> {
    let names = fs::read_dir(dir).ok()?.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok());
    let releases = names.filter_map(|name| name.strip_prefix("vmlinuz-").map(str::to_owned));
    let newest = releases.max_by(|a, b| crate::version::compare_debian(a, b))?;
    Some(dir.join(format!("vmlinuz-{newest}")))
}

fn config_in(dir: &Path, image: &Path) -> Option<PathBuf> {
    let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let of_release = name.strip_prefix("vmlinuz-").map(|release| dir.join(format!("config-{release}")));
    of_release.into_iter().chain([dir.join(".config"), dir.join("config")]).find(|path| path.is_file())
}

/// The configuration that belongs to a single file: `config-X` for `vmlinuz-X`, else `.config` or `config`; for a
/// bzImage in a build tree, the tree's.
fn config_beside(image: &Path) -> Option<PathBuf> {
    let dir = image.parent()?;
    let in_tree = || dir.ends_with("arch/x86/boot").then(|| dir.ancestors().nth(3)).flatten();
    config_in(dir, image).or_else(|| in_tree().map(|tree| tree.join(".config")).filter(|path| path.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    fn check(files: &[&str], at: &str, image: &str, config: Option<&str>) {
        let dir = tree(files);
        let found = at_path(&dir.path().join(at)).unwrap();
        assert_eq!(found.image, dir.path().join(image));
        assert_eq!(found.config, config.map(|config| dir.path().join(config)));
    }

    #[test]
    fn finds_what_a_path_means() {
        check(&["vmlinux", ".config", "arch/x86/boot/bzImage"], ".", "vmlinux", Some(".config"));
        check(&[".config", "arch/x86/boot/bzImage"], "", "arch/x86/boot/bzImage", Some(".config"));
        check(&[".config", "arch/x86/boot/bzImage"], "arch/x86/boot/bzImage", "arch/x86/boot/bzImage", Some(".config"));
        check(
            &["vmlinuz-6.9.1", "vmlinuz-6.12.1", "config-6.9.1", "config-6.12.1"],
            "",
            "vmlinuz-6.12.1",
            Some("config-6.12.1"),
        );
        check(&["vmlinuz-6.9.1", "config-6.9.1"], "vmlinuz-6.9.1", "vmlinuz-6.9.1", Some("config-6.9.1"));
        check(&["vmlinux", "config"], "vmlinux", "vmlinux", Some("config"));
        check(&["kernel"], "kernel", "kernel", None);
    }

    #[test]
    fn says_what_it_looked_for() {
        let dir = tree(&["README"]);
        let looked = at_path(dir.path()).unwrap_err().join(" ");
        assert!(looked.contains("/vmlinux ") && looked.contains("vmlinuz-*"), "{looked}");
        let looked = of_host(dir.path(), "6.1-x").unwrap_err().join(" ");
        assert!(looked.contains("boot/vmlinuz-6.1-x") && looked.contains("lib/modules/6.1-x/vmlinuz"), "{looked}");
    }

    #[test]
    fn finds_the_hosts_kernel_in_either_place() {
        let dir = tree(&["lib/modules/6.1-x/vmlinuz", "lib/modules/6.1-x/config"]);
        assert_eq!(of_host(dir.path(), "6.1-x").unwrap().config, Some(dir.path().join("lib/modules/6.1-x/config")));
        let dir = tree(&["boot/vmlinuz-6.1-x", "boot/config-6.1-x"]);
        assert_eq!(of_host(dir.path(), "6.1-x").unwrap().image, dir.path().join("boot/vmlinuz-6.1-x"));
        assert!(!host_release().is_empty());
    }
}
