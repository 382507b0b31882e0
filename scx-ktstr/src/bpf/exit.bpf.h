/* SPDX-License-Identifier: GPL-2.0-only */
/* What user space is told: why the kernel ended the scheduler, and when to look. */
#ifndef KTSTR_EXIT_H
#define KTSTR_EXIT_H

/* enum scx_exit_kind; 0 for as long as the scheduler is there. */
volatile s32 exit_kind;
volatile s64 exit_code;
char exit_reason[128];
char exit_message[1024];
/* As much as the kernel writes by default (SCX_EXIT_DUMP_DFL_LEN). */
char exit_dump[32768];

enum event {
	EVENT_CRASH = 1,
	EVENT_EXIT = 2,
};

/* Wakes user space up. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

static void tell(u32 event)
{
	bpf_ringbuf_output(&events, &event, sizeof(event), 0);
}

static __always_inline void record_exit(const struct scx_exit_info *ei)
{
	bpf_probe_read_kernel_str(exit_reason, sizeof(exit_reason), ei->reason);
	bpf_probe_read_kernel_str(exit_message, sizeof(exit_message), ei->msg);
	bpf_probe_read_kernel_str(exit_dump, sizeof(exit_dump), ei->dump);
	exit_code = ei->exit_code;
	/* Last: it says that the rest is there. */
	__sync_lock_test_and_set(&exit_kind, ei->kind);
	tell(EVENT_EXIT);
}

#endif
