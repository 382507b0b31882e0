//! The test programs of the workspace, as cargo built them.

use crate::sources::Target;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::PathBuf;
use xshell::{Shell, cmd};

/// A built test program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Binary {
    /// What it was built from.
    pub(crate) target: Target,
    /// The program.
    pub(crate) path: PathBuf,
}

/// Builds all test programs of the workspace.
///
/// # Errors
/// When they do not compile.
pub(crate) fn build(shell: &Shell) -> Result<Vec<Binary>> {
    let words = ["test", "--workspace", "--no-run", "--quiet", "--message-format=json-render-diagnostics"];
    let output = ktstr_cli::cargo::command(shell, &words.map(str::to_owned)).quiet().read();
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
    Some(Binary { target, path: message["executable"].as_str()?.into() })
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
    pub(crate) fn tests(&self, shell: &Shell) -> Result<Vec<String>> {
        let path = &self.path;
        let listed = cmd!(shell, "{path} --list --format=terse").quiet().read()?;
        Ok(listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    }
}

/// The program of the integration test `name` of `package`.
///
/// # Errors
/// When there is none.
pub(crate) fn integration_test<'a>(binaries: &'a [Binary], package: &str, name: &str) -> Result<&'a Binary> {
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
                r#"{{"reason":"compiler-artifact","package_id":"path+file:///w/vmm#ktstr-vmm@0.1.0","profile":{{"test":{test}}},"target":{{"kind":["test"],"name":"kvm"}},"executable":{executable}}}"#
            )
        };
        let text =
            [line(false, "null"), line(true, "\"/t/kvm-1\""), "{\"reason\":\"build-finished\"}".into()].join("\n");
        let target = Target { package: "ktstr-vmm".into(), kind: "test".into(), name: "kvm".into() };
        let binaries = parse(&text);
        assert_eq!(binaries, [Binary { target, path: "/t/kvm-1".into() }]);
        assert!(integration_test(&binaries, "ktstr-vmm", "kvm").is_ok());
        assert!(integration_test(&binaries, "ktstr", "kvm").is_err());
    }

    #[test]
    fn package_ids_have_two_forms() {
        assert_eq!(package_name("path+file:///w/vmm#ktstr-vmm@0.1.0"), "ktstr-vmm");
        assert_eq!(package_name("path+file:///w/ktstr#0.1.0"), "ktstr");
    }
}
