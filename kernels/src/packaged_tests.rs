//! Tests of what is decided about packages without asking the archive.

use super::*;
use crate::kernel::tests::meta;
use ktstr_cache::Cache;

fn setup(releases: &[(&str, bool)]) -> (tempfile::TempDir, Kernels) {
    let dir = tempfile::tempdir().unwrap();
    let kernels = Kernels::new(Cache::at(dir.path()));
    for (release, sound) in releases {
        let mut meta = meta(release);
        meta.features.insert("SCHED_CLASS_EXT".into(), *sound);
        kernels.entry(release, |dir| meta.write(dir)).unwrap();
    }
    (dir, kernels)
}

fn offline(kernels: &Kernels, spec: &str) -> Option<String> {
    let spec: Spec = spec.parse().unwrap();
    kernels.cached_instead(&spec, &spec.to_string()).unwrap().map(|kernel| kernel.id)
}

const CACHED: [(&str, bool); 4] =
    [("7.2.9-cloud-amd64", true), ("7.2.13-cloud-amd64", true), ("7.3.4-cloud-amd64", false), ("7.4.1-amd64", true)];

#[test]
fn without_the_archive_the_newest_that_fits_is_taken() {
    let (_dir, kernels) = setup(&CACHED);
    assert_eq!(offline(&kernels, "latest").unwrap(), "7.2.13-cloud-amd64");
    assert_eq!(offline(&kernels, "7.2").unwrap(), "7.2.13-cloud-amd64");
    assert_eq!(offline(&kernels, "7.3").unwrap(), "7.3.4-cloud-amd64");
    assert_eq!(offline(&kernels, "6.16"), None);
    assert_eq!(offline(&kernels, "deb:linux-image-amd64"), None);
}

#[test]
fn an_old_answer_goes_before_a_guess() {
    let (_dir, kernels) = setup(&CACHED);
    let kernel = kernels.get("7.2.9-cloud-amd64").unwrap().unwrap();
    kernels.remember("latest", &kernel, Vec::new()).unwrap();
    assert_eq!(offline(&kernels, "latest").unwrap(), kernel.id);
}

#[test]
fn a_fresh_answer_or_an_exact_version_asks_nobody() {
    let (_dir, kernels) = setup(&CACHED);
    let exact = kernels.resolve(&"7.2.9".parse().unwrap(), &()).unwrap();
    assert_eq!(exact.id, "7.2.9-cloud-amd64");
    kernels.remember("latest", &exact, Vec::new()).unwrap();
    assert_eq!(kernels.resolve(&Spec::Latest, &()).unwrap(), exact);
    assert!(!kernels.cache.root().join("apt").exists());
}

#[test]
fn near_versions_are_named() {
    let image = |version: &str| Package {
        name: format!("linux-image-{version}-cloud-amd64"),
        version: format!("{version}-1"),
        depends: Vec::new(),
        sha256: String::new(),
        size: 0,
    };
    let images: Vec<Package> = ["6.12.9", "7.1.3", "7.1.3", "7.2.6", "7.2.9", "7.2.13", "7.3.4"].map(image).to_vec();
    let message = no_such_version(&"7.2.10".parse().unwrap(), &images).to_string();
    assert!(message.contains("no kernel for \"7.2.10\""), "{message}");
    assert!(message.ends_with("the nearest are 7.2.9, 7.2.13, 7.2.6, 7.3.4, 7.1.3"), "{message}");
}

#[test]
fn kernel_files_are_known_by_their_place() {
    for path in ["./boot/vmlinuz-6.16", "./usr/lib/modules/7.3/vmlinuz", "lib/modules/7.3/vmlinuz"] {
        assert!(is_image(Path::new(path)), "{path}");
    }
    assert!(is_config(Path::new("./usr/lib/modules/7.3/config")) && is_config(Path::new("./boot/config-6.16")));
    for path in ["./usr/share/bug/config", "./boot/grub/config-x/y", "vmlinuz", "./usr/share/vmlinuz-1"] {
        assert!(!is_image(Path::new(path)) && !is_config(Path::new(path)), "{path}");
    }
}

#[test]
fn the_configuration_may_be_in_the_package_beside() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("linux-base-7.3.4-cloud-amd64_7.3.4-1_amd64.deb");
    fs::write(&base, "").unwrap();
    let binary = dir.path().join("linux-binary-7.3.4-cloud-amd64_7.3.4-1_amd64.deb");
    assert_eq!(base_beside(&binary, "7.3.4-cloud-amd64", "7.3.4-1"), Some(base));
    assert_eq!(base_beside(&binary, "7.3.4-cloud-amd64", "7.3.4-2"), None);
}
