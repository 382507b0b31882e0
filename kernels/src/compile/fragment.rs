//! What became of the wanted options.

use crate::kconfig::Kconfig;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A wanted option that did not come out as wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// Without `CONFIG_`.
    pub(super) name: String,
    wanted: String,
    got: String,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CONFIG_{} (wanted {}, got {})", self.name, self.wanted, self.got)
    }
}

/// The fragment's options whose value in `config` is another one.
pub(super) fn lost(fragment: &str, config: &Kconfig) -> Vec<Lost> {
    let wanted = Kconfig::parse(fragment);
    let off = fragment.lines().filter_map(|line| line.strip_prefix("# CONFIG_")?.strip_suffix(" is not set"));
    let all = wanted.iter().chain(off.map(|name| (name, "n")));
    all.filter_map(|(name, wanted)| {
        let got = config.value(name).unwrap_or("n");
        (got != wanted).then(|| Lost { name: name.to_owned(), wanted: wanted.to_owned(), got: got.to_owned() })
    })
    .collect()
}

/// What an option depends on by the tree's Kconfig files, as words to append; empty when that cannot be told.
pub(super) fn dependencies(tree: &Path, name: &str) -> String {
    let mut files = Vec::new();
    kconfig_files(tree, &mut files);
    let texts = files.iter().filter_map(|path| fs::read_to_string(path).ok());
    let found: Vec<String> = texts.flat_map(|text| depends_on(&text, name)).collect();
    match found.is_empty() {
        true => ", which this source may not have".to_owned(),
        false => format!(", which depends on {}", found.join(" and ")),
    }
}

fn kconfig_files(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(read) = fs::read_dir(dir) else { return };
    for entry in read.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(kind) = entry.file_type() else { continue };
        let other_arch = dir.file_name().is_some_and(|parent| parent == "arch") && name != "x86";
        if kind.is_dir() && !other_arch && name != ".git" {
            kconfig_files(&entry.path(), files);
        } else if kind.is_file() && name.starts_with("Kconfig") {
            files.push(entry.path());
        }
    }
}

/// The `depends on` lines of an option's entries. Source: Documentation/kbuild/kconfig-language.rst.
fn depends_on(text: &str, name: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if !line.starts_with([' ', '\t', '#']) && !line.is_empty() {
            let mut words = line.split_whitespace();
            inside = matches!(words.next(), Some("config" | "menuconfig")) && words.next() == Some(name);
        } else if let (true, Some(condition)) = (inside, line.trim().strip_prefix("depends on ")) {
            found.push(condition.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::FRAGMENT;
    use super::*;

    #[test]
    fn names_what_was_lost() {
        let fragment = "CONFIG_A=y\nCONFIG_B=y\nCONFIG_N=512\n# CONFIG_C is not set\n# CONFIG_D is not set\n";
        let config = Kconfig::parse("CONFIG_A=y\nCONFIG_N=64\nCONFIG_C=y\n");
        let words: Vec<String> = lost(fragment, &config).iter().map(Lost::to_string).collect();
        assert_eq!(
            words,
            ["CONFIG_B (wanted y, got n)", "CONFIG_N (wanted 512, got 64)", "CONFIG_C (wanted n, got y)"]
        );
    }

    #[test]
    fn tells_what_an_option_depends_on() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("arch/arm")).unwrap();
        fs::create_dir_all(dir.path().join("kernel")).unwrap();
        fs::write(dir.path().join("arch/arm/Kconfig"), "config EXT\n\tdepends on ARM\n").unwrap();
        let text =
            "config EXT\n\tbool \"x\"\n\tdepends on BPF && JIT\n\thelp\n\t  text\n\nconfig NEXT\n\tdepends on NO\n";
        fs::write(dir.path().join("kernel/Kconfig.preempt"), text).unwrap();
        assert_eq!(dependencies(dir.path(), "EXT"), ", which depends on BPF && JIT");
        assert_eq!(dependencies(dir.path(), "GONE"), ", which this source may not have");
    }

    #[test]
    fn every_line_of_our_fragment_is_an_option_with_its_reason() {
        let options = FRAGMENT.lines().filter(|line| line.starts_with("CONFIG_")).count();
        assert_eq!(Kconfig::parse(FRAGMENT).iter().count(), options, "an option is there twice");
        let mut reason = false;
        for line in FRAGMENT.lines() {
            match line {
                "" => reason = false,
                _ if line.starts_with("CONFIG_") || line.ends_with(" is not set") => {
                    assert!(reason, "{line} has no reason above it");
                }
                _ => {
                    assert!(line.starts_with('#'), "{line}");
                    reason = line.len() > 1 || reason;
                }
            }
        }
    }
}
