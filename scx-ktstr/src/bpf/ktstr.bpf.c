// SPDX-License-Identifier: GPL-2.0-only
/*
 * A minimal sched_ext scheduler: one FIFO queue for the machine, or a queue ordered by virtual time for each LLC.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "kfuncs.bpf.h"
#include "faults.bpf.h"
#include "exit.bpf.h"

char _license[] SEC("license") = "GPL";

#define MAX_CPUS 1024
#define MAX_LLCS 256

/* Queues: those of the LLCs have their numbers. */
#define FIFO_DSQ 0x1000
/* Tasks that are withheld. */
#define STALL_DSQ 0x1001
/* Nobody makes this one. */
#define ABSENT_DSQ 0xdead

const volatile bool by_vtime;
const volatile u64 slice_ns = 20 * 1000 * 1000;
const volatile u32 nr_cpus = 1;
const volatile u32 nr_llcs = 1;
const volatile u16 cpu_llc[MAX_CPUS];

/* How far each LLC has got in virtual time, in nanoseconds at weight 100. */
u64 llc_vtime[MAX_LLCS];

/* What virtual time needs to know of a task. */
struct task_ctx {
	/* When it was put on its CPU. */
	u64 running_since_ns;
	/* The LLC that its virtual time belongs to. */
	u32 llc;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_ctx);
} task_ctxs SEC(".maps");

static struct task_ctx *task_ctx(struct task_struct *p)
{
	return bpf_task_storage_get(&task_ctxs, p, 0, 0);
}

static u32 llc_of(s32 cpu)
{
	u32 index = cpu;

	/* Else clang before 19 may compare one copy and use another, of which the verifier then knows no bound. */
	barrier_var(index);
	return index < MAX_CPUS ? cpu_llc[index] : 0;
}

/* The clock of an LLC. */
static u64 *clock_of(u32 llc)
{
	/* Else the compiler may prove the bound away, and the verifier does not know that proof. */
	barrier_var(llc);
	return &llc_vtime[llc < MAX_LLCS ? llc : 0];
}

static bool is_before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

/* In FIFO order the slice is a task's share. */
static u64 slice_of(struct task_struct *p)
{
	return by_vtime ? slice_ns : slice_ns / unfairness(p);
}

/* An idle task saves up no more than a slice. */
static u64 bounded_vtime(struct task_struct *p, u32 llc)
{
	u64 oldest = *clock_of(llc) - slice_ns, vtime = p->scx.dsq_vtime;

	return is_before(vtime, oldest) ? oldest : vtime;
}

static void insert_shared(struct task_struct *p, s32 cpu, u64 enq_flags)
{
	u32 llc = llc_of(cpu);

	if (by_vtime)
		insert_vtime(p, llc, slice_of(p), bounded_vtime(p, llc), enq_flags);
	else
		insert(p, FIFO_DSQ, slice_of(p), enq_flags);
}

/* A CPU that is there and that the task must not have; negative: none. */
static s32 forbidden_cpu(struct task_struct *p)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();
	s32 cpu, found = -1;

	bpf_for(cpu, 0, nr_cpus) {
		if (bpf_cpumask_test_cpu(cpu, online) && !bpf_cpumask_test_cpu(cpu, p->cpus_ptr)) {
			found = cpu;
			break;
		}
	}
	scx_bpf_put_cpumask(online);
	return found;
}

/* Does with a task what a fault says; false: nothing. */
static bool misplace(struct task_struct *p, s32 cpu, u64 enq_flags)
{
	s32 forbidden;

	if (is_withheld(p, cpu)) {
		insert(p, STALL_DSQ, slice_ns, enq_flags);
		return true;
	}
	if (!is_victim(p))
		return false;
	if (is_dropped())
		return true;
	if (fault_wrong_dsq) {
		insert(p, ABSENT_DSQ, slice_ns, enq_flags);
		return true;
	}
	if (!fault_ignore_affinity)
		return false;
	forbidden = forbidden_cpu(p);
	if (forbidden >= 0)
		insert(p, KERNEL_ENUM(scx_dsq_id_flags, SCX_DSQ_LOCAL_ON) | forbidden, slice_ns, enq_flags);
	return forbidden >= 0;
}

/* Whether some fault would have enqueue() look at the task. */
static bool needs_enqueue(struct task_struct *p, s32 cpu)
{
	return is_withheld(p, cpu) ||
	       ((fault_drop_enqueue || fault_wrong_dsq || fault_ignore_affinity) && is_victim(p));
}

