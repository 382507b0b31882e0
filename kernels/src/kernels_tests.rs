//! Tests of the way from a spec to an entry, on files of this machine.

use super::*;
use crate::extract::{bzimage, testelf};
use std::cell::RefCell;

#[derive(Default)]
struct Heard(RefCell<Vec<String>>);

impl Progress for Heard {
    fn step(&self, what: &str) {
        self.0.borrow_mut().push(format!("step {what}"));
    }
    fn bytes(&self, _done: u64, _total: Option<u64>) {}
    fn warn(&self, what: &str) {
        self.0.borrow_mut().push(format!("warn {what}"));
    }
}

impl Heard {
    fn steps(&self) -> usize {
        self.0.borrow().iter().filter(|text| text.starts_with("step")).count()
    }
}

fn setup() -> (tempfile::TempDir, Kernels) {
    let dir = tempfile::tempdir().unwrap();
    let kernels = Kernels::new(Cache::at(dir.path().join("cache")));
    (dir, kernels)
}

fn resolve(kernels: &Kernels, path: &Path, heard: &Heard) -> Result<Kernel, Error> {
    kernels.resolve(&Spec::Path(path.to_owned()), heard)
}

#[test]
fn a_file_is_read_once() {
    let (dir, kernels) = setup();
    let file = dir.path().join("vmlinux");
    fs::write(&file, testelf::kernel()).unwrap();
    fs::write(dir.path().join(".config"), "CONFIG_NUMA=y\n").unwrap();
    let heard = Heard::default();
    let first = resolve(&kernels, &file, &heard).unwrap();
    assert!(first.id.starts_with("7.3.4-test-") && first.option("NUMA"), "{}", first.id);
    assert_eq!(resolve(&kernels, dir.path(), &heard).unwrap(), first, "the directory means the same files");
    assert_eq!(heard.steps(), 1);
    assert!(heard.0.borrow().iter().any(|text| text.starts_with("warn kernel 7.3.4-test: it has no BTF")));
}

#[test]
fn a_changed_file_is_another_kernel() {
    let (dir, kernels) = setup();
    let file = dir.path().join("vmlinux");
    fs::write(&file, testelf::kernel()).unwrap();
    let first = resolve(&kernels, &file, &Heard::default()).unwrap();
    fs::write(&file, testelf::build(&[(".rodata", b"Linux version 7.3.5-test (x)")])).unwrap();
    let second = resolve(&kernels, &file, &Heard::default()).unwrap();
    assert_eq!(second.meta.release, "7.3.5-test");
    assert_eq!(kernels.list().unwrap(), [first, second]);
}

#[test]
fn debug_information_is_left_out() {
    let (dir, kernels) = setup();
    let file = dir.path().join("vmlinux");
    let banner: (&str, &[u8]) = (".rodata", b"Linux version 7.3.5-test (x)");
    fs::write(&file, testelf::build(&[banner, (".debug_info", &[9; 5000])])).unwrap();
    let kernel = resolve(&kernels, &file, &Heard::default()).unwrap();
    assert!(fs::metadata(kernel.vmlinux()).unwrap().len() < 2000);
}

#[test]
fn a_compressed_image_is_unpacked() {
    let (dir, kernels) = setup();
    let file = dir.path().join("vmlinuz-7.3.4-test");
    fs::write(&file, bzimage::wrap(include_bytes!("../tests/data/kernel.zstd"))).unwrap();
    let kernel = resolve(&kernels, dir.path(), &Heard::default()).unwrap();
    assert_eq!(fs::read(kernel.vmlinux()).unwrap(), testelf::kernel());
}

#[test]
fn an_entry_of_the_cache_is_itself() {
    let (dir, kernels) = setup();
    let file = dir.path().join("vmlinux");
    fs::write(&file, testelf::kernel()).unwrap();
    let kernel = resolve(&kernels, &file, &Heard::default()).unwrap();
    for path in [kernel.dir.clone(), kernel.vmlinux()] {
        assert_eq!(resolve(&kernels, &path, &Heard::default()).unwrap(), kernel);
    }
}

#[test]
fn a_damaged_entry_is_made_anew() {
    let (dir, kernels) = setup();
    let file = dir.path().join("vmlinux");
    fs::write(&file, testelf::kernel()).unwrap();
    let kernel = resolve(&kernels, &file, &Heard::default()).unwrap();
    for damage in ["{", r#"{"version": 99}"#] {
        fs::write(kernel.dir.join("meta.json"), damage).unwrap();
        assert!(kernels.list().unwrap().is_empty());
        assert_eq!(resolve(&kernels, &file, &Heard::default()).unwrap(), kernel);
    }
}

#[test]
fn what_is_no_kernel_leaves_nothing() {
    let (dir, kernels) = setup();
    let file = dir.path().join("notes.txt");
    for (contents, expected) in [("text", "not a kernel"), ("", "not a kernel"), ("\x7fELF", "not a kernel")] {
        fs::write(&file, contents).unwrap();
        let error = resolve(&kernels, &file, &Heard::default()).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("notes.txt"), "{error}");
    }
    assert!(kernels.list().unwrap().is_empty());
    let error = resolve(&kernels, &dir.path().join("none"), &Heard::default()).unwrap_err().to_string();
    assert!(error.contains("found no kernel") && error.contains("none/vmlinux"), "{error}");
}

#[test]
fn source_is_sent_to_the_build() {
    let (_dir, kernels) = setup();
    let error = kernels.resolve(&"source:linux-source-6.12".parse().unwrap(), &()).unwrap_err().to_string();
    assert!(error.contains("kernel build source:linux-source-6.12"), "{error}");
}

#[test]
fn cleans_by_beginning_or_all() {
    let (dir, kernels) = setup();
    for release in ["7.1.1-a", "7.1.2-a", "7.2.1-a"] {
        let file = dir.path().join(release);
        fs::write(&file, testelf::build(&[(".rodata", format!("Linux version {release} (x)").as_bytes())])).unwrap();
        resolve(&kernels, &file, &Heard::default()).unwrap();
    }
    let error = kernels.clean(Clean::Id("7.1")).unwrap_err().to_string();
    assert!(error.contains("7.1.2-a"), "{error}");
    assert_eq!(kernels.clean(Clean::Id("7.1.2")).unwrap().len(), 1);
    assert_eq!(kernels.clean(Clean::All).unwrap().len(), 2);
    assert!(kernels.list().unwrap().is_empty());
    assert_eq!(fs::read_dir(kernels.answers_dir()).unwrap().count(), 0);
}

#[test]
fn ids_are_plain() {
    assert_eq!(id_part("7.3.4+deb13-cloud-amd64"), "7.3.4+deb13-cloud-amd64");
    assert_eq!(id_part("../a b/ü"), "_a_b__");
}
