//! A scenario as it will be run: checked, and with everything in it resolved for the machine.

use crate::scenarios::op::Op;
use crate::scenarios::step::{HoldSpec, Step};
use crate::scenarios::world::{Refused, World};
use ktstr_wire::Machine;
use ktstr_workload::{CpusetSpec, Work};
use std::time::Duration;

/// Why a scenario cannot be run. Nothing has been started then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// An op.
    #[error("{step}, {op}: {refused}")]
    Op {
        /// The step's name.
        step: String,
        /// The op and its place in the step: `op 0, Freeze a`.
        op: String,
        /// What is wrong with it.
        refused: Refused,
    },
    /// How long a step lasts.
    #[error("{step} cannot hold for {hold:?}: {why}")]
    Hold {
        /// The step's name.
        step: String,
        /// As given.
        hold: HoldSpec,
        /// What is wrong with it.
        why: &'static str,
    },
    /// All steps together.
    #[error(
        "the steps up to {step} hold for {:.3} s, and the test's duration is {:.3} s: shorten them, or declare a longer \
         duration_s",
        held.as_secs_f64(),
        duration.as_secs_f64()
    )]
    TooLong {
        /// The name of the step that ends too late.
        step: String,
        /// Up to its end.
        held: Duration,
        /// What the test declares.
        duration: Duration,
    },
}

/// A step that can be run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub(super) name: String,
    /// Of the step's setup.
    pub(super) setup: Vec<Op>,
    pub(super) ops: Vec<Op>,
    pub(super) hold: Duration,
    /// The interval at which the ops are repeated.
    pub(super) every: Option<Duration>,
}

/// What a plan is made for.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) machine: &'a Machine,
    pub(super) duration: Duration,
    pub(super) workers_per_cgroup: u32,
    /// Before the first step.
    pub(super) world: World,
}

/// Checks the steps one after the other and resolves what is in them.
pub(super) fn plan(steps: &[Step], mut around: Surroundings<'_>) -> Result<Vec<Planned>, PlanError> {
    let holds = holds(steps, around.duration)?;
    let mut planned = Vec::with_capacity(steps.len());
    for (number, (step, (hold, every))) in steps.iter().zip(holds).enumerate() {
        let name = name(number, step);
        let setup: Vec<Op> = step.setup.iter().flat_map(Op::of_def).collect();
        let setup = around.resolve(&name, |_| "setup".to_owned(), &setup)?;
        let ops = around.resolve(&name, |number| format!("op {number}"), &step.ops)?;
        if every.is_some() {
            around.resolve(&name, |number| format!("op {number} when repeated"), &step.ops)?;
        }
        planned.push(Planned { name, setup, ops, hold, every });
    }
    Ok(planned)
}

impl Surroundings<'_> {
    /// The ops with the machine's CPUs and numbers of workers in them, each checked against what is there when it comes.
    fn resolve(&mut self, step: &str, place: impl Fn(usize) -> String, ops: &[Op]) -> Result<Vec<Op>, PlanError> {
        let resolve_one = |(number, op): (usize, &Op)| {
            let resolved = self.resolved(op).and_then(|op| self.world.apply(&op).map(|()| op));
            let op = || format!("{}, {op}", place(number));
            resolved.map_err(|refused| PlanError::Op { step: step.to_owned(), op: op(), refused })
        };
        ops.iter().enumerate().map(resolve_one).collect()
    }

    fn resolved(&self, op: &Op) -> Result<Op, Refused> {
        let counted = |work: &Work| work.clone().workers(work.count(self.workers_per_cgroup));
        Ok(match op {
            Op::SetCpuset { cgroup, cpus } => {
                let cpus = cpus.resolve(self.machine).map_err(|error| Refused::NoCpus(error.to_string()))?;
                Op::set_cpuset(cgroup, CpusetSpec::Exact(cpus))
            }
            Op::Spawn { cgroup, work } => Op::spawn(cgroup, counted(work)),
            Op::SpawnHost { work } => Op::spawn_host(counted(work)),
            other => other.clone(),
        })
    }
}

fn name(number: usize, step: &Step) -> String {
    step.name.clone().unwrap_or_else(|| format!("step {number}"))
}

/// How long each step holds, and at what interval its ops are repeated.
fn holds(steps: &[Step], duration: Duration) -> Result<Vec<(Duration, Option<Duration>)>, PlanError> {
    let mut held = Duration::ZERO;
    for (number, step) in steps.iter().enumerate() {
        let refuse = |why| Err(PlanError::Hold { step: name(number, step), hold: step.hold, why });
        match step.hold {
            HoldSpec::Frac(part) if !(0.0..=1.0).contains(&part) => return refuse("a part is from 0 to 1"),
            HoldSpec::Loop { interval } if interval.is_zero() => return refuse("the interval must not be nothing"),
            HoldSpec::Loop { .. } if step.ops.is_empty() => return refuse("there are no ops to repeat"),
            hold => held += fixed(hold, duration),
        }
        // Thirds and the like add up to a little more than the whole.
        if held > duration + Duration::from_micros(1) {
            return Err(PlanError::TooLong { step: name(number, step), held, duration });
        }
    }
    let loops = steps.iter().filter(|step| matches!(step.hold, HoldSpec::Loop { .. })).count();
    let share = duration.saturating_sub(held) / u32::try_from(loops.max(1)).unwrap_or(u32::MAX);
    let hold = |(number, step): (usize, &Step)| match step.hold {
        HoldSpec::Loop { interval } if interval > share => {
            let why = "the other steps do not leave as much of the test's duration";
            Err(PlanError::Hold { step: name(number, step), hold: step.hold, why })
        }
        HoldSpec::Loop { interval } => Ok((share, Some(interval))),
        hold => Ok((fixed(hold, duration), None)),
    };
    steps.iter().enumerate().map(hold).collect()
}

