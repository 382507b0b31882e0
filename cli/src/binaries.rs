//! Test programs, as cargo built them.

use crate::cargo;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::PathBuf;
use xshell::{Shell, cmd};

/// A target of a package: what cargo builds from one root file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The package.
    pub package: String,
    /// `lib`, `bin`, `test` …
    pub kind: String,
    /// The target's own name.
    pub name: String,
}

/// A built test program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// What it was built from.
    pub target: Target,
    /// The program.
    pub path: PathBuf,
    /// The directory of its package, where cargo runs it.
    pub dir: PathBuf,
}

/// Builds the test programs that cargo's arguments `chosen` choose, such as `--workspace`.
///
/// # Errors
/// When they do not compile.
pub fn build(shell: &Shell, chosen: &[String]) -> Result<Vec<Binary>> {
    let words = ["test", "--no-run", "--quiet", "--message-format=json-render-diagnostics"].map(str::to_owned);
    let output = cargo::command(shell, &[&words, chosen].concat()).quiet().read();
    Ok(parse(&output.context("the tests do not compile")?))
}

/// The test programs among cargo's messages.
fn parse(messages: &str) -> Vec<Binary> {
    let values = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    values.filter_map(|message| binary(&message)).collect()
}

fn binary(message: &Value) -> Option<Binary> {
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let package = package_name(message["package_id"].as_str()?);
    let target = &message["target"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let target = Target { package, kind: text(&target["kind"][0])?, name: text(&target["name"])? };
    let dir = PathBuf::from(message["manifest_path"].as_str()?).parent()?.to_owned();
    Some(Binary { target, path: message["executable"].as_str()?.into(), dir })
}

/// The name in a package id (Cargo book, Package ID Specifications): `…#name@version`, or `…/name#version`.
fn package_name(id: &str) -> String {
    let (url, fragment) = id.rsplit_once('#').unwrap_or(("", id));
    match fragment.split_once('@') {
        Some((name, _version)) => name.to_owned(),
        None => url.rsplit('/').next().unwrap_or_default().to_owned(),
    }
}

impl Binary {
    /// The names of its tests.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn tests(&self, shell: &Shell) -> Result<Vec<String>> {
        let path = &self.path;
        let listed = cmd!(shell, "{path} --list --format=terse").quiet().read()?;
        Ok(listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    }
}

/// The program of the integration test `name` of `package`.
///
/// # Errors
/// When there is none.
pub fn integration_test<'a>(binaries: &'a [Binary], package: &str, name: &str) -> Result<&'a Binary> {
    let is_it = |target: &Target| target.kind == "test" && target.package == package && target.name == name;
    match binaries.iter().find(|binary| is_it(&binary.target)) {
        Some(binary) => Ok(binary),
        None => bail!("cargo built no integration test {name} of {package}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_test_programs_among_messages() {
        let line = |test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"path+file:///w/vmm#ktstr-vmm@0.1.0","manifest_path":"/w/vmm/Cargo.toml","profile":{{"test":{test}}},"target":{{"kind":["test"],"name":"kvm"}},"executable":{executable}}}"#
            )
        };
        let text =
            [line(false, "null"), line(true, "\"/t/kvm-1\""), "{\"reason\":\"build-finished\"}".into()].join("\n");
        let target = Target { package: "ktstr-vmm".into(), kind: "test".into(), name: "kvm".into() };
        let binaries = parse(&text);
        assert_eq!(binaries, [Binary { target, path: "/t/kvm-1".into(), dir: "/w/vmm".into() }]);
        assert!(integration_test(&binaries, "ktstr-vmm", "kvm").is_ok());
        assert!(integration_test(&binaries, "ktstr", "kvm").is_err());
    }

    #[test]
    fn package_ids_have_two_forms() {
        assert_eq!(package_name("path+file:///w/vmm#ktstr-vmm@0.1.0"), "ktstr-vmm");
        assert_eq!(package_name("path+file:///w/ktstr#0.1.0"), "ktstr");
    }
}