SEC("struct_ops/ktstr_select_cpu")
s32 BPF_PROG(ktstr_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool is_idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &is_idle);

	if (is_idle && !needs_enqueue(p, cpu))
		insert(p, KERNEL_ENUM(scx_dsq_id_flags, SCX_DSQ_LOCAL), slice_of(p), 0);
	return cpu;
}

SEC("struct_ops/ktstr_enqueue")
void BPF_PROG(ktstr_enqueue, struct task_struct *p, u64 enq_flags)
{
	bool is_last = enq_flags & KERNEL_ENUM(scx_enq_flags, SCX_ENQ_LAST);
	s32 idle, cpu = scx_bpf_task_cpu(p);

	if (misplace(p, cpu, enq_flags))
		return;
	/* The CPU is about to be idle, or takes nothing from the shared queues any more. */
	if (is_last || cpu == fault_stall_cpu) {
		insert(p, KERNEL_ENUM(scx_dsq_id_flags, SCX_DSQ_LOCAL), slice_of(p), enq_flags);
		if (is_last)
			scx_bpf_kick_cpu(cpu, 0);
		return;
	}
	insert_shared(p, cpu, enq_flags);
	/* One that has become idle since select_cpu() looked, or when nobody asked select_cpu(). */
	idle = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (idle >= 0)
		scx_bpf_kick_cpu(idle, KERNEL_ENUM(scx_kick_flags, SCX_KICK_IDLE));
}

/* The CPU's own queue, and then the other LLCs'. */
static bool take_shared(s32 cpu)
{
	u32 own = llc_of(cpu), nr = nr_llcs < MAX_LLCS ? nr_llcs : MAX_LLCS, i;

	if (!by_vtime)
		return move_to_local(FIFO_DSQ);
	bpf_for(i, 0, nr) {
		if (move_to_local((own + i) % nr))
			return true;
	}
	return false;
}

/* Adds to a task's virtual time what it has run since this was last done. */
static void charge(struct task_struct *p)
{
	struct task_ctx *tctx = task_ctx(p);
	u64 now_ns = scx_bpf_now(), weight = p->scx.weight;

	if (!tctx)
		return;
	set_vtime(p, p->scx.dsq_vtime + (now_ns - tctx->running_since_ns) * 100 * unfairness(p) / (weight ?: 1));
	tctx->running_since_ns = now_ns;
}

/*
 * Whether the task that has just used up its slice is the next by virtual time, too. It is not in the queue while dispatch()
 * looks: without this question it would take turns with those that are behind it.
 */
static bool is_next_again(struct task_struct *prev, s32 cpu)
{
	struct task_struct *p;
	bool is_next = true;

	charge(prev);
	bpf_for_each(scx_dsq, p, llc_of(cpu), 0) {
		if (bpf_cpumask_test_cpu(cpu, p->cpus_ptr)) {
			is_next = is_before(prev->scx.dsq_vtime, p->scx.dsq_vtime);
			break;
		}
	}
	return is_next;
}

/* Those that waited for a switch that is off again. */
static bool take_released(void)
{
	if (fault_stall_task || fault_stall_cpu >= 0)
		return false;
	fault_stalled_pid = 0;
	return move_to_local(STALL_DSQ);
}

SEC("struct_ops/ktstr_dispatch")
void BPF_PROG(ktstr_dispatch, s32 cpu, struct task_struct *prev)
{
	/* Without a new slice, prev comes to enqueue() (SCX_OPS_ENQ_LAST), where faults wait. */
	bool may_stay = prev && prev->scx.flags & KERNEL_ENUM(scx_ent_flags, SCX_TASK_QUEUED) && !needs_enqueue(prev, cpu);

	be_slow();
	if (cpu != fault_stall_cpu && !(by_vtime && may_stay && is_next_again(prev, cpu)) &&
	    (take_shared(cpu) || take_released()))
		return;
	if (may_stay)
		set_slice(prev, slice_of(prev));
}

/* A task that has moved keeps its distance to the virtual time around it. */
static void settle(struct task_struct *p, struct task_ctx *tctx, u32 llc)
{
	if (tctx->llc == llc)
		return;
	set_vtime(p, p->scx.dsq_vtime - *clock_of(tctx->llc) + *clock_of(llc));
	tctx->llc = llc;
}