fn fixed(hold: HoldSpec, duration: Duration) -> Duration {
    match hold {
        HoldSpec::Frac(part) => duration.mul_f64(part),
        HoldSpec::Fixed(length) => length,
        HoldSpec::Loop { .. } => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_wire::Topology;
    use ktstr_workload::CgroupDef;

    const INTERVAL: Duration = Duration::from_millis(100);

    fn planned(steps: &[Step]) -> Result<Vec<Planned>, String> {
        let machine = Machine::new(Topology::new(2, 2, 1), 1 << 30);
        let world = World::new((0..4).collect(), (1..4).collect());
        let around = Surroundings { machine: &machine, duration: Duration::from_secs(2), workers_per_cgroup: 3, world };
        plan(steps, around).map_err(|error| error.to_string())
    }

    fn check(steps: &[Step], expected: &str) {
        assert_eq!(planned(steps).map_or_else(|error| error, |_| String::new()), expected);
    }

    fn quick() -> Step {
        Step::new(HoldSpec::Frac(0.25))
    }

    #[test]
    fn what_is_in_a_step_is_resolved() {
        let def = CgroupDef::named("a").with_cpuset(CpusetSpec::Llc(1)).cpu_weight(50);
        let steps = planned(&[quick().setup([def]), quick().named("b").ops([Op::spawn_host(Work::default())])]);
        let [first, second] = &steps.unwrap()[..] else { panic!("two steps") };
        let texts: Vec<String> = first.setup.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["AddCgroup a", "SetCpuset a 2-3", "SetWeight a 50", "Spawn a 3 cpu_spin"]);
        assert_eq!((first.name.as_str(), first.hold), ("step 0", Duration::from_millis(500)));
        assert_eq!((second.name.as_str(), second.ops[0].to_string().as_str()), ("b", "SpawnHost 3 cpu_spin"));
    }

    #[test]
    fn steps_share_the_duration() {
        let looped = Step::new(HoldSpec::Loop { interval: INTERVAL }).ops([Op::cpu_offline(1), Op::cpu_online(1)]);
        let holds: Vec<_> = planned(&[quick(), looped.clone(), looped]).unwrap().into_iter().map(|s| s.hold).collect();
        assert_eq!(holds, [500, 750, 750].map(Duration::from_millis));
        let third = Step::new(HoldSpec::Frac(1.0 / 3.0));
        check(&[third.clone(), third.clone(), third], "");
    }

    #[test]
    fn holds_fit_the_duration() {
        let too_long = "the steps up to step 1 hold for 2.500 s, and the test's duration is 2.000 s: shorten them, or \
                        declare a longer duration_s";
        check(&[Step::new(HoldSpec::Frac(1.0)), quick()], too_long);
        let hold = |hold| [Step::new(hold).ops([Op::cpu_offline(1), Op::cpu_online(1)])];
        check(
            &hold(HoldSpec::Fixed(Duration::from_secs(3)))[..],
            &too_long.replace("1 hold for 2.5", "0 hold for 3.0"),
        );
        check(&hold(HoldSpec::Frac(-0.5)), "step 0 cannot hold for Frac(-0.5): a part is from 0 to 1");
        let no_time = "step 1 cannot hold for Loop { interval: 100ms }: the other steps do not leave as much of the \
                       test's duration";
        let looped = HoldSpec::Loop { interval: INTERVAL };
        check(&[Step::default(), hold(looped)[0].clone()], no_time);
        check(&[Step::new(looped)], "step 0 cannot hold for Loop { interval: 100ms }: there are no ops to repeat");
    }

    #[test]
    fn an_op_that_cannot_be_done_is_named() {
        let gone = [quick().setup([CgroupDef::named("a")]), quick().ops([Op::remove_cgroup("a"), Op::freeze("a")])];
        check(&gone, "step 1, op 1, Freeze a: there is no cgroup a then");
        let twice = Step::new(HoldSpec::Loop { interval: INTERVAL }).named("add").ops([Op::add_cgroup("a")]);
        check(&[twice], "add, op 0 when repeated, AddCgroup a: there is a cgroup a already");
        let absent = quick().setup([CgroupDef::named("a").with_cpuset(CpusetSpec::Llc(2))]);
        check(&[absent], "step 0, setup, SetCpuset a Llc(2): Llc(2) names no CPUs of a machine with topology 1,2,2,1");
    }
}
