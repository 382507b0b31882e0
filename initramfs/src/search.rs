//! The places where the loader looks for a library, in its order (ld.so(8), "DESCRIPTION").
//!
//! Each place has two sides: where it is on the host, and where the guest's loader will look for the same thing. They
//! differ under `$ORIGIN`, when a program has another path in the guest. Subdirectories for better CPUs (`glibc-hwcaps`)
//! are passed over, because the guest's CPU may lack what the host's has.

use crate::closure::Via;
use crate::elf::Facts;
use crate::ldcache::LdCache;
use crate::sysroot::{Sysroot, default_dirs, platform_token};
use std::path::{Component, Path, PathBuf};

/// A loaded object, as far as searching is concerned.
#[derive(Debug)]
pub(crate) struct Object {
    /// How to call it in messages: a program's path, a library's name.
    pub(crate) label: String,
    /// `$ORIGIN` on the host and in the guest.
    pub(crate) origin: PathBuf,
    pub(crate) guest_origin: PathBuf,
    /// Whether the guest's loader opens it under the path that `guest_origin` comes from.
    pub(crate) certain: bool,
    pub(crate) facts: Facts,
    /// The object that asked for it first.
    pub(crate) parent: Option<usize>,
}

/// A path at which a library may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) host: PathBuf,
    pub(crate) guest: PathBuf,
    pub(crate) via: Via,
    /// Whether the guest's loader, too, will look at `guest`.
    pub(crate) certain: bool,
}

/// All paths at which the loader looks for `name` on behalf of `objects[needer]`, best first.
pub(crate) fn candidates(
    sysroot: &Sysroot,
    index: &LdCache,
    objects: &[Object],
    needer: usize,
    name: &str,
) -> Vec<Candidate> {
    let object = &objects[needer];
    if name.contains('/') {
        return element(sysroot, object, name, Via::Path).into_iter().collect();
    }
    let mut dirs = Vec::new();
    // DT_RPATH counts only for objects without DT_RUNPATH, and is inherited by what they load.
    if object.facts.runpath.is_none() {
        let chain = std::iter::successors(Some(needer), |at| objects[*at].parent);
        for asker in chain.map(|at| &objects[at]) {
            dirs.extend(list(sysroot, asker, asker.facts.rpath.as_deref(), Via::Rpath));
        }
    }
    dirs.extend(sysroot.library_dirs().iter().map(|dir| plain(sysroot, dir, Via::LibraryPath)));
    dirs.extend(list(sysroot, object, object.facts.runpath.as_deref(), Via::Runpath));
    let mut found: Vec<Candidate> = dirs.into_iter().map(|dir| dir.join(name)).collect();

    let defaults = default_dirs(object.facts.abi);
    let nodeflib = object.facts.nodeflib;
    let indexed = index.paths(name).iter().map(Path::new);
    let indexed =
        indexed.filter(|path| !nodeflib || !path.parent().is_some_and(|dir| defaults.iter().any(|d| d == dir)));
    found.extend(indexed.map(|path| plain(sysroot, path, Via::Index)));
    if !nodeflib {
        found.extend(defaults.iter().map(|dir| plain(sysroot, &dir.join(name), Via::Default)));
    }
    found
}

impl Candidate {
    fn join(mut self, name: &str) -> Self {
        self.host.push(name);
        self.guest.push(name);
        self
    }
}

/// A place that is named outside of any object: the guest's loader may not know of it.
fn plain(sysroot: &Sysroot, path: &Path, via: Via) -> Candidate {
    Candidate { host: sysroot.host_path(path), guest: normalized(path), via, certain: false }
}

fn list(sysroot: &Sysroot, object: &Object, paths: Option<&str>, via: Via) -> Vec<Candidate> {
    paths.into_iter().flat_map(|text| text.split(':')).filter_map(|text| element(sysroot, object, text, via)).collect()
}

/// One element of a DT_RPATH or DT_RUNPATH, or a DT_NEEDED with a slash; `None` for one that depends on the current
/// directory, which is another one in the guest.
fn element(sysroot: &Sysroot, object: &Object, text: &str, via: Via) -> Option<Candidate> {
    let lib = sysroot.lib_token(object.facts.abi);
    let platform = platform_token(object.facts.abi);
    let expand = |origin: &Path| Some(expand(text, origin.to_str()?, &lib, platform));
    let (host, guest) = (expand(&object.origin)?, expand(&object.guest_origin)?);
    if !host.starts_with('/') || !guest.starts_with('/') {
        return None;
    }
    let from_origin = text.contains("ORIGIN");
    let host = if from_origin { PathBuf::from(host) } else { sysroot.host_path(Path::new(&host)) };
    let certain = (!from_origin || object.certain) && !climbs_out_of_unknown(text);
    Some(Candidate { host, guest: normalized(Path::new(&guest)), via, certain })
}

/// Whether `..` follows a directory that may not exist in the guest: the kernel then does not get past it.
fn climbs_out_of_unknown(text: &str) -> bool {
    let rest = text.strip_prefix("$ORIGIN").or_else(|| text.strip_prefix("${ORIGIN}")).unwrap_or(text);
    let rest = rest.trim_start_matches("/..");
    rest.split('/').any(|name| name == "..")
}

fn expand(text: &str, origin: &str, lib: &str, platform: &str) -> String {
    let mut out = String::with_capacity(text.len() + origin.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let values = [("ORIGIN", origin), ("LIB", lib), ("PLATFORM", platform)];
        let token = values.iter().find_map(|(name, value)| Some((after_token(rest, name)?, *value)));
        match token {
            Some((after, value)) => {
                out.push_str(value);
                rest = after;
            }
            None => out.push('$'),
        }
    }
    out.push_str(rest);
    out
}

/// What follows `NAME` or `{NAME}` at the start of `text`.
fn after_token<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    if let Some(braced) = text.strip_prefix('{') {
        return braced.strip_prefix(name)?.strip_prefix('}');
    }
    let after = text.strip_prefix(name)?;
    let goes_on = after.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_');
    (!goes_on).then_some(after)
}

/// The path without `.` and `..`. Right for the guest, whose directories are never links.
pub(crate) fn normalized(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_tokens_in_both_forms() {
        let check = |text: &str, expected: &str| assert_eq!(expand(text, "/o", "lib64", "x86_64"), expected, "{text}");
        check("$ORIGIN/../lib", "/o/../lib");
        check("${ORIGIN}lib", "/olib");
        check("/opt/$LIB/$PLATFORM", "/opt/lib64/x86_64");
        check("/opt/${LIB}/${PLATFORM}", "/opt/lib64/x86_64");
        check("$ORIGINAL/$HOME/$", "$ORIGINAL/$HOME/$");
        check("${ORIGIN", "${ORIGIN");
    }

    #[test]
    fn normalizes() {
        let check = |path: &str, expected: &str| assert_eq!(normalized(Path::new(path)), Path::new(expected));
        check("/a/b/../c/./d", "/a/c/d");
        check("/../../x", "/x");
    }

    #[test]
    fn knows_what_the_guest_can_climb() {
        let check = |text: &str, expected: bool| assert_eq!(climbs_out_of_unknown(text), expected, "{text}");
        check("$ORIGIN/../../lib", false);
        check("${ORIGIN}/../lib", false);
        check("$ORIGIN/sub/../lib", true);
        check("/opt/lib", false);
    }
}
