//! Threads of one process; processes and their deaths are in `tests/budget.rs`.

use super::*;
use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::mpsc;
use tempfile::TempDir;

fn budget(dir: &TempDir, cpus: usize) -> Budget {
    Budget::new(&dir.path().join("vcpus"), (0..cpus).collect()).unwrap()
}

fn take(budget: &Budget, vcpus: usize) -> Lease {
    budget.take_any(vcpus, |_| {}).unwrap()
}

fn wait_for_queue(budget: &Budget, length: i64) {
    // A place behind all others tells how many they are, for none has left.
    while Ticket::draw(&budget.folder).unwrap().place() <= length {
        std::thread::yield_now();
    }
}

#[test]
fn a_machine_takes_its_share_and_gives_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let budget = budget(&dir, 4);
    for (vcpus, expected) in [(1, vec![0]), (3, vec![0, 1, 2]), (4, vec![0, 1, 2, 3]), (300, vec![0, 1, 2, 3])] {
        assert_eq!(take(&budget, vcpus).cpus(), expected, "{vcpus} vCPUs");
    }
}

#[test]
fn a_machine_within_a_machine_shares() {
    let dir = tempfile::tempdir().unwrap();
    let budget = budget(&dir, 2);
    let outer = take(&budget, 2);
    assert_eq!(take(&budget, 2).cpus(), Vec::<usize>::new());
    drop(outer);
    assert_eq!(take(&budget, 2).cpus(), [0, 1]);
}

#[test]
fn what_is_free_is_chosen_from() {
    let dir = tempfile::tempdir().unwrap();
    let budget = budget(&dir, 4);
    let _first = take(&budget, 1);
    let last_two = |free: &[usize]| (free.len() == 3).then(|| free[1..].to_vec());
    std::thread::scope(|scope| {
        let chosen = scope.spawn(|| budget.take(last_two, |_| {}).unwrap().cpus());
        assert_eq!(chosen.join().unwrap(), [2, 3]);
    });
}

#[test]
fn the_queue_is_first_come_first_served() {
    let dir = tempfile::tempdir().unwrap();
    let budget = budget(&dir, 1);
    let draw = || Ticket::draw(&budget.folder).unwrap();
    let (mut first, mut second, third) = (draw(), draw(), draw());
    assert!(first.is_first().unwrap() && !second.is_first().unwrap());
    drop(third);
    let mut fourth = draw();
    drop(first);
    assert!(second.is_first().unwrap() && !fourth.is_first().unwrap());
    drop(second);
    assert!(fourth.is_first().unwrap());
    drop(fourth);
    assert!(draw().is_first().unwrap());
}

#[test]
fn a_large_machine_is_not_overtaken_by_small_ones() {
    let dir = tempfile::tempdir().unwrap();
    let budget = budget(&dir, 2);
    let small = take(&budget, 1);
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        let (budget, large_tell) = (&budget, tell.clone());
        scope.spawn(move || {
            let lease = take(budget, 2);
            large_tell.send(lease.cpus()).unwrap();
        });
        wait_for_queue(budget, 1);
        // One CPU is free, but it is the large one's turn.
        scope.spawn(move || {
            let lease = take(budget, 1);
            tell.send(lease.cpus()).unwrap();
        });
        wait_for_queue(budget, 2);
        drop(small);
    });
    assert_eq!(told.into_iter().collect::<Vec<_>>(), [vec![0, 1], vec![0]]);
}

#[test]
fn a_long_wait_says_who_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let budget = budget(&dir, 1);
    let lease = take(&budget, 1);
    let (tell, told) = mpsc::channel();
    let (budget, waited) = std::thread::scope(|scope| {
        let budget = &budget;
        let waiter =
            scope.spawn(move || budget.take_any(1, |text| tell.send(text.to_owned()).unwrap()).unwrap().waited());
        let text = told.recv().unwrap();
        assert!(text.contains(&format!("held by pid {} (", std::process::id())), "{text}");
        drop(lease);
        (budget, waiter.join().unwrap())
    });
    assert!(waited >= SAY_AFTER, "{waited:?}");
    assert_eq!(budget.cpus(), [0]);
}

#[test]
fn the_directory_is_everyone_s_and_its_files_are_empty() {
    let dir = tempfile::tempdir().unwrap();
    drop(take(&budget(&dir, 2), 2));
    let folder = dir.path().join("vcpus");
    assert_eq!(folder.metadata().unwrap().mode() & 0o7777, 0o1777);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let meta = entry.metadata().unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.len()), (0o666, 0), "{entry:?}");
        names.push(entry.file_name());
    }
    names.sort();
    assert_eq!(names, ["cpu0", "cpu1", "queue"]);
}

#[test]
fn what_a_stranger_has_put_there_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    let refused = |budget: Result<Budget, Error>| {
        let error = budget.and_then(|budget| budget.take_any(1, |_| {}).map(drop)).unwrap_err().to_string();
        assert!(error.contains(FOLDER_VARIABLE), "{error}");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    };
    let path = dir.path().join("vcpus");
    std::fs::write(&path, "").unwrap();
    refused(Budget::new(&path, vec![0]));
    std::fs::remove_file(&path).unwrap();
    symlink(dir.path(), &path).unwrap();
    refused(Budget::new(&path, vec![0]));
    std::fs::remove_file(&path).unwrap();
    for name in ["cpu0", "queue"] {
        let budget = budget(&dir, 1);
        let file = path.join(name);
        let _ = std::fs::remove_file(&file);
        symlink(&victim, &file).unwrap();
        refused(Ok(budget));
        std::fs::remove_file(&file).unwrap();
    }
    let fifo = std::ffi::CString::new(path.join("cpu0").as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: the path is a C string; the call has no other requirement.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o666) }, 0);
    refused(Ok(budget(&dir, 1)));
}

#[test]
fn a_place_for_the_directory_that_is_none_is_said() {
    let error = Budget::new(Path::new("/proc/none/vcpus"), vec![0]).unwrap_err().to_string();
    assert!(error.contains("/proc/none/vcpus cannot hold"), "{error}");
}
