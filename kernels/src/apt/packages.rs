//! Package records as `apt-cache show` prints them, and which of them hold a kernel's files.

use crate::version::{Version, compare_debian};
use std::cmp::Ordering;

/// One version of one package of the distribution's archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, as dpkg compares it.
    pub version: String,
    /// What it depends on: name, and the exact version where one is demanded. Alternatives are left out.
    pub(crate) depends: Vec<(String, Option<String>)>,
    pub(crate) sha256: String,
    pub(crate) size: u64,
}

impl Package {
    /// The upstream version of the kernel it belongs to.
    pub(crate) fn kernel_version(&self) -> Option<Version> {
        Version::leading(&self.version)
    }

    /// Dependencies on packages of a particular kernel that carry, or lead to, its files.
    fn kernel_depends(&self) -> impl Iterator<Item = &(String, Option<String>)> {
        self.depends.iter().filter(|(name, _)| kernel_release(name).is_some())
    }
}

/// The release that a kernel package is for: `linux-image-6.16.12+deb13-cloud-amd64` → `6.16.12+deb13-cloud-amd64`.
pub(crate) fn kernel_release(name: &str) -> Option<&str> {
    let rest = ["linux-image-unsigned-", "linux-image-", "linux-binary-unsigned-", "linux-binary-", "linux-base-"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))?;
    let debug = rest.ends_with("-dbg");
    let release = rest.strip_suffix("-unsigned").unwrap_or(rest);
    (!debug && release.starts_with(|c: char| c.is_ascii_digit())).then_some(release)
}

/// Whether a name is that of a bootable cloud kernel.
pub(crate) fn is_cloud_image(name: &str) -> bool {
    name.starts_with("linux-image-") && name.ends_with("-cloud-amd64") && kernel_release(name).is_some()
}

/// Orders packages by kernel version, then by package version.
pub(crate) fn by_version(a: &Package, b: &Package) -> Ordering {
    a.kernel_version().cmp(&b.kernel_version()).then_with(|| compare_debian(&a.version, &b.version))
}

