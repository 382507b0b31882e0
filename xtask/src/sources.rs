//! The workspace's Rust files as the compiler reaches them: from each target of a package through its modules.

mod lists;

use anyhow::{Context, Result};
use ktstr_cli::binaries::Target;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use syn::punctuated::Punctuated;

/// A function under `#[ktstr_test]`, or one that a macro makes of a preset's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestFn {
    /// Where it is built.
    pub(crate) target: Target,
    /// Its name, as a test runner has it: modules and function.
    pub(crate) path: String,
    /// Whether it runs only when asked for.
    pub(crate) ignored: bool,
    /// Whether it has variants on presets.
    pub(crate) varies: bool,
}

/// Everything that is reached.
#[derive(Default)]
pub(crate) struct Sources {
    /// Files, by their canonical paths, with their parsed contents.
    pub(crate) files: BTreeMap<PathBuf, syn::File>,
    /// All scheduler tests.
    pub(crate) tests: Vec<TestFn>,
}

impl Sources {
    /// Follows each `wanted` target of what `cargo metadata` says.
    ///
    /// # Errors
    /// A file that cannot be read or parsed, a module without a file.
    pub(crate) fn of(metadata: &serde_json::Value, wanted: impl Fn(&Target) -> bool) -> Result<Self> {
        let mut sources = Self::default();
        for package in metadata["packages"].as_array().into_iter().flatten() {
            for target in package["targets"].as_array().into_iter().flatten() {
                let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                let root = text(&target["src_path"]);
                let target = Target {
                    package: text(&package["name"]),
                    kind: text(&target["kind"][0]),
                    name: text(&target["name"]),
                };
                if wanted(&target) {
                    sources.follow_target(Path::new(&root), &target)?;
                }
            }
        }
        Ok(sources)
    }

    fn follow_target(&mut self, root: &Path, target: &Target) -> Result<()> {
        let dir = root.parent().unwrap_or(root).to_owned();
        let mut pending = vec![Module { file: root.to_owned(), children: dir, path: String::new() }];
        while let Some(module) = pending.pop() {
            let (file, tests) = module.read(&mut pending)?;
            // A path attribute may go up and down.
            let whole = module.file.canonicalize().with_context(|| format!("cannot find {}", module.file.display()))?;
            self.files.insert(whole, file);
            let test = |Named { path, ignored, varies }| TestFn { target: target.clone(), path, ignored, varies };
            self.tests.extend(tests.into_iter().map(test));
        }
        Ok(())
    }
}

/// A scheduler test, by its name in its target.
struct Named {
    path: String,
    ignored: bool,
    varies: bool,
}

/// A module with a file of its own.
struct Module {
    file: PathBuf,
    /// Where its children's files are.
    children: PathBuf,
    /// `a::b::`, or nothing for a root.
    path: String,
}

impl Module {
    /// Parses the file; its child modules become `pending`, its scheduler tests are returned.
    fn read(&self, pending: &mut Vec<Self>) -> Result<(syn::File, Vec<Named>)> {
        let text = fs::read_to_string(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        let file = syn::parse_file(&text).with_context(|| format!("cannot parse {}", self.file.display()))?;
        let mut found =
            Found { module: self, inside: Vec::new(), children: Vec::new(), tests: Vec::new(), wrong: None };
        found.look_at(&file.items);
        if let Some(wrong) = found.wrong {
            anyhow::bail!("{} {wrong}", self.file.display());
        }
        pending.extend(found.children);
        Ok((file, found.tests))
    }
}

/// What a walk through one file finds.
struct Found<'a> {
    module: &'a Module,
    /// Modules with a body that the walk is in.
    inside: Vec<String>,
    children: Vec<Module>,
    tests: Vec<Named>,
    /// What cannot be followed.
    wrong: Option<String>,
}

impl Found<'_> {
    fn path(&self) -> String {
        self.inside.iter().fold(self.module.path.clone(), |path, name| format!("{path}{name}::"))
    }

    /// The module `name`, whose file is where the reference says (Items, Modules, Module Source Filenames).
    fn child(&self, name: &str, attributes: &[syn::Attribute]) -> Option<Module> {
        let path = format!("{}{name}::", self.path());
        let dir = self.inside.iter().fold(self.module.children.clone(), |dir, name| dir.join(name));
        if let Some(given) = path_attribute(attributes) {
            let from = if self.inside.is_empty() { self.module.file.parent()?.to_owned() } else { dir };
            let file = from.join(given);
            return file.is_file().then(|| Module { children: file.with_file_name(""), file, path });
        }
        let children = dir.join(name);
        let candidates = [dir.join(format!("{name}.rs")), children.join("mod.rs")];
        let file = candidates.into_iter().find(|file| file.is_file())?;
        Some(Module { file, children, path })
    }
}

impl Found<'_> {
    /// Modules and tests are items; what functions have inside is neither.
    fn look_at(&mut self, items: &[syn::Item]) {
        for item in items {
            match item {
                syn::Item::Mod(module) => self.look_at_module(module),
                syn::Item::Fn(function) => self.look_at_function(function),
                syn::Item::Macro(call) => self.look_at_macro(call),
                _ => {}
            }
        }
    }

    fn look_at_module(&mut self, module: &syn::ItemMod) {
        let name = module.ident.to_string();
        if let Some((_, items)) = &module.content {
            self.inside.push(name);
            self.look_at(items);
            self.inside.pop();
            return;
        }
        match self.child(&name, &module.attrs) {
            Some(child) => self.children.push(child),
            None => self.wrong = Some(format!("declares a module {name} that has no file")),
        }
    }

    fn look_at_function(&mut self, function: &syn::ItemFn) {
        if let Some(attribute) = find(&function.attrs, "ktstr_test") {
            let varies = !has(&function.attrs, "ignore") && !is_off(attribute, "gauntlet");
            self.add_test(&function.sig.ident, &function.attrs, varies);
        }
    }

    fn add_test(&mut self, name: &syn::Ident, attributes: &[syn::Attribute], varies: bool) {
        self.tests.push(Named { path: format!("{}{name}", self.path()), ignored: has(attributes, "ignore"), varies });
    }
}

