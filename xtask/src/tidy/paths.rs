//! Paths that ARCHITECTURE.md names.

use super::Tree;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "ARCHITECTURE.md";

/// Complaints about paths in the page that lead nowhere.
pub(super) fn complaints(tree: &Tree) -> Vec<String> {
    let Ok(text) = fs::read_to_string(tree.root.join(PAGE)) else {
        return vec![format!("{PAGE}: not there")];
    };
    let lines = text.lines().enumerate();
    let lost = lines.flat_map(|(number, line)| {
        let paths = quoted(line).filter(|word| is_path(word)).filter(|word| !leads_somewhere(&tree.files, word));
        paths.map(move |path| format!("{PAGE}:{}: `{path}` does not exist", number + 1))
    });
    lost.collect()
}

/// What is between backticks on a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether a word is meant as a path in this repository: words with a slash, or with a known file type; no placeholders,
/// no absolute paths, no URLs.
fn is_path(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let file = [".rs", ".toml", ".md", ".kconfig", ".sh", ".yml"].iter().any(|end| word.ends_with(end));
    word.chars().all(plain) && !word.starts_with('/') && (word.contains('/') || file) && word != "/"
}

/// Whether some file is at or below the path, from the root or from any folder.
fn leads_somewhere(files: &[PathBuf], path: &str) -> bool {
    let wanted: Vec<_> = Path::new(path).components().collect();
    files.iter().any(|file| {
        let parts: Vec<_> = file.components().collect();
        parts.windows(wanted.len()).any(|window| window == wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_other_words() {
        for path in ["vmm/src/kvm/", "layout.rs", "xtask/", ".ci/run"] {
            assert!(is_path(path), "{path}");
        }
        for word in ["/dev/kvm", "cargo test", "<cache>/kernels", "Vm::boot", "and", "path:DIR/x", "a/*.rs"] {
            assert!(!is_path(word), "{word}");
        }
    }

    #[test]
    fn a_path_may_start_in_any_folder() {
        let files = ["vmm/src/kvm/mod.rs", "vmm/src/layout.rs"].map(PathBuf::from);
        for path in ["vmm/src/kvm/mod.rs", "vmm/", "kvm/", "layout.rs", "src/layout.rs"] {
            assert!(leads_somewhere(&files, path), "{path}");
        }
        for path in ["layout", "vmm/layout.rs", "qemu/"] {
            assert!(!leads_somewhere(&files, path), "{path}");
        }
    }

    #[test]
    fn words_between_backticks() {
        assert_eq!(quoted("a `b` c `d/e`").collect::<Vec<_>>(), ["b", "d/e"]);
    }
}
