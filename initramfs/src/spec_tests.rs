//! Images: what is in them, when they are the same, and what goes wrong.

use super::*;
use crate::testelf::TestElf;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::time::{Duration, SystemTime};

struct Bench {
    dir: tempfile::TempDir,
    cache: Cache,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("cache"));
        Self { dir, cache }
    }

    /// Writes an input, old enough to be recorded.
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("in").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        self.settle(&path);
        path
    }

    fn settle(&self, path: &Path) {
        let file = fs::File::open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    }

    fn spec(&self) -> ImageSpec {
        ImageSpec::new().sysroot(Sysroot::at(self.dir.path().join("in")))
    }

    fn error(&self, spec: &ImageSpec) -> String {
        let text = spec.build(&self.cache).unwrap_err().to_string();
        assert!(self.cache.list(IMAGES).unwrap().is_empty(), "an image is left behind");
        text
    }

    fn recipes(&self) -> usize {
        self.cache.list(recipe::RECIPES).unwrap().len()
    }
}

/// Mode and contents by name.
fn contents(image: &Image) -> BTreeMap<String, (u32, String)> {
    let bytes = fs::read(&image.path).unwrap();
    assert_eq!(bytes.len() as u64, image.len_bytes);
    assert_eq!(blake3::hash(&bytes).to_hex().as_str(), image.id);
    let mut rest = bytes.as_slice();
    let mut found = BTreeMap::new();
    loop {
        let mut reader = cpio::newc::Reader::new(rest).unwrap();
        if reader.entry().is_trailer() {
            return found;
        }
        let mut data = Vec::new();
        reader.read_to_end(&mut data).unwrap();
        let text = String::from_utf8_lossy(&data).into_owned();
        found.insert(reader.entry().name().to_owned(), (reader.entry().mode(), text));
        rest = reader.finish().unwrap();
    }
}

#[test]
fn holds_what_was_asked_for() {
    let bench = Bench::new();
    let host = bench.write("f", b"file");
    let image = bench
        .spec()
        .file(&host, "/etc/f", 0o600)
        .bytes("/init", 0o755, b"init".to_vec())
        .dir("/proc")
        .symlink("/bin/sh", "busybox")
        .node("/dev/console", 0o600, 5, 1)
        .build(&bench.cache)
        .unwrap();
    let found = contents(&image);
    let expected = [
        ("bin", (0o40755, "")),
        ("bin/sh", (0o120777, "busybox")),
        ("dev", (0o40755, "")),
        ("dev/console", (0o20600, "")),
        ("etc", (0o40755, "")),
        ("etc/f", (0o100600, "file")),
        ("init", (0o100755, "init")),
        ("proc", (0o40755, "")),
    ];
    let expected = expected.map(|(name, (mode, text))| (name.to_owned(), (mode, text.to_owned())));
    assert_eq!(found, BTreeMap::from(expected));
}

#[test]
fn a_program_comes_with_libraries_that_its_loader_finds() {
    let bench = Bench::new();
    let program = bench.write("prog", &TestElf::new().needed("liba.so").debug(4000).bytes());
    bench.write("opt/liba.so", &TestElf::new().needed("libown.so").runpath("$ORIGIN/own").bytes());
    bench.write("opt/own/libown.so", &TestElf::new().bytes());
    let sysroot = Sysroot::at(bench.dir.path().join("in")).library_path([PathBuf::from("/opt")]);
    let image = bench.spec().sysroot(sysroot).program(&program, "/bin/prog").build(&bench.cache).unwrap();
    let found = contents(&image);
    assert!(found["bin/prog"].1.len() < 1000, "debug information is left out");
    for dir in ["usr/lib", "usr/lib64", "usr/lib/x86_64-linux-gnu"] {
        assert_eq!(found[&format!("{dir}/liba.so")], (0o120777, "/opt/liba.so".to_owned()));
        // `$ORIGIN` is the link's directory for a library that was found through a link.
        assert_eq!(found[&format!("{dir}/libown.so")], (0o120777, "/opt/own/libown.so".to_owned()));
    }
    assert!(found.contains_key("opt/own/libown.so"));
}

#[test]
fn one_library_under_two_paths_stays_one_file() {
    let bench = Bench::new();
    let program = bench.write("prog", &TestElf::new().needed("liba.so").needed("libb.so").runpath("/x:/y").bytes());
    let real = bench.write("x/liba.so", &TestElf::new().bytes());
    fs::create_dir(bench.dir.path().join("in/y")).unwrap();
    fs::hard_link(real, bench.dir.path().join("in/y/libb.so")).unwrap();
    let found = contents(&bench.spec().program(&program, "/prog").build(&bench.cache).unwrap());
    assert_eq!(found["y/libb.so"], (0o120777, "/x/liba.so".to_owned()));
}

#[test]
fn equal_inputs_make_equal_archives_wherever_they_are() {
    let build = |order: bool| {
        let bench = Bench::new();
        let (a, b) = (bench.write("a", b"1"), bench.write("deeper/b", b"2"));
        let spec = bench.spec();
        let spec = if order {
            spec.file(&a, "/a", 0o644).file(&b, "/b", 0o644)
        } else {
            spec.file(&b, "/b", 0o644).file(&a, "/a", 0o644)
        };
        let image = spec.build(&bench.cache).unwrap();
        (image.id.clone(), fs::read(&image.path).unwrap())
    };
    assert!(build(true) == build(false));
}

