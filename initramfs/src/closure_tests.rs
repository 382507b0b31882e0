//! The closure against made trees, and against the real loader.

use super::*;
use crate::ldcache;
use crate::testelf::TestElf;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// A sysroot of made files.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside.trim_start_matches('/'))
    }

    fn write(&self, inside: &str, bytes: &[u8]) -> &Self {
        fs::create_dir_all(self.path(inside).parent().unwrap()).unwrap();
        fs::write(self.path(inside), bytes).unwrap();
        self
    }

    fn elf(&self, inside: &str, elf: &TestElf) -> &Self {
        self.write(inside, &elf.bytes())
    }

    fn sysroot(&self) -> Sysroot {
        Sysroot::at(self.0.path())
    }

    /// The closure of `/prog`, as `name guest` lines.
    fn closure(&self) -> Vec<String> {
        lines(&closure_of(self, &self.sysroot()).unwrap())
    }

    fn error(&self) -> String {
        let text = closure_of(self, &self.sysroot()).unwrap_err().to_string();
        text.replace(&self.0.path().display().to_string(), "")
    }
}

fn closure_of(tree: &Tree, sysroot: &Sysroot) -> Result<Vec<Library>, Error> {
    closure_observed(&tree.path("prog"), Path::new("/prog"), sysroot, &mut Observed::default())
}

fn lines(libraries: &[Library]) -> Vec<String> {
    libraries.iter().map(|library| format!("{} {}", library.name, library.guest.display())).collect()
}

fn lib() -> TestElf {
    TestElf::new()
}

#[test]
fn cycles_and_diamonds_end() {
    let tree = Tree::new();
    tree.elf("prog", &lib().needed("liba.so").needed("libb.so"))
        .elf("lib/liba.so", &lib().needed("libc.so"))
        .elf("lib/libb.so", &lib().needed("libc.so"))
        .elf("lib/libc.so", &lib().needed("liba.so"));
    assert_eq!(tree.closure(), ["liba.so /lib/liba.so", "libb.so /lib/libb.so", "libc.so /lib/libc.so"]);
}

#[test]
fn a_static_program_needs_nothing() {
    let tree = Tree::new();
    tree.elf("prog", &lib());
    assert!(tree.closure().is_empty());
}

#[test]
fn rpath_is_inherited_and_runpath_is_not() {
    let tree = Tree::new();
    tree.elf("prog", &lib().needed("liba.so").rpath("/r")).elf("r/liba.so", &lib().needed("libb.so"));
    tree.elf("r/libb.so", &lib());
    assert_eq!(tree.closure(), ["liba.so /r/liba.so", "libb.so /r/libb.so"]);
    tree.elf("prog", &lib().needed("liba.so").runpath("/r"));
    let error = tree.error();
    assert!(error.starts_with("cannot find libb.so (needed by liba.so, needed by /prog): looked in "), "{error}");
    assert!(error.contains("/lib/libb.so") && error.contains("; install it"), "{error}");
    // An object with a RUNPATH doesn't look at what it could inherit.
    tree.elf("prog", &lib().needed("liba.so").rpath("/r")).elf("r/liba.so", &lib().needed("libb.so").runpath("/none"));
    assert!(tree.error().contains("cannot find libb.so"));
}

#[test]
fn places_are_tried_in_the_loader_s_order() {
    let tree = Tree::new();
    let sysroot = tree.sysroot().library_path([PathBuf::from("/env")]);
    tree.elf("prog", &lib().needed("liba.so").runpath("/run"));
    tree.write("etc/ld.so.cache", &ldcache::encode(&[("liba.so", "/index/liba.so", 0)]));
    let expected = [
        ("/lib/liba.so", Via::Default),
        ("/usr/lib64/liba.so", Via::Default),
        ("/index/liba.so", Via::Index),
        ("/run/liba.so", Via::Runpath),
        ("/env/liba.so", Via::LibraryPath),
    ];
    for (place, via) in expected {
        tree.elf(place, &lib());
        let found = closure_of(&tree, &sysroot).unwrap();
        assert_eq!((found[0].guest.to_str().unwrap(), found[0].via), (place, via));
        assert_eq!(found[0].certain, via == Via::Runpath, "{place}");
    }
    tree.elf("prog", &lib().needed("liba.so").rpath("/r")).elf("r/liba.so", &lib());
    assert_eq!(closure_of(&tree, &sysroot).unwrap()[0].via, Via::Rpath);
}

#[test]
fn origin_differs_between_host_and_guest() {
    let tree = Tree::new();
    tree.elf("build/prog", &lib().needed("liba.so").runpath("$ORIGIN/../lib:${ORIGIN}"));
    tree.elf("build/liba.so", &lib().needed("libb.so").runpath("$ORIGIN/deep")).elf("build/deep/libb.so", &lib());
    let found =
        closure_observed(&tree.path("build/prog"), Path::new("/t/prog"), &tree.sysroot(), &mut Observed::default());
    assert_eq!(lines(&found.unwrap()), ["liba.so /t/liba.so", "libb.so /t/deep/libb.so"]);
}