SEC("struct_ops/ktstr_running")
void BPF_PROG(ktstr_running, struct task_struct *p)
{
	u32 llc = llc_of(scx_bpf_task_cpu(p));
	struct task_ctx *tctx;
	u64 *clock;

	if (counts_to_zero(&fault_error_exit))
		CALL_BSTR(scx_bpf_error_bstr, "ktstr: fault_error_exit, at %s[%d]", (unsigned long)p->comm, p->pid);
	if (counts_to_zero(&fault_crash_after_dispatches))
		tell(EVENT_CRASH);
	if (!by_vtime || !(tctx = task_ctx(p)))
		return;
	settle(p, tctx, llc);
	tctx->running_since_ns = scx_bpf_now();
	/* CPUs race here; virtual time loses a little of what the next task gives back. */
	clock = clock_of(llc);
	if (is_before(*clock, p->scx.dsq_vtime))
		*clock = p->scx.dsq_vtime;
}

SEC("struct_ops/ktstr_stopping")
void BPF_PROG(ktstr_stopping, struct task_struct *p, bool runnable)
{
	if (by_vtime)
		charge(p);
}

SEC("struct_ops/ktstr_init_task")
s32 BPF_PROG(ktstr_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return bpf_task_storage_get(&task_ctxs, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -12 /* ENOMEM */;
}

SEC("struct_ops/ktstr_enable")
void BPF_PROG(ktstr_enable, struct task_struct *p)
{
	struct task_ctx *tctx = task_ctx(p);
	u32 llc = llc_of(scx_bpf_task_cpu(p));

	if (tctx)
		tctx->llc = llc;
	set_vtime(p, *clock_of(llc));
}

/* Without these two, the kernel ends a scheduler when a CPU comes or goes. */
SEC("struct_ops/ktstr_cpu_online")
void BPF_PROG(ktstr_cpu_online, s32 cpu)
{
}

SEC("struct_ops/ktstr_cpu_offline")
void BPF_PROG(ktstr_cpu_offline, s32 cpu)
{
}

SEC("struct_ops/ktstr_dump")
void BPF_PROG(ktstr_dump, struct scx_dump_ctx *about)
{
	CALL_BSTR(scx_bpf_dump_bstr, "ktstr: by_vtime=%d slice_ns=%llu nr_llcs=%u fifo=%d withheld=%d\n", by_vtime, slice_ns,
		  nr_llcs, scx_bpf_dsq_nr_queued(FIFO_DSQ), scx_bpf_dsq_nr_queued(STALL_DSQ));
	CALL_BSTR(scx_bpf_dump_bstr, "ktstr: stall_task=%u stalled_pid=%d stall_cpu=%d drop_enqueue=%llu\n",
		  fault_stall_task, fault_stalled_pid, fault_stall_cpu, fault_drop_enqueue);
	CALL_BSTR(scx_bpf_dump_bstr, "ktstr: ignore_affinity=%u wrong_dsq=%u slow_dispatch_us=%u unfair_weights=%u\n",
		  fault_ignore_affinity, fault_wrong_dsq, fault_slow_dispatch_us, fault_unfair_weights);
}

SEC("struct_ops.s/ktstr_init")
s32 BPF_PROG(ktstr_init)
{
	s32 error = scx_bpf_create_dsq(FIFO_DSQ, -1) ?: scx_bpf_create_dsq(STALL_DSQ, -1);
	u32 llc, nr = by_vtime ? nr_llcs : 0;

	bpf_for(llc, 0, nr) {
		error = error ?: scx_bpf_create_dsq(llc, -1);
	}
	return error;
}

SEC("struct_ops/ktstr_exit")
void BPF_PROG(ktstr_exit, struct scx_exit_info *ei)
{
	record_exit(ei);
}

/* Loaded only when it is asked for: the verifier refuses it, for the lookup may have found nothing. */
SEC("?struct_ops/ktstr_rejected_tick")
void BPF_PROG(ktstr_rejected_tick, struct task_struct *p)
{
	task_ctx(p)->running_since_ns = 0;
}

SEC(".struct_ops.link")
struct sched_ext_ops ktstr_ops = {
	.select_cpu = (void *)ktstr_select_cpu,
	.enqueue = (void *)ktstr_enqueue,
	.dispatch = (void *)ktstr_dispatch,
	.running = (void *)ktstr_running,
	.stopping = (void *)ktstr_stopping,
	.init_task = (void *)ktstr_init_task,
	.enable = (void *)ktstr_enable,
	.cpu_online = (void *)ktstr_cpu_online,
	.cpu_offline = (void *)ktstr_cpu_offline,
	.dump = (void *)ktstr_dump,
	.init = (void *)ktstr_init,
	.exit = (void *)ktstr_exit,
	.flags = SCX_OPS_ENQ_LAST,
	.name = "ktstr",
};