/// Parses the records of `apt-cache show`.
pub(crate) fn parse(text: &str) -> Vec<Package> {
    let mut packages: Vec<Package> = Vec::new();
    for package in text.split("\n\n").filter_map(parse_record) {
        // A package that several suites serve is listed for each.
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    packages
}

fn parse_record(text: &str) -> Option<Package> {
    let field =
        |wanted: &str| text.lines().find_map(|line| line.strip_prefix(wanted)?.strip_prefix(':').map(str::trim));
    Some(Package {
        name: field("Package")?.to_owned(),
        version: field("Version")?.to_owned(),
        depends: field("Depends").unwrap_or_default().split(',').filter_map(parse_dependency).collect(),
        sha256: field("SHA256").unwrap_or_default().to_owned(),
        size: field("Size").and_then(|size| size.parse().ok()).unwrap_or(0),
    })
}

fn parse_dependency(text: &str) -> Option<(String, Option<String>)> {
    if text.contains('|') {
        return None;
    }
    let (name, constraint) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let exact = constraint.trim().strip_prefix("(=").and_then(|rest| rest.strip_suffix(')'));
    (!name.is_empty()).then(|| (name.to_owned(), exact.map(|version| version.trim().to_owned())))
}

/// Finds the packages that hold the files of `package`'s kernel. `lookup` gives the records of a name.
///
/// A package that depends on an image or binary package of a particular kernel only points to it; one that does not
/// holds the kernel, and what it needs of `linux-base-VERSION` holds the rest.
pub(crate) fn carriers<E>(
    package: &Package,
    lookup: &mut dyn FnMut(&str) -> Result<Vec<Package>, E>,
) -> Result<Vec<Package>, E> {
    // linux-image-cloud-amd64 → linux-image-V → linux-binary-V, and a margin; a cycle ends here too.
    const DEPTH: usize = 4;
    let mut image = package.clone();
    for _ in 0..DEPTH {
        let points = image.kernel_depends().find(|(name, _)| !name.starts_with("linux-base-")).cloned();
        let Some(next) = points.map(|wanted| find(&wanted, lookup)).transpose()?.flatten() else { break };
        image = next;
    }
    let bases: Vec<_> = image.kernel_depends().filter(|(name, _)| name.starts_with("linux-base-")).cloned().collect();
    let mut packages = vec![image];
    for base in bases {
        packages.extend(find(&base, lookup)?);
    }
    Ok(packages)
}

fn find<E>(
    (name, version): &(String, Option<String>),
    lookup: &mut dyn FnMut(&str) -> Result<Vec<Package>, E>,
) -> Result<Option<Package>, E> {
    let mut found = lookup(name)?;
    found.retain(|package| version.as_ref().is_none_or(|version| package.version == *version));
    found.sort_by(by_version);
    Ok(found.pop())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const RECORDS: &str = "\
Package: linux-image-cloud-amd64
Version: 7.3.4-1~bpo13+1
Depends: linux-base-cloud-amd64 (= 7.3.4-1~bpo13+1), linux-image-7.3.4+deb13-cloud-amd64 (= 7.3.4-1~bpo13+1)
Size: 1524
SHA256: aa

Package: linux-image-7.3.4+deb13-cloud-amd64
Version: 7.3.4-1~bpo13+1
Depends: dracut | linux-initramfs-tool, linux-base-7.3.4+deb13-cloud-amd64 (= 7.3.4-1~bpo13+1), linux-binary-7.3.4+deb13-cloud-amd64 (= 7.3.4-1~bpo13+1), linux-modules-7.3.4+deb13-cloud-amd64 (= 7.3.4-1~bpo13+1)
Size: 1928
SHA256: bb

Package: linux-binary-7.3.4+deb13-cloud-amd64
Version: 7.3.4-1~bpo13+1
Depends: linux-base-7.3.4+deb13-cloud-amd64 (= 7.3.4-1~bpo13+1)
Size: 13604064
SHA256: cc

Package: linux-base-7.3.4+deb13-cloud-amd64
Version: 7.3.4-1~bpo13+1
Size: 1025208
SHA256: dd

Package: linux-base-7.3.4+deb13-cloud-amd64
Version: 7.3.4-1
Size: 1025209
SHA256: ee

Package: linux-image-6.16.12+deb13-cloud-amd64
Version: 6.16.12-1~bpo13+1
Depends: kmod, initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool
Description: Linux 6.16 for x86-64
 Depends: not a field
Size: 51000000
SHA256: ff
";

    fn carried(name: &str) -> Vec<String> {
        let all = parse(RECORDS);
        let mut lookup =
            |name: &str| Ok::<_, Infallible>(all.iter().filter(|package| package.name == name).cloned().collect());
        let package = all.iter().find(|package| package.name == name).unwrap();
        let found = carriers(package, &mut lookup).unwrap();
        found.iter().map(|package| format!("{} {}", package.name, package.sha256)).collect()
    }

    #[test]
    fn follows_metapackages_to_the_files() {
        let split = ["linux-binary-7.3.4+deb13-cloud-amd64 cc", "linux-base-7.3.4+deb13-cloud-amd64 dd"];
        assert_eq!(carried("linux-image-cloud-amd64"), split);
        assert_eq!(carried("linux-image-7.3.4+deb13-cloud-amd64"), split);
        assert_eq!(carried("linux-binary-7.3.4+deb13-cloud-amd64"), split);
        assert_eq!(carried("linux-image-6.16.12+deb13-cloud-amd64"), ["linux-image-6.16.12+deb13-cloud-amd64 ff"]);
    }

    #[test]
    fn a_cycle_ends() {
        let text = "Package: linux-image-1-a\nVersion: 1\nDepends: linux-image-1-a\n";
        let all = parse(text);
        let found = carriers(&all[0], &mut |_| Ok::<_, Infallible>(all.clone())).unwrap();
        assert_eq!(found, all);
    }

    #[test]
    fn knows_kernel_packages_by_name() {
        let check = |name: &str, release: Option<&str>| assert_eq!(kernel_release(name), release, "{name}");
        check("linux-image-6.12.95+deb12-cloud-amd64-unsigned", Some("6.12.95+deb12-cloud-amd64"));
        check("linux-binary-unsigned-7.2.13+deb14-amd64", Some("7.2.13+deb14-amd64"));
        check("linux-base-7.2.13+deb14-amd64", Some("7.2.13+deb14-amd64"));
        check("linux-image-6.1.0-37-amd64-dbg", None);
        check("linux-base", None);
        check("linux-image-cloud-amd64", None);
        assert!(is_cloud_image("linux-image-7.3.4+deb13-cloud-amd64"));
        assert!(!is_cloud_image("linux-image-7.3.4+deb13-amd64"));
        assert!(!is_cloud_image("linux-image-7.3.4+deb13-cloud-amd64-unsigned"));
    }

    #[test]
    fn one_record_in_two_suites_is_one_package() {
        let twice = format!("{RECORDS}\n{RECORDS}");
        assert_eq!(parse(&twice), parse(RECORDS));
        assert_eq!(parse("noise\n\nPackage: a\n"), []);
    }
}
