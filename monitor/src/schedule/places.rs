//! Where in a kernel's code the scheduler does what, and what is to be read there.

use ktstr_btf::{STRUCT, Types};
use ktstr_vmm::stops::{Base, Read, Register};

/// A place in the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// `__switch_to(prev, next)` (arch/x86/kernel/process_64.c).
    Switch,
    /// `try_to_wake_up(p, state, flags)` (kernel/sched/core.c). Not each is one.
    Waking,
    /// `wakeup_preempt(rq, p, flags)` (kernel/sched/core.c): a task has just been put on a runqueue, awake or moved.
    Queued,
    /// `set_task_cpu(p, cpu)` (kernel/sched/core.c). It can be the one where it is.
    SetCpu,
    /// `tick_do_update_jiffies64(now)` (kernel/time/tick-sched.c), which is told `CLOCK_MONOTONIC` as it is.
    Clock,
}

/// Each with the function that it is the beginning of.
const FUNCTIONS: [(Point, &str); 5] = [
    (Point::Switch, "__switch_to"),
    (Point::Waking, "try_to_wake_up"),
    (Point::Queued, "wakeup_preempt"),
    (Point::SetCpu, "set_task_cpu"),
    (Point::Clock, "tick_do_update_jiffies64"),
];

/// `TASK_COMM_LEN` (include/linux/sched.h).
const COMM_BYTES: usize = 16;
/// Of a cgroup's name, its end included.
const NAME_BYTES: usize = 32;

/// The first and the second argument (System V ABI, AMD64 supplement, 3.2.3).
const FIRST: Register = Register::Rdi;
const SECOND: Register = Register::Rsi;

/// No kernel maps this address.
const NOTHING: Read = Read { base: Base::None, offset: 0, bytes: 1 };

/// Why a kernel's scheduler cannot be seen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A function has no symbol: it may have been inlined.
    #[error("this kernel has no function {0} that can be stopped at")]
    NoFunction(&'static str),
    /// Its types cannot be read.
    #[error("this kernel's types cannot be read")]
    Btf(#[from] ktstr_btf::Error),
    /// A structure has another shape.
    #[error("this kernel's BTF has no member {member} in struct {structure}")]
    NoMember {
        /// The structure.
        structure: &'static str,
        /// The member.
        member: &'static str,
    },
}

/// A stop point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What happens there.
    pub point: Point,
    /// The guest-virtual address, in a kernel that KASLR has not moved.
    pub address: u64,
    /// What is read there: [`super::Recorder`] expects it.
    pub reads: Vec<Read>,
}

/// All stop points of a kernel's scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places(Vec<Place>);

impl Places {
    /// Those of a kernel with these symbols and this `.BTF` section.
    ///
    /// # Errors
    /// What the kernel lacks.
    pub fn of(address: impl Fn(&str) -> Option<u64>, btf: &[u8]) -> Result<Self, Error> {
        let members = Members::of(btf)?;
        let place = |(point, function)| {
            let address = address(function).ok_or(Error::NoFunction(function))?;
            Ok(Place { point, address, reads: members.reads(point) })
        };
        Ok(Self(FUNCTIONS.into_iter().map(place).collect::<Result<_, Error>>()?))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Place> {
        self.0.iter()
    }
}

/// Where members are, in bytes.
struct Members {
    pid: i64,
    comm: i64,
    state: i64,
    on_rq: i64,
    /// Since Linux 6.12 a task that sleeps can stay on its runqueue for a while.
    delayed: Option<i64>,
    cpu: i64,
    cgroups: i64,
    default_cgroup: i64,
    node: i64,
    node_id: i64,
    node_name: i64,
    rq_cpu: i64,
}

impl Members {
    fn of(btf: &[u8]) -> Result<Self, Error> {
        let types = Types::parse(btf)?;
        let member = |structure, member| {
            let found = types.find(STRUCT, structure).and_then(|holder| types.member_offset(&holder, member));
            found.map(i64::from).ok_or(Error::NoMember { structure, member })
        };
        Ok(Self {
            pid: member("task_struct", "pid")?,
            comm: member("task_struct", "comm")?,
            state: member("task_struct", "__state")?,
            on_rq: member("task_struct", "on_rq")?,
            delayed: member("sched_entity", "sched_delayed")
                .ok()
                .zip(member("task_struct", "se").ok())
                .map(|(a, b)| a + b),
            cpu: member("task_struct", "thread_info")? + member("thread_info", "cpu")?,
            cgroups: member("task_struct", "cgroups")?,
            default_cgroup: member("css_set", "dfl_cgrp")?,
            node: member("cgroup", "kn")?,
            node_id: member("kernfs_node", "id")?,
            node_name: member("kernfs_node", "name")?,
            rq_cpu: member("rq", "cpu")?,
        })
    }

    fn reads(&self, point: Point) -> Vec<Read> {
        let number = |register, offset| Read { base: Base::Register(register), offset, bytes: 4 };
        match point {
            Point::Switch => {
                // Without the member, what cannot be is read.
                let delayed = self.delayed.map_or(NOTHING, |offset| Read { bytes: 1, ..number(FIRST, offset) });
                // 0, 1 or 2 in an `int` or, since Linux 7.2, in a byte.
                let on_rq = Read { bytes: 1, ..number(FIRST, self.on_rq) };
                let mut reads = vec![number(FIRST, self.pid), number(FIRST, self.state), on_rq, delayed];
                reads.extend(self.task(SECOND, reads.len()));
                reads
            }
            Point::Waking => vec![number(FIRST, self.pid)],
            Point::Queued => {
                let mut reads = vec![number(FIRST, self.rq_cpu)];
                reads.extend(self.task(SECOND, reads.len()));
                reads
            }
            Point::SetCpu => {
                let mut reads = vec![number(FIRST, self.cpu)];
                reads.extend(self.task(FIRST, reads.len()));
                reads
            }
            Point::Clock => Vec::new(),
        }
    }

    /// What [`super::Task`] is made of, behind so many other values.
    fn task(&self, task: Register, before: usize) -> [Read; TASK_VALUES] {
        let behind = |number: usize, offset, bytes| Read { base: Base::Value(before + number), offset, bytes };
        [
            Read { base: Base::Register(task), offset: self.pid, bytes: 4 },
            Read { base: Base::Register(task), offset: self.comm, bytes: COMM_BYTES },
            Read { base: Base::Register(task), offset: self.cgroups, bytes: 8 },
            behind(2, self.default_cgroup, 8),
            behind(3, self.node, 8),
            behind(4, self.node_id, 8),
            behind(4, self.node_name, 8),
            behind(6, 0, NAME_BYTES),
        ]
    }
}

/// Values of the task that a switch is from, before those of the one that it is to.
pub(super) const FROM_VALUES: usize = 4;
/// Values of a task.
pub(super) const TASK_VALUES: usize = 8;
/// Which of them they are.
pub(super) const PID: usize = 0;
pub(super) const COMM: usize = 1;
pub(super) const CGROUP_ID: usize = 5;
pub(super) const CGROUP_NAME: usize = 7;
