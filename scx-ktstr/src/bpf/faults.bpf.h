/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The switches that make the scheduler misbehave, and whom they befall. All are in the map "ktstr_bp.data" (libbpf shortens
 * "ktstr_bpf"), whose BTF names them, and may be written at any time. README.md has what the kernel says of each.
 */
#ifndef KTSTR_FAULTS_H
#define KTSTR_FAULTS_H

#define SWITCH SEC(".data")

/* 1: the first victim that is enqueued waits for as long as this is set. */
volatile u32 fault_stall_task SWITCH = 0;
/* That victim's PID. Written beforehand, it is the one that stalls, whoever it is. */
volatile s32 fault_stalled_pid SWITCH = 0;
/* A CPU that no victim gets any more; -1: none. */
volatile s32 fault_stall_cpu SWITCH = -1;
/* How many enqueues of victims from now on are dropped. */
volatile u64 fault_drop_enqueue SWITCH = 0;
/* 1: victims with forbidden CPUs are inserted on one of these. */
volatile u32 fault_ignore_affinity SWITCH = 0;
/* 1: victims are inserted into a queue that does not exist. */
volatile u32 fault_wrong_dsq SWITCH = 0;
/* N: scx_bpf_error() when a task is put on a CPU for the Nth time from now on. */
volatile u64 fault_error_exit SWITCH = 0;
/* How long each dispatch() keeps its CPU, in microseconds; a second at most. */
volatile u32 fault_slow_dispatch_us SWITCH = 0;
/* N: victims with an odd PID are served as if they had an Nth of their weight. */
volatile u32 fault_unfair_weights SWITCH = 0;
/* N: the process in user space aborts when a task is put on a CPU for the Nth time from now on. */
volatile u64 fault_crash_after_dispatches SWITCH = 0;

/* Victims have a name that begins so; empty: any name. */
volatile char victim_comm[16] SWITCH = {};
/* Victims have run for this long: those that start and steer the others mostly have not. */
volatile u64 victim_min_runtime_ns SWITCH = 100 * 1000 * 1000;

/* The process that loaded this. */
const volatile s32 own_tgid;

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */

static bool has_victims_name(struct task_struct *p)
{
	u32 i;

	for (i = 0; i < sizeof(victim_comm) - 1; i++) {
		char wanted = victim_comm[i];

		if (!wanted)
			return true;
		if (p->comm[i] != wanted)
			return false;
	}
	return true;
}

/*
 * Whether faults may befall a task. Neither kernel threads, nor init, nor the scheduler's own process: the machine must be
 * alive for the kernel to find the fault.
 */
static bool is_victim(struct task_struct *p)
{
	if (p->flags & PF_KTHREAD || p->tgid == 1 || p->tgid == own_tgid)
		return false;
	return p->se.sum_exec_runtime >= victim_min_runtime_ns && has_victims_name(p);
}

/* Whether it is this task that stalls. */
static bool is_stalled(struct task_struct *p)
{
	s32 pid = fault_stalled_pid;

	if (!fault_stall_task)
		return false;
	if (!pid && is_victim(p))
		pid = __sync_val_compare_and_swap(&fault_stalled_pid, 0, p->pid) ?: p->pid;
	return pid == p->pid;
}

/* Whether a task that is on a CPU, or would be, does not get it. */
static bool is_withheld(struct task_struct *p, s32 cpu)
{
	return is_stalled(p) || (cpu == fault_stall_cpu && is_victim(p));
}

/* Takes one off a count that is not 0; whether that was the last. */
static bool counts_to_zero(volatile u64 *count)
{
	u32 i;

	/* Lost races are rare, and one count that is lost in the end is no harm. */
	for (i = 0; i < 8; i++) {
		u64 left = *count;

		if (!left)
			return false;
		if (__sync_val_compare_and_swap(count, left, left - 1) == left)
			return left == 1;
	}
	return false;
}

/* Whether this enqueue is one to be dropped. */
static bool is_dropped(void)
{
	u64 left = fault_drop_enqueue;

	return left && __sync_val_compare_and_swap(&fault_drop_enqueue, left, left - 1) == left;
}

static long has_passed(u64 step, u64 *until_ns)
{
	return bpf_ktime_get_ns() >= *until_ns;
}

static void be_slow(void)
{
	u64 us = fault_slow_dispatch_us, until_ns;

	if (!us)
		return;
	until_ns = bpf_ktime_get_ns() + (us < 1000000 ? us : 1000000) * 1000;
	bpf_loop(1 << 23, has_passed, &until_ns, 0);
}

/* How many times less than its weight a task is served. */
static u64 unfairness(struct task_struct *p)
{
	u64 factor = fault_unfair_weights;

	return factor > 1 && p->pid & 1 && is_victim(p) ? factor : 1;
}

#endif