#[test]
fn a_soname_satisfies_and_a_name_with_a_slash_is_a_path() {
    let tree = Tree::new();
    tree.elf("prog", &lib().needed("/opt/first.so").needed("libx.so.1"))
        .elf("opt/first.so", &lib().soname("libx.so.1"));
    assert_eq!(tree.closure(), ["/opt/first.so /opt/first.so"]);
}

#[test]
fn other_machines_are_passed_over_and_rubbish_is_not() {
    let tree = Tree::new();
    tree.elf("prog", &lib().needed("liba.so").runpath("/arm:/good"));
    tree.elf("arm/liba.so", &lib().machine(183)).elf("good/liba.so", &lib());
    assert_eq!(tree.closure(), ["liba.so /good/liba.so"]);
    tree.write("arm/liba.so", b"INPUT(-la)");
    let error = tree.error();
    assert!(error.contains("/arm/liba.so") && error.contains("not an ELF file (needed by /prog)"), "{error}");
}

#[test]
fn nodeflib_leaves_the_default_places_out() {
    let tree = Tree::new();
    tree.elf("prog", &lib().needed("liba.so").nodeflib()).elf("lib/liba.so", &lib());
    tree.write("etc/ld.so.cache", &ldcache::encode(&[("liba.so", "/lib/liba.so", 0)]));
    assert!(tree.error().contains("looked in the index /etc/ld.so.cache;"), "{}", tree.error());
    tree.elf("prog", &lib().needed("./liba.so"));
    assert!(tree.error().contains("looked in no place at all;"), "{}", tree.error());
}

#[test]
fn the_interpreter_comes_at_its_exact_path() {
    let tree = Tree::new();
    tree.elf("prog", &lib().interp("/lib64/ld.so.2").needed("libc.so")).elf("lib/libc.so", &lib().needed("ld.so.2"));
    assert!(tree.error().starts_with("cannot find /lib64/ld.so.2 (needed by /prog): looked in /lib64/ld.so.2"));
    tree.elf("usr/real.so", &lib().soname("ld.so.2"));
    fs::create_dir(tree.path("lib64")).unwrap();
    std::os::unix::fs::symlink("/usr/real.so", tree.path("lib64/ld.so.2")).unwrap();
    assert_eq!(tree.closure(), ["/lib64/ld.so.2 /lib64/ld.so.2", "libc.so /lib/libc.so"]);
}

#[test]
fn a_script_brings_its_interpreter() {
    let tree = Tree::new();
    tree.write("prog", b"#!/usr/bin/env tool\n")
        .elf("usr/bin/env", &lib().needed("liba.so"))
        .elf("lib/liba.so", &lib());
    assert!(tree.error().contains("cannot find /usr/local/bin/tool (needed by the script /prog)"), "{}", tree.error());
    tree.elf("bin/tool", &lib());
    assert_eq!(tree.closure(), ["/usr/bin/env /usr/bin/env", "liba.so /lib/liba.so", "/bin/tool /bin/tool"]);
    tree.write("prog", b"#!/prog\n");
    assert!(tree.error().contains("go in a circle"), "{}", tree.error());
}

#[test]
fn bad_programs_are_named() {
    let tree = Tree::new();
    assert!(tree.error().starts_with("cannot read /prog to pack it: No such file"), "{}", tree.error());
    tree.write("prog", b"hello");
    assert!(tree.error().contains("cannot pack /prog as a program: it is not an ELF file"), "{}", tree.error());
    fs::remove_file(tree.path("prog")).unwrap();
    fs::create_dir(tree.path("prog")).unwrap();
    assert!(tree.error().contains("/prog: it is not a regular file"), "{}", tree.error());
}

#[test]
fn agrees_with_the_real_loader() {
    for program in [std::env::current_exe().unwrap(), "/bin/sh".into(), "/usr/bin/env".into()] {
        // ld.so(8): with this variable the loader lists what it loads, and does not run the program.
        let traced = Command::new(&program).env("LD_TRACE_LOADED_OBJECTS", "1").output().unwrap();
        let real = |path: &str| fs::canonicalize(path).unwrap();
        let text = String::from_utf8(traced.stdout).unwrap();
        let expected: BTreeSet<PathBuf> = text
            .lines()
            .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')).map(real))
            .collect();
        let found = closure(&program, &Sysroot::host()).unwrap();
        let got: BTreeSet<PathBuf> = found.iter().map(|library| fs::canonicalize(&library.host).unwrap()).collect();
        assert_eq!(got, expected, "{}", program.display());
        assert!(!got.is_empty());
    }
}
