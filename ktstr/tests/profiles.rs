//! A test runs with each valid set of its scheduler's flags, and each run has a record of its own.

#![allow(clippy::unwrap_used)]

mod support;

use ktstr::Record;
use ktstr::prelude::*;
use support::Specimen;

#[derive(Scheduler)]
#[scheduler(package = "scx-ktstr", topology(1, 1, 2, 1), sched_args = ["--victim", "nobody"])]
enum ScxKtstr {
    #[flag(args = ["--slice-us", "5000"])]
    ShortSlices,
    #[flag(args = ["--partial"], requires = [ShortSlices])]
    Partial,
}

#[ktstr_test(
    scheduler = ScxKtstr::SCHEDULER,
    required_flags = [ScxKtstr::ShortSlices],
    excluded_flags = ["partial"],
    duration_s = 1
)]
fn short_slices_serve_all(ctx: &Ctx) -> Result<AssertResult> {
    ensure!(arguments_in_guest()? == "--victim nobody --slice-us 5000", "{}", arguments_in_guest()?);
    scenarios::steady(ctx)
}

/// What the scheduler's process was really started with.
fn arguments_in_guest() -> Result<String> {
    let pid = std::env::var("KTSTR_SCHEDULER_PID").context("no scheduler is running")?;
    let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline"))?;
    Ok(words.split_terminator('\0').skip(1).collect::<Vec<_>>().join(" "))
}

#[ktstr_test(scheduler = ScxKtstr::SCHEDULER, duration_s = 0.5)]
#[ignore = "a specimen: fails with flags"]
fn fails_with_flags(_ctx: &Ctx) -> Result<AssertResult> {
    let arguments = arguments_in_guest()?;
    println!("arguments: {arguments}");
    ensure!(!arguments.contains("--slice-us"), "one that is on");
    Ok(AssertResult::default())
}

fn specimen(profiles: &str) -> Specimen {
    Specimen::new("fails_with_flags").env("KTSTR_PROFILE", profiles)
}

#[test]
fn each_profile_has_a_record_of_its_own() {
    let (passed, output, records) = specimen("").run_all();
    let told = |record: &Record| {
        let arguments = record.scheduler.args.join(" ");
        let really_so = record.guest.output.contains(&format!("arguments: {arguments}\n"));
        (record.file_stem(), record.verdict.word(), arguments, really_so)
    };
    let expected = [
        ("fails_with_flags.profile-plain", "Pass", ""),
        ("fails_with_flags.profile-short-slices+partial", "Fail", " --slice-us 5000 --partial"),
        ("fails_with_flags.profile-short-slices", "Fail", " --slice-us 5000"),
    ];
    let expected = expected.map(|(file, word, flags)| (file.to_owned(), word, format!("--victim nobody{flags}"), true));
    assert_eq!(records.iter().map(told).collect::<Vec<_>>(), expected, "{output}");
    assert!(!passed);
    for profile in ["short-slices", "short-slices+partial"] {
        assert!(output.contains(&format!("fails_with_flags, profile {profile}: Fail")), "{output}");
        assert!(output.contains(&format!(" KTSTR_PROFILE={profile} cargo test ")), "{output}");
    }
    assert!(!output.contains("profile plain"), "{output}");
}

#[test]
fn a_profile_can_be_picked() {
    let (passed, output, records) = specimen("plain").run_all();
    assert_eq!(records.iter().map(Record::title).collect::<Vec<_>>(), ["fails_with_flags, profile plain"], "{output}");
    assert!(passed, "{output}");
}

#[test]
fn a_profile_that_is_none_is_inconclusive() {
    let expected = "partial is no profile of the scheduler scx-ktstr in this test; its profiles are plain, short-slices, \
                    short-slices+partial";
    specimen("plain,partial").run().expect("Inconclusive", &[expected]);
}

#[test]
fn tools_are_told_what_a_profile_is() {
    let told = tempfile::NamedTempFile::new().unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--include-ignored", "fails_with_flags"])
        .env(ktstr::DESCRIBE_ENV, told.path())
        .env("KTSTR_PROFILE", "partial+short-slices,partial")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let description: ktstr::Description = serde_json::from_slice(&std::fs::read(told.path()).unwrap()).unwrap();
    let [scheduler] = description.schedulers.try_into().unwrap();
    assert_eq!(
        (scheduler.name.as_str(), scheduler.known.as_str()),
        ("scx-ktstr", "plain, short-slices, short-slices+partial")
    );
    let profiles = scheduler.profiles.iter().map(|(profile, words)| (profile.to_string(), words.join(" ")));
    let expected = ("short-slices+partial".to_owned(), "--victim nobody --slice-us 5000 --partial".to_owned());
    assert_eq!(profiles.collect::<Vec<_>>(), [expected]);
}
