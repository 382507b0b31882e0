//! Programs on the search path that have their version in their name, as `clang-22`.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The folders of the search path, in their order.
pub fn dirs() -> Vec<PathBuf> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect()
}

/// All files `NAME-VERSION` in the folders, each with its version, in no order; whether they may be run is not looked at.
pub fn versions(dirs: &[PathBuf], name: &str) -> Vec<(u32, PathBuf)> {
    let files = dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().filter_map(Result::ok);
    files.filter_map(|file| Some((version(&file.path(), name)?, file.path()))).collect()
}

fn version(path: &Path, name: &str) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix(name)?.strip_prefix('-')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_versions() {
        let [one, other, missing] = ["one", "other", "missing"];
        let parent = tempfile::tempdir().unwrap();
        let dirs = [one, other, missing].map(|dir| parent.path().join(dir));
        for (dir, name) in [
            (one, "clang-9"),
            (other, "clang-22"),
            (one, "clang"),
            (one, "clang-"),
            (one, "clang-cpp-23"),
            (one, "clang++-24"),
            (one, "my-clang-25"),
            (one, "clang-26.sh"),
        ] {
            fs::create_dir_all(parent.path().join(dir)).unwrap();
            fs::write(parent.path().join(dir).join(name), "").unwrap();
        }
        let mut found = versions(&dirs, "clang");
        found.sort();
        let path = |dir: &str, name: &str| parent.path().join(dir).join(name);
        assert_eq!(found, [(9, path(one, "clang-9")), (22, path(other, "clang-22"))]);
    }
}
