//! Contents: reads the host's files, several at once, and leaves debug information out.

use crate::Error;
use crate::archive::{Kind, Member};
use crate::layout::{Layout, Node};
use crate::observed::Stat;
use crate::strip::strip;
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const DIR_MODE: u32 = 0o755;

/// The archive's members, in order, with their contents in memory.
pub(crate) fn members(layout: &Layout) -> Result<Vec<Member<'_>>, Error> {
    let nodes: Vec<(&str, &Node)> = layout.iter().map(|(path, node)| (path.as_str(), node)).collect();
    let slots: Vec<Mutex<Option<Result<Member, Error>>>> = nodes.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((node, slot)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            nodes.get(at).zip(slots.get(at))
        } {
            let made = member(node.0, node.1);
            *slot.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(made);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(nodes.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    slots.into_iter().filter_map(|slot| slot.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())).collect()
}

fn member<'a>(path: &'a str, node: &'a Node) -> Result<Member<'a>, Error> {
    let kind = match node {
        Node::Host { path, stat, mode, strip: debug_goes } => {
            let data = read(path, *stat)?;
            Kind::File { mode: *mode, data: Cow::Owned(if *debug_goes { strip(data) } else { data }) }
        }
        Node::Bytes { data, mode } => Kind::File { mode: mode & 0o7777, data: Cow::Borrowed(data.data()) },
        Node::Dir => Kind::Dir { mode: DIR_MODE },
        Node::Symlink { target } => Kind::Symlink { target },
        Node::Char { mode, major, minor } => Kind::Char { mode: mode & 0o7777, major: *major, minor: *minor },
    };
    Ok(Member { name: path.trim_start_matches('/'), kind })
}

/// Reads a file that was seen as `expected`, and makes sure that it still is that one at the end.
fn read(path: &Path, expected: Stat) -> Result<Vec<u8>, Error> {
    let error = |source| Error::Read { path: path.to_owned(), source };
    if u32::try_from(expected.size_bytes).is_err() {
        return Err(Error::TooBig { path: path.to_owned(), size_bytes: expected.size_bytes });
    }
    let mut file = File::open(path).map_err(error)?;
    let now = |file: &File| file.metadata().map(|meta| Stat::from(&meta)).map_err(error);
    let mut data = Vec::new();
    if now(&file)? == expected {
        // One byte more than expected is enough to tell that it grew.
        let limit = expected.size_bytes + 1;
        data.reserve_exact(usize::try_from(limit).unwrap_or(0));
        file.by_ref().take(limit).read_to_end(&mut data).map_err(error)?;
    }
    if now(&file)? == expected && data.len() as u64 == expected.size_bytes {
        return Ok(data);
    }
    Err(Error::Changed { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "one").unwrap();
        let seen = Stat::from(&std::fs::metadata(&path).unwrap());
        assert_eq!(read(&path, seen).unwrap(), b"one");
        std::fs::write(&path, "longer").unwrap();
        let error = read(&path, seen).unwrap_err();
        assert!(error.to_string().contains("changed while it was being packed"), "{error}");
    }

    #[test]
    fn a_file_whose_length_is_a_lie_is_an_error() {
        let path = Path::new("/proc/self/status");
        let seen = Stat::from(&std::fs::metadata(path).unwrap());
        assert!(matches!(read(path, seen), Err(Error::Changed { .. })));
    }

    #[test]
    fn four_gib_is_too_big() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        std::fs::File::create(&path).unwrap().set_len(1 << 32).unwrap();
        let seen = Stat::from(&std::fs::metadata(&path).unwrap());
        let error = read(&path, seen).unwrap_err();
        assert!(error.to_string().contains("below 4 GiB"), "{error}");
    }
}
