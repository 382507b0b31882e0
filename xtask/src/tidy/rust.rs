//! Rust files: each is built, says what it is, and is about one thing.

use super::Tree;
use std::fs;
use std::path::Path;

/// A file with more lines of code than this has a second idea in it.
const MOST_LINES: usize = 600;

/// Complaints about all Rust files of the tree.
pub(super) fn complaints(tree: &Tree) -> Vec<String> {
    let rust = tree.files.iter().filter(|file| file.extension().is_some_and(|end| end == "rs"));
    rust.filter(|file| !is_compile_case(file)).flat_map(|file| of_file(tree, file)).collect()
}

/// Inputs of compile-fail tests are programs of their own.
fn is_compile_case(file: &Path) -> bool {
    file.parent().is_some_and(|dir| dir.ends_with("tests/ui"))
}

fn of_file(tree: &Tree, file: &Path) -> Vec<String> {
    let path = tree.root.join(file);
    let mut complaints = Vec::new();
    let mut complain = |what: String| complaints.push(format!("{}: {what}", file.display()));
    match tree.sources.files.get(&path) {
        None => complain("no module declaration and no target leads here".into()),
        Some(parsed) if !has_module_doc(parsed) => complain("no module doc: start the file with //!".into()),
        Some(_) => {}
    }
    let lines = fs::read_to_string(&path).map_or(0, |text| code_lines(&text));
    if lines > MOST_LINES {
        complain(format!("{lines} lines of code, more than {MOST_LINES}: look for the second idea in it"));
    }
    complaints
}

fn has_module_doc(file: &syn::File) -> bool {
    file.attrs.iter().any(|attribute| attribute.path().is_ident("doc"))
}

/// Lines that are neither blank nor only a comment.
fn code_lines(text: &str) -> usize {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{Sources, tests::write};

    #[test]
    fn each_rule_finds_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let long = format!("//! Long.\n{}", "fn f() {}\n\n// so\n".repeat(MOST_LINES + 1));
        let files = [
            ("src/lib.rs", "//! Good.\nmod long;\nmod silent;"),
            ("src/long.rs", &long),
            ("src/silent.rs", "// Says nothing.\n/// A function.\nfn f() {}"),
            ("src/orphan.rs", "//! Alone."),
            ("tests/ui/case.rs", "fn main() {}"),
        ];
        write(dir.path(), &files);
        let root = dir.path().join("src/lib.rs");
        let metadata = serde_json::json!({ "packages": [{ "targets": [{ "src_path": root }] }] });
        let tree = Tree {
            root: dir.path().canonicalize().unwrap(),
            files: files.iter().map(|(name, _)| name.into()).collect(),
            sources: Sources::of(&metadata, |_| true).unwrap(),
        };
        assert_eq!(
            complaints(&tree),
            [
                "src/long.rs: 601 lines of code, more than 600: look for the second idea in it",
                "src/silent.rs: no module doc: start the file with //!",
                "src/orphan.rs: no module declaration and no target leads here",
            ]
        );
    }
}