#[test]
fn the_warm_path_reads_no_input_and_notices_change() {
    let bench = Bench::new();
    let program = bench.write("prog", &TestElf::new().needed("liba.so").runpath("/early:/late").bytes());
    let library = bench.write("late/liba.so", &TestElf::new().bytes());
    let spec = bench.spec().program(&program, "/prog");
    let first = spec.build(&bench.cache).unwrap();
    assert_eq!(bench.recipes(), 1);
    // Other bytes under the same stat: a build that read them would give another image.
    let stamp = fs::metadata(&library).unwrap().modified().unwrap();
    let mut bytes = fs::read(&library).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&library, &bytes).unwrap();
    fs::File::open(&library).unwrap().set_modified(stamp).unwrap();
    assert_eq!(spec.build(&bench.cache).unwrap(), first);

    bench.write("late/liba.so", &TestElf::new().soname("liba.so").bytes());
    let second = spec.build(&bench.cache).unwrap();
    assert_ne!(second.id, first.id);
    bench.write("early/liba.so", &TestElf::new().soname("other").bytes());
    let third = spec.build(&bench.cache).unwrap();
    assert!(contents(&third).contains_key("early/liba.so"));
    assert_eq!(bench.recipes(), 3);
    assert_eq!(spec.build(&bench.cache).unwrap(), third);
    assert_eq!(bench.recipes(), 3);
}

#[test]
fn a_cut_or_removed_image_is_made_again() {
    let bench = Bench::new();
    let spec = bench.spec().bytes("/x", 0o644, vec![7; 5000]);
    let image = spec.build(&bench.cache).unwrap();
    fs::OpenOptions::new().write(true).open(&image.path).unwrap().set_len(100).unwrap();
    assert_eq!(spec.build(&bench.cache).unwrap(), image);
    contents(&image);
    bench.cache.remove(IMAGES, &image.id).unwrap();
    assert_eq!(spec.build(&bench.cache).unwrap(), image);
    contents(&image);
}

#[test]
fn racing_builders_agree() {
    let bench = Bench::new();
    let host = bench.write("f", &[9; 100_000]);
    let spec = bench.spec().file(&host, "/f", 0o644);
    let images: Vec<Image> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| spec.build(&bench.cache).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(images.iter().all(|image| *image == images[0]));
    assert_eq!(bench.cache.list(IMAGES).unwrap(), [images[0].id.clone()]);
}

#[test]
fn bad_guest_paths_and_conflicts_are_named() {
    let bench = Bench::new();
    let check = |spec: ImageSpec, expected: &str| {
        let error = bench.error(&spec);
        assert!(error.contains(expected), "{error}");
    };
    check(bench.spec().dir("relative"), "it is not absolute");
    check(bench.spec().dir("/a/.."), "it is the root itself");
    check(bench.spec().dir("/TRAILER!!!"), "newc archives end with that name");
    check(bench.spec().dir(format!("/{}", "x".repeat(5000))), "longer than the kernel's 4095 bytes");
    check(bench.spec().symlink("/a", ""), "a link's target has 1 to 4095 bytes");
    check(
        bench.spec().bytes("/a", 0o644, vec![1]).dir("/b/../a"),
        "/a in the guest would be both a file of 1 given bytes and a directory",
    );
    check(
        bench.spec().symlink("/lib", "usr/lib").dir("/lib/x"),
        "/lib in the guest would be both a link to usr/lib and the directory that holds /lib/x",
    );
}

#[test]
fn bad_inputs_are_named() {
    let bench = Bench::new();
    let none = bench.dir.path().join("none");
    let error = bench.error(&bench.spec().file(&none, "/f", 0o644));
    assert!(error.contains("none to pack it: No such file"), "{error}");
    let error = bench.error(&bench.spec().file(bench.dir.path(), "/f", 0o644));
    assert!(error.contains("it is not a regular file"), "{error}");
    let text = bench.write("text", b"hello");
    let error = bench.error(&bench.spec().program(text, "/f"));
    assert!(error.contains("as a program: it is not an ELF file"), "{error}");
    // Opened for reading, this one gives EACCES or EIO, even to root.
    let error = bench.error(&bench.spec().file("/proc/self/mem", "/f", 0o644));
    assert!(error.contains("/proc/self/mem"), "{error}");
}

#[test]
fn an_unwritable_cache_is_named() {
    let bench = Bench::new();
    let blocked = bench.write("blocked", b"a file where the cache should be");
    let error = bench.spec().dir("/d").build(&Cache::at(&blocked)).unwrap_err().to_string();
    assert!(error.contains("in/blocked"), "{error}");
    let full = write_file(Path::new("/dev/full"), &[]).unwrap_err().to_string();
    assert!(
        full.contains("cannot write the image /dev/full: No space left") && full.contains("KTSTR_CACHE_DIR"),
        "{full}"
    );
}
