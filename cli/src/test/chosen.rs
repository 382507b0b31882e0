//! Tests that this program chooses and runs itself: variants on presets, and searches through seeds.

use super::{Args, Expected, Ran, Scope, Setting, Wanted};
use crate::binaries;
use crate::gauntlet::{Budget, Choice, Costs, Listed, choose, declared, join, variants};
use crate::jobs::{self, Job, Limits, Outcome, Shown};
use anyhow::{Result, ensure};
use ktstr::{Chosen as Accelerator, runs_dir};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use xshell::Shell;

/// How many names are told of a long list.
const SHOWN: usize = 10;

/// Builds the tests, chooses, and runs what is chosen; nothing if there is rightly nothing to run.
pub(super) fn run(args: &Args, scope: &Scope, setting: &Setting, shell: &Shell) -> Result<Option<Ran>> {
    let (accel, reason) = setting.accel.choose()?;
    eprintln!("accelerator: {reason}");
    let binaries = binaries::build(shell, &scope.cargo)?;
    let costs = Costs::of(&runs_dir(&setting.target_dir), accel);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let name = args.name.as_deref().unwrap_or_default();
    let (chosen, left_out) = if args.gauntlet {
        match gauntlet(args, setting, variants(shell, binaries, &args.profile)?, &costs, cpus)? {
            Some(chosen) => chosen,
            None => return Ok(None),
        }
    } else {
        let tests = declared(shell, binaries, &args.profile, name, &scope.expected)?;
        ensure!(
            !tests.is_empty(),
            "no scheduler test has {name:?} in its name{}: give a whole name, or a part of more",
            picked(args)
        );
        (with_costs(tests, &costs, cpus), Vec::new())
    };
    let jobs = jobs(args, setting, accel, &chosen);
    let limits = Limits {
        cpus,
        budget: args.budget,
        stop_at_failure: args.seeds.is_some(),
        shown: Shown { console: args.console, trace: args.trace.is_some() },
        interrupted: &setting.interrupted,
    };
    let asked: Vec<Run> = jobs.iter().map(Run::of).collect();
    let outcome = jobs::run(jobs, &limits)?;
    let mut notes = left_out;
    notes.extend(tell(args, &outcome, asked.len()));
    let interrupted = setting.interrupted.load(Ordering::Relaxed);
    let left_out: HashSet<Run> = outcome.left_out.iter().map(Run::of).collect();
    let begun = asked.iter().filter(|run| !left_out.contains(run));
    let expected = begun.map(|run| Expected::new(&run.test, setting.id_of(&run.kernel))).collect();
    Ok(Some(Ran { passed: outcome.failed.is_empty() && !interrupted, expected, notes }))
}

/// The profiles that were asked for, in an error's words.
fn picked(args: &Args) -> String {
    let profiles = (!args.profile.is_empty()).then(|| format!(" and a profile of {}", join(&args.profile)));
    profiles.unwrap_or_default()
}

/// What tells a job from others.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Run {
    test: String,
    kernel: String,
    seed: u64,
}

impl Run {
    fn of(job: &Job) -> Self {
        Self { test: job.test.description.variant(), kernel: job.kernel.clone(), seed: job.seed }
    }
}

fn with_costs(tests: Vec<Listed>, costs: &Costs, cpus: usize) -> Vec<Choice> {
    let choice = |test: Listed| {
        let (seconds, cpus) = (costs.seconds(&test.description), costs.cpus(&test.description, cpus));
        Choice { test, seconds, cpus }
    };
    tests.into_iter().map(choice).collect()
}

/// The variants that fit the name, the presets, the shard and the budget, and what there is to say of the others; nothing if the
/// shard is empty.
fn gauntlet(
    args: &Args,
    setting: &Setting,
    all: Vec<Listed>,
    costs: &Costs,
    cpus: usize,
) -> Result<Option<(Vec<Choice>, Vec<String>)>> {
    let is_named = |test: &Listed| args.name.as_deref().is_none_or(|name| test.description.name.contains(name));
    let has_preset = |test: &Listed| {
        args.preset.is_empty() || args.preset.iter().any(|preset| test.description.preset.as_ref() == Some(preset))
    };
    let mut tests: Vec<Listed> = all.into_iter().filter(|test| is_named(test) && has_preset(test)).collect();
    ensure!(!tests.is_empty(), "no test with this name has a variant on such a preset{}", picked(args));
    if let Some(shard) = args.shard {
        let count = tests.len();
        tests.retain(|test| shard.has(&test.description));
        if tests.is_empty() {
            eprintln!("of the {count} variants none is in shard {shard}: there is nothing to run");
            return Ok(None);
        }
    }
    let choices = with_costs(tests, costs, cpus);
    let quickest = choices.iter().map(|choice| choice.seconds).fold(f64::INFINITY, f64::min);
    // Shared by each kernel and each seed.
    let runs = setting.kernels.len() as f64 * f64::from(args.seeds.unwrap_or(1));
    let budget = args.budget.map(|budget| Budget { seconds: budget.as_secs_f64() / runs, cpus });
    let chosen = choose(choices, budget);
    ensure!(
        !chosen.picked.is_empty(),
        "the budget has no room for any of the variants: the quickest takes about {quickest:.0} s, for each kernel and seed"
    );
    eprintln!("gauntlet: {chosen}");
    let left_out = chosen.left_out.iter().map(|choice| choice.test.description.variant()).collect::<Vec<_>>();
    let note = (!left_out.is_empty()).then(|| format!("left out for the budget: {}", few(&left_out)));
    Ok(Some((chosen.picked, note.into_iter().collect())))
}

/// Each choice with each kernel, seed by seed.
fn jobs(args: &Args, setting: &Setting, accel: Accelerator, choices: &[Choice]) -> Vec<Job> {
    let first = args.seed.unwrap_or(setting.settings.seed);
    let seeds = (0..u64::from(args.seeds.unwrap_or(1))).map(|number| first.wrapping_add(number));
    let rounds = seeds.flat_map(|seed| setting.kernels.iter().map(move |kernel| (seed, kernel)));
    let job = |(seed, kernel): (u64, &Wanted), choice: &Choice| Job {
        test: choice.test.clone(),
        kernel: kernel.spec.to_string(),
        seed,
        accel,
        run_id: setting.run_id.clone(),
        seconds: choice.seconds,
        cpus: choice.cpus,
    };
    rounds.flat_map(|round| choices.iter().map(move |choice| job(round, choice))).collect()
}

/// What to do about failures, and what was not run.
fn tell(args: &Args, outcome: &Outcome, jobs: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for job in outcome.failed.iter().take(SHOWN) {
        lines.push(format!("failed: {job}\n  again:  {}", job.again()));
    }
    let left_out: Vec<String> = outcome.left_out.iter().map(ToString::to_string).collect();
    let said = format!("{} of {jobs} runs were not begun", left_out.len());
    lines.extend(match (args.seeds, args.budget) {
        _ if left_out.is_empty() => None,
        // One seed more or less is nothing that has to be named.
        (Some(_), _) if !outcome.failed.is_empty() => Some(format!("{said} after the first failure")),
        (_, Some(_)) => Some(format!("{said} when the budget was spent: {}", few(&left_out))),
        _ => Some(format!("{said} after the interrupt")),
    });
    lines
}

/// The first few of the names.
fn few<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
