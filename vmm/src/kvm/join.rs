//! Waiting for vCPU threads, but not for ever.
//!
//! A thread that has been told to leave its guest leaves it as soon as the host's kernel lets it. A kernel that does not,
//! because it is stuck itself or so loaded that nothing moves, must not take the test with it: the wait has a limit, and
//! the threads that are left are named, with what the host's kernel says they do.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time between two tries to get threads out of their guests.
pub(super) const RETRY: Duration = Duration::from_millis(1);

/// The most that a try rests after many were in vain: each costs a signal a vCPU, on a host that is short of time.
const MAX_RETRY: Duration = Duration::from_millis(100);

/// Waits until all threads have ended, calling `urge` before each look. `threads` is empty afterwards.
///
/// # Errors
/// The threads that have not ended within `limit`; they are no longer waited for.
pub(super) fn join_all(
    threads: &mut Vec<JoinHandle<()>>,
    limit: Duration,
    mut urge: impl FnMut(),
) -> Result<(), Vec<String>> {
    let (began, mut rest) = (Instant::now(), RETRY);
    loop {
        // Asked first, so that the threads are looked at once more after the time is up.
        let late = began.elapsed() >= limit;
        urge();
        if late || threads.iter().all(JoinHandle::is_finished) {
            break;
        }
        std::thread::sleep(rest);
        rest = (rest * 2).min(MAX_RETRY);
    }
    let (ended, left): (Vec<_>, Vec<_>) = threads.drain(..).partition(JoinHandle::is_finished);
    for thread in ended {
        // What a thread panicked of is on stderr already.
        let _ = thread.join();
    }
    let left: Vec<String> = left.iter().map(|thread| thread.thread().name().unwrap_or("a thread").to_owned()).collect();
    if left.is_empty() { Ok(()) } else { Err(left) }
}

/// What the host's kernel says of a thread of this process: its state, and where in the kernel it sleeps (proc(5)).
pub(super) fn state_of(tid: u32) -> String {
    let read = |file| std::fs::read_to_string(format!("/proc/self/task/{tid}/{file}"));
    let Ok(status) = read("status") else { return "gone".to_owned() };
    let state = status.lines().find_map(|line| line.strip_prefix("State:")).map_or("unknown state", str::trim);
    match read("wchan") {
        Ok(place) if place != "0" && !place.is_empty() => format!("{state} in {place}"),
        _ => state.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        std::thread::Builder::new().name(name.to_owned()).spawn(body).unwrap()
    }

    #[test]
    fn a_thread_that_does_not_come_back_is_named_and_left() {
        let (release, released) = mpsc::channel::<()>();
        let (gone, is_gone) = mpsc::channel();
        let stuck = move || {
            let _ = released.recv();
            let _ = gone.send(());
        };
        let mut threads = vec![thread("vcpu0", || {}), thread("vcpu1", stuck)];
        // So that the one that comes back has.
        while !threads[0].is_finished() {
            std::thread::yield_now();
        }
        let mut urged = 0;
        let left = join_all(&mut threads, Duration::from_millis(5), || urged += 1);
        assert_eq!(left, Err(vec!["vcpu1".to_owned()]));
        assert!(urged > 1, "it is told again and again");
        assert!(threads.is_empty(), "nobody waits for it a second time");
        assert_eq!(join_all(&mut threads, Duration::ZERO, || {}), Ok(()));
        drop(release);
        is_gone.recv().unwrap();
    }

    #[test]
    fn threads_that_listen_are_waited_for() {
        let (tell, told) = mpsc::channel::<()>();
        let listen = move || {
            let _ = told.recv();
        };
        let mut threads = vec![thread("vcpu0", listen)];
        let urge = || {
            let _ = tell.send(());
        };
        assert_eq!(join_all(&mut threads, Duration::from_secs(60), urge), Ok(()));
    }

    #[test]
    fn says_what_a_thread_does() {
        // SAFETY: plain system call.
        let tid = unsafe { libc::gettid() } as u32;
        assert!(state_of(tid).starts_with("R (running)"), "{}", state_of(tid));
        assert_eq!(state_of(u32::MAX), "gone");
    }
}