impl Found<'_> {
    fn look_at_macro(&mut self, call: &syn::ItemMacro) {
        match lists::tests(&call.mac) {
            Ok(tests) => {
                let path = self.path();
                self.tests.extend(tests.into_iter().map(|test| Named { path: format!("{path}{}", test.path), ..test }));
            }
            Err(error) => self.wrong = Some(error),
        }
    }
}

/// Whether one of the attributes has this name, with or without a path before it.
fn has(attributes: &[syn::Attribute], name: &str) -> bool {
    find(attributes, name).is_some()
}

fn find<'a>(attributes: &'a [syn::Attribute], name: &str) -> Option<&'a syn::Attribute> {
    let is = |attribute: &&syn::Attribute| attribute.path().segments.last().is_some_and(|last| last.ident == name);
    attributes.iter().find(is)
}

/// Whether an attribute says `name = false`.
fn is_off(attribute: &syn::Attribute, name: &str) -> bool {
    attribute.parse_args_with(Punctuated::parse_terminated).is_ok_and(|pairs| have_off(&pairs, name))
}

fn have_off(pairs: &Punctuated<syn::MetaNameValue, syn::Token![,]>, name: &str) -> bool {
    let is_false = |value: &syn::Expr| matches!(value, syn::Expr::Lit(literal) if matches!(&literal.lit, syn::Lit::Bool(flag) if !flag.value));
    pairs.iter().any(|pair| pair.path.is_ident(name) && is_false(&pair.value))
}

fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("path"))?;
    let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
    let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &pair.value else { return None };
    Some(text.value())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Writes files below `dir`.
    pub(crate) fn write(dir: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// Files that were reached, and tests with whether they are ignored and whether they vary.
    type Reached = (Vec<String>, Vec<(String, bool, bool)>);

    fn follow(files: &[(&str, &str)], root: &str) -> Result<Reached> {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().canonicalize().unwrap();
        write(&dir, files);
        let target = Target { package: "p".into(), kind: "test".into(), name: "t".into() };
        let mut sources = Sources::default();
        sources.follow_target(&dir.join(root), &target)?;
        let relative = |path: &PathBuf| path.strip_prefix(&dir).unwrap().display().to_string();
        let tests = sources.tests.iter().map(|test| (test.path.clone(), test.ignored, test.varies)).collect();
        Ok((sources.files.keys().map(relative).collect(), tests))
    }

    #[test]
    fn modules_are_where_the_language_says() {
        let files = [
            ("lib.rs", "mod a; mod b; mod inline { mod c; } #[path = \"a/../odd.rs\"] mod d; // mod no;"),
            ("a.rs", "mod below;"),
            ("a/below.rs", ""),
            ("b/mod.rs", "mod below;"),
            ("b/below.rs", "const TEXT: &str = \"mod no;\";"),
            ("inline/c.rs", ""),
            ("odd.rs", ""),
            ("orphan.rs", ""),
        ];
        let (found, _) = follow(&files, "lib.rs").unwrap();
        assert_eq!(found, ["a/below.rs", "a.rs", "b/below.rs", "b/mod.rs", "inline/c.rs", "lib.rs", "odd.rs"]);
    }

    #[test]
    fn tests_have_the_names_that_runners_show() {
        let files = [
            (
                "steady.rs",
                "mod more;\n#[ktstr_test(cores = 2)]\nfn one() {}\n#[ktstr_test(gauntlet = false)]\nfn three() {}\n/// #[ktstr_test]\nfn helper() {}",
            ),
            ("more.rs", "mod deep { #[ktstr::ktstr_test]\n#[ignore = \"why\"]\nfn two() {} }"),
        ];
        let (_, tests) = follow(&files, "steady.rs").unwrap();
        let expected = [("one", false, true), ("three", false, false), ("more::deep::two", true, false)];
        assert_eq!(tests, expected.map(|(path, ignored, varies)| (path.to_owned(), ignored, varies)));
    }

    #[test]
    fn tests_that_a_macro_makes_are_found() {
        let macros = "macro_rules! presets { ($x:ident) => {}; }\nother! { zero, }\nmod deep {\n\
                      presets! { one, #[ignore = \"why\"] two, }\n}";
        let (_, tests) = follow(&[("presets.rs", macros)], "presets.rs").unwrap();
        assert_eq!(tests, [("deep::one".to_owned(), false, false), ("deep::two".to_owned(), true, false)]);
        let error = follow(&[("presets.rs", "presets! { 1 }")], "presets.rs").unwrap_err().to_string();
        assert!(error.contains("presets.rs has a presets! that is not understood"), "{error}");
    }

    #[test]
    fn a_module_without_a_file_is_an_error() {
        let error = follow(&[("lib.rs", "mod gone;")], "lib.rs").unwrap_err().to_string();
        assert!(error.contains("lib.rs declares a module gone"), "{error}");
    }
}
