/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel functions that are used, and one way to call those that changed between releases.
 *
 * libbpf finds a kernel function by the name before the last "___"; the suffixes here only keep two C declarations of one
 * kernel name apart. A weak one that the kernel does not have is 0, and the branch that would call it is removed at load.
 * Sources: kernel/sched/ext.c and, from 7.0 on, kernel/sched/ext/ext.c.
 */
#ifndef KTSTR_KFUNCS_H
#define KTSTR_KFUNCS_H

s32 scx_bpf_create_dsq(u64 dsq_id, s32 node) __ksym;
s32 scx_bpf_dsq_nr_queued(u64 dsq_id) __ksym;
s32 scx_bpf_select_cpu_dfl(struct task_struct *p, s32 prev_cpu, u64 wake_flags, bool *is_idle) __ksym;
s32 scx_bpf_pick_idle_cpu(const struct cpumask *cpus_allowed, u64 flags) __ksym;
void scx_bpf_kick_cpu(s32 cpu, u64 flags) __ksym;
s32 scx_bpf_task_cpu(const struct task_struct *p) __ksym;
u64 scx_bpf_now(void) __ksym;
const struct cpumask *scx_bpf_get_online_cpumask(void) __ksym;
void scx_bpf_put_cpumask(const struct cpumask *cpumask) __ksym;
void scx_bpf_error_bstr(char *fmt, unsigned long long *data, u32 data__sz) __ksym;
void scx_bpf_dump_bstr(char *fmt, unsigned long long *data, u32 data__sz) __ksym;
int bpf_iter_scx_dsq_new(struct bpf_iter_scx_dsq *it, u64 dsq_id, u64 flags) __ksym;
struct task_struct *bpf_iter_scx_dsq_next(struct bpf_iter_scx_dsq *it) __ksym;
void bpf_iter_scx_dsq_destroy(struct bpf_iter_scx_dsq *it) __ksym;
bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *cpumask) __ksym;

void scx_bpf_dsq_insert___v1(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags) __ksym __weak;
bool scx_bpf_dsq_insert___v2___new(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags) __ksym __weak;
void scx_bpf_dsq_insert_vtime___v1(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime, u64 enq_flags) __ksym __weak;
bool scx_bpf_dsq_move_to_local___v1(u64 dsq_id) __ksym __weak;
bool scx_bpf_dsq_move_to_local___v2___new(u64 dsq_id, u64 enq_flags) __ksym __weak;
bool scx_bpf_task_set_slice___new(struct task_struct *p, u64 slice) __ksym __weak;
bool scx_bpf_task_set_dsq_vtime___new(struct task_struct *p, u64 vtime) __ksym __weak;

/* As the kernel's struct of that name, which older ones do not have. */
struct scx_bpf_dsq_insert_vtime_args___new {
	u64 dsq_id;
	u64 slice;
	u64 vtime;
	u64 enq_flags;
};

bool __scx_bpf_dsq_insert_vtime___new(struct task_struct *p,
				      struct scx_bpf_dsq_insert_vtime_args___new *args) __ksym __weak;

/*
 * Enumerators of the kernel, with values of our own: libbpf puts those of the running kernel in their place, which are others
 * from release to release. The kernel's declarations would not do, for clang 14 cuts 64-bit values off in its BTF.
 */
enum scx_dsq_id_flags___own { SCX_DSQ_LOCAL___own = 1, SCX_DSQ_LOCAL_ON___own };
enum scx_enq_flags___own { SCX_ENQ_LAST___own = 1 };
enum scx_kick_flags___own { SCX_KICK_IDLE___own = 1 };
enum scx_ent_flags___own { SCX_TASK_QUEUED___own = 1 };

/* A value that the running kernel gives to one of these. */
#define KERNEL_ENUM(type, name) bpf_core_enum_value(enum type##___own, name##___own)

/* To the end of a FIFO queue. */
static __always_inline void insert(struct task_struct *p, u64 dsq_id, u64 slice_ns, u64 enq_flags)
{
	if (bpf_ksym_exists(scx_bpf_dsq_insert___v2___new))
		scx_bpf_dsq_insert___v2___new(p, dsq_id, slice_ns, enq_flags);
	else
		scx_bpf_dsq_insert___v1(p, dsq_id, slice_ns, enq_flags);
}

/* Into a queue that is ordered by virtual time. */
static __always_inline void insert_vtime(struct task_struct *p, u64 dsq_id, u64 slice_ns, u64 vtime, u64 enq_flags)
{
	if (bpf_ksym_exists(__scx_bpf_dsq_insert_vtime___new)) {
		struct scx_bpf_dsq_insert_vtime_args___new args = {
			.dsq_id = dsq_id, .slice = slice_ns, .vtime = vtime, .enq_flags = enq_flags,
		};

		__scx_bpf_dsq_insert_vtime___new(p, &args);
	} else {
		scx_bpf_dsq_insert_vtime___v1(p, dsq_id, slice_ns, vtime, enq_flags);
	}
}

/* The first task of a queue that may run on this CPU goes to it; whether there was one. */
static __always_inline bool move_to_local(u64 dsq_id)
{
	if (bpf_ksym_exists(scx_bpf_dsq_move_to_local___v2___new))
		return scx_bpf_dsq_move_to_local___v2___new(dsq_id, 0);
	return scx_bpf_dsq_move_to_local___v1(dsq_id);
}

static __always_inline void set_slice(struct task_struct *p, u64 slice_ns)
{
	if (bpf_ksym_exists(scx_bpf_task_set_slice___new))
		scx_bpf_task_set_slice___new(p, slice_ns);
	else
		p->scx.slice = slice_ns;
}

static __always_inline void set_vtime(struct task_struct *p, u64 vtime)
{
	if (bpf_ksym_exists(scx_bpf_task_set_dsq_vtime___new))
		scx_bpf_task_set_dsq_vtime___new(p, vtime);
	else
		p->scx.dsq_vtime = vtime;
}

/*
 * Calls a kernel function that formats: its arguments go as an array of words. The format must be in a map that may be
 * written, by the function's prototype.
 */
#define CALL_BSTR(call, fmt, args...)                                                                                  \
	({                                                                                                             \
		static char format[] SEC(".data.formats") = fmt;                                                                           \
		unsigned long long words[] = { args };                                                                 \
		call(format, words, sizeof(words));                                                                    \
	})

#endif
