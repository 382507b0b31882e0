//! Which guest path holds what: the spec's items, their libraries, and the directories above them.

use crate::Error;
use crate::closure::{Library, Via, closure_observed};
use crate::observed::{Observed, Stat};
use crate::search::normalized;
use crate::spec::{Contents, Item};
use crate::sysroot::{Sysroot, link_dirs};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// PATH_MAX (include/uapi/linux/limits.h), the terminating zero included.
const PATH_MAX: usize = 4096;
/// The name that ends a newc archive.
const TRAILER: &str = "/TRAILER!!!";
const PROGRAM_MODE: u32 = 0o755;

/// What is at a guest path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// A file of the host.
    Host {
        path: PathBuf,
        stat: Stat,
        mode: u32,
        strip: bool,
    },
    /// A file with given contents.
    Bytes {
        data: Contents,
        mode: u32,
    },
    Dir,
    Symlink {
        target: String,
    },
    Char {
        mode: u32,
        major: u32,
        minor: u32,
    },
}

/// Guest paths (absolute, normalised), in the order in which the archive has them: a directory before what is in it.
pub(crate) type Layout = BTreeMap<String, Node>;

/// Lays an image out. Every path looked at on the host is remembered in `observed`.
pub(crate) fn plan(items: &[Item], sysroot: &Sysroot, observed: &mut Observed) -> Result<Layout, Error> {
    let mut layout = Layout::new();
    let mut libraries = Vec::new();
    for item in items {
        let (guest, node) = match item {
            Item::Program { host, guest } => {
                libraries.extend(closure_observed(host, Path::new(guest), sysroot, observed)?);
                (guest, host_file(host, PROGRAM_MODE, true, observed)?)
            }
            Item::File { host, guest, mode } => (guest, host_file(host, *mode, false, observed)?),
            Item::Bytes { guest, mode, data } => (guest, Node::Bytes { data: data.clone(), mode: *mode }),
            Item::Dir { guest } => (guest, Node::Dir),
            Item::Symlink { guest, target } => (guest, Node::Symlink { target: checked_target(target)? }),
            Item::Char { guest, mode, major, minor } => {
                (guest, Node::Char { mode: *mode, major: *major, minor: *minor })
            }
        };
        place(&mut layout, checked(guest)?, node)?;
    }
    place_libraries(&mut layout, &libraries)?;
    add_parents(&mut layout)?;
    Ok(layout)
}

fn host_file(host: &Path, mode: u32, strip: bool, observed: &mut Observed) -> Result<Node, Error> {
    let meta = std::fs::metadata(host).map_err(|source| Error::Read { path: host.to_owned(), source })?;
    if !meta.is_file() {
        return Err(Error::NotAFile { path: host.to_owned() });
    }
    let stat = observed.look(host).ok_or_else(|| Error::Changed { path: host.to_owned() })?;
    Ok(Node::Host { path: host.to_owned(), stat, mode: mode & 0o7777, strip })
}

fn place_libraries(layout: &mut Layout, libraries: &[Library]) -> Result<(), Error> {
    let mut at: HashMap<(u64, u64), String> = HashMap::new();
    for library in libraries {
        let guest = checked(&text(&library.guest)?)?;
        // A loader knows a library by its inode: a second copy would be loaded beside the first.
        let first = at.entry((library.stat.dev, library.stat.ino)).or_insert_with(|| guest.clone());
        let node = if *first == guest || library.via == Via::Script {
            Node::Host { path: library.host.clone(), stat: library.stat, mode: PROGRAM_MODE, strip: true }
        } else {
            Node::Symlink { target: first.clone() }
        };
        match layout.get(&guest) {
            // An item names this very file, perhaps with another mode: the item has its way.
            Some(Node::Host { stat, .. }) if *stat == library.stat => {}
            _ => place(layout, guest, node)?,
        }
    }
    for library in libraries.iter().filter(|library| !library.certain && !library.name.contains('/')) {
        for dir in link_dirs(library.abi) {
            let link = text(&dir.join(&library.name))?;
            let target = text(&library.guest)?;
            // Whatever is there already was put there by name, or is the library itself.
            layout.entry(link).or_insert(Node::Symlink { target });
        }
    }
    Ok(())
}

fn place(layout: &mut Layout, guest: String, node: Node) -> Result<(), Error> {
    match layout.get(&guest) {
        None => {
            layout.insert(guest, node);
            Ok(())
        }
        Some(there) if same(there, &node) => Ok(()),
        Some(there) => Err(Error::Conflict { guest, first: describe(there), second: describe(&node) }),
    }
}

/// Whether two nodes put the same thing at a path; a file may be reached by two names on the host.
fn same(a: &Node, b: &Node) -> bool {
    match (a, b) {
        (Node::Host { stat: a, mode: m, .. }, Node::Host { stat: b, mode: n, .. }) => a == b && m == n,
        _ => a == b,
    }
}

fn add_parents(layout: &mut Layout) -> Result<(), Error> {
    let paths: Vec<String> = layout.keys().cloned().collect();
    for path in &paths {
        for parent in Path::new(path).ancestors().skip(1).filter(|parent| *parent != Path::new("/")) {
            let parent = text(parent)?;
            let node = layout.entry(parent.clone()).or_insert(Node::Dir);
            if *node != Node::Dir {
                let second = format!("the directory that holds {path}");
                return Err(Error::Conflict { guest: parent, first: describe(node), second });
            }
        }
    }
    Ok(())
}

fn describe(node: &Node) -> String {
    match node {
        Node::Host { path, .. } => format!("the file {}", path.display()),
        Node::Bytes { data, .. } => format!("a file of {} given bytes", data.data().len()),
        Node::Dir => "a directory".to_owned(),
        Node::Symlink { target } => format!("a link to {target}"),
        Node::Char { major, minor, .. } => format!("the character device {major}:{minor}"),
    }
}

fn text(path: &Path) -> Result<String, Error> {
    let why = "it is not UTF-8; rename it";
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::BadGuestPath { path: path.to_string_lossy().into_owned(), why })
}

fn checked(guest: &str) -> Result<String, Error> {
    let bad = |why| Err(Error::BadGuestPath { path: guest.to_owned(), why });
    if !guest.starts_with('/') {
        return bad("it is not absolute; begin it with `/`");
    }
    let path = text(&normalized(Path::new(guest)))?;
    match path.as_str() {
        "/" => bad("it is the root itself; name something below it"),
        TRAILER => bad("newc archives end with that name; choose another"),
        _ if path.contains('\0') => bad("it has a zero byte in it; leave it out"),
        _ if path.len() >= PATH_MAX => bad("it is longer than the kernel's 4095 bytes; shorten it"),
        _ => Ok(path),
    }
}

fn checked_target(target: &str) -> Result<String, Error> {
    if target.is_empty() || target.contains('\0') || target.len() >= PATH_MAX {
        let why = "a link's target has 1 to 4095 bytes, none of them zero";
        return Err(Error::BadGuestPath { path: target.to_owned(), why });
    }
    Ok(target.to_owned())
}
