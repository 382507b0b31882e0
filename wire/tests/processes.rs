//! The ring between two processes, either of which may be killed at any moment.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ktstr_wire::MappedRegion;
use ktstr_wire::ring::{Consumer, Producer, Span, format};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

const SPAN: Span = Span { offset: 0, data_bytes: 4096 };

/// For a process that has stopped making progress.
const STANDSTILL: Duration = Duration::from_secs(60);

/// Where the other process finds the ring, and which end it is.
const FILE_VARIABLE: &str = "KTSTR_TEST_RING_FILE";

/// A frame that tells its own number, of a length that follows from it.
fn payload(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(1 + number as usize % 97)
}

fn map(file: &File) -> MappedRegion {
    let len = SPAN.len_bytes();
    let flags = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new shared mapping of the whole file, which is never unmapped.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), len, flags, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    assert_ne!(at, libc::MAP_FAILED);
    // SAFETY: as above, and page-aligned.
    unsafe { MappedRegion::new(NonNull::new(at.cast()).unwrap(), len) }
}

/// An empty ring in memory of which only the path in /proc tells.
fn ring() -> (File, MappedRegion) {
    // SAFETY: the name is a string literal.
    let fd = unsafe { libc::memfd_create(c"ktstr-test-ring".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0);
    // SAFETY: just made, and nobody else's.
    let file: File = unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) };
    file.set_len(SPAN.len_bytes() as u64).unwrap();
    let region = map(&file);
    format(&region, SPAN).unwrap();
    (file, region)
}

/// Another process, gone when this value is.
struct Other(Child);

impl Other {
    /// Starts this program at one of its ignored tests, and waits until that has the ring.
    fn start(test: &str, file: &File) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--ignored", "--nocapture"]).stdout(Stdio::piped()).stderr(Stdio::null());
        command.env(FILE_VARIABLE, format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let other = Self(child);
        assert!(lines.map_while(Result::ok).any(|line| line.ends_with("ready")), "the other process has no ring");
        other
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The ring of the process that started this one. It is held no longer than that lives.
fn inherited() -> MappedRegion {
    // SAFETY: plain system call; a parent that dies takes this process along.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let path = std::env::var(FILE_VARIABLE).expect("run by another test");
    let region = map(&File::options().read(true).write(true).open(path).unwrap());
    println!("ready");
    region
}

#[test]
#[ignore = "the other process of two tests"]
fn produces() {
    let mut producer = Producer::new(inherited(), SPAN).unwrap();
    for number in 0.. {
        while !producer.push(&payload(number)).unwrap() {
            std::thread::yield_now();
        }
    }
}

#[test]
#[ignore = "the other process of a test"]
fn consumes() {
    let mut consumer = Consumer::new(inherited(), SPAN).unwrap();
    consume(&mut consumer, 0, |_| false);
}

/// Consumes until `enough` says so; tells the number of the next frame.
fn consume(consumer: &mut Consumer<MappedRegion>, mut next: u32, mut enough: impl FnMut(u32) -> bool) -> u32 {
    let mut progress = Instant::now();
    while !enough(next) {
        assert!(progress.elapsed() < STANDSTILL, "nothing behind frame {next}");
        let before = next;
        consumer
            .drain(|frame| {
                assert_eq!(frame, payload(next));
                next += 1;
            })
            .unwrap();
        if next != before {
            progress = Instant::now();
        }
        std::thread::yield_now();
    }
    next
}

#[test]
fn a_killed_producer_leaves_whole_frames() {
    for round in 1..=20 {
        let (file, region) = ring();
        let mut consumer = Consumer::new(region, SPAN).unwrap();
        let producer = Other::start("produces", &file);
        // Killed while it writes, or while it waits for room: whatever it is at by then.
        let next = consume(&mut consumer, 0, |next| next > round * 50);
        producer.kill();
        let mut left = 0;
        consumer
            .drain(|frame| {
                assert_eq!(frame, payload(next + left));
                left += 1;
            })
            .unwrap();
        assert_eq!(consumer.pop(), Ok(None));
        // Another producer goes on where that one was.
        assert_eq!(Producer::new(region, SPAN).unwrap().push(b"more"), Ok(true));
        assert_eq!(consumer.pop().unwrap().as_deref(), Some(&b"more"[..]));
    }
}

#[test]
fn a_killed_consumer_leaves_a_ring_that_fills() {
    for round in 1..=20 {
        let (file, region) = ring();
        let mut producer = Producer::new(region, SPAN).unwrap();
        let consumer = Other::start("consumes", &file);
        let began = Instant::now();
        let mut number = 0;
        while number < round * 50 {
            assert!(began.elapsed() < STANDSTILL, "no room for frame {number}");
            number += u32::from(producer.push(&payload(number)).unwrap());
        }
        consumer.kill();
        while producer.push(&payload(number)).unwrap() {
            number += 1;
        }
        producer.count_dropped();
        // Another consumer finds every frame that the dead one had not told of, and no other.
        let mut consumer = Consumer::new(region, SPAN).unwrap();
        let mut frames = Vec::new();
        consumer.drain(|frame| frames.push(frame.to_vec())).unwrap();
        let first = number - frames.len() as u32;
        assert!(frames.iter().zip(first..).all(|(frame, number)| *frame == payload(number)));
        assert_eq!((consumer.dropped(), producer.push(&payload(number))), (1, Ok(true)));
    }
}

#[test]
fn many_frames_cross_whole_and_in_order() {
    let (file, region) = ring();
    let _producer = Other::start("produces", &file);
    let mut consumer = Consumer::new(region, SPAN).unwrap();
    consume(&mut consumer, 0, |next| next > 200_000);
}
