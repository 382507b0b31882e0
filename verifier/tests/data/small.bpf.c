// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char _license[] SEC("license") = "GPL";
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64[8]); } arr SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } rb SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); } hash SEC(".maps");
struct bpf_iter_num { __u64 __opaque[1]; } __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym __weak;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym __weak;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym __weak;
extern void bpf_rcu_read_lock(void) __ksym __weak;
extern void bpf_rcu_read_unlock(void) __ksym __weak;
struct task_struct { int pid; } __attribute__((preserve_access_index));
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym __weak;
extern void bpf_task_release(struct task_struct *p) __ksym __weak;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym __weak;
extern int bpf_crypto_encrypt_nope(void) __ksym __weak;

SEC("syscall") int ok_loop(void *ctx) {
	__u64 sum = 0;
	#pragma clang loop unroll(disable)
	for (int i = 0; i < 20; i++) {
		sum += bpf_get_prandom_u32();
		if (sum & 1)
			sum ^= i;
	}
	return sum & 1;
}
SEC("syscall") int ok_nested(void *ctx) {
	__u64 sum = 0;
	#pragma clang loop unroll(disable)
	for (int i = 0; i < 12; i++) {
		sum += bpf_get_prandom_u32();
		#pragma clang loop unroll(disable)
		for (int j = 0; j < 9; j++) {
			sum ^= bpf_ktime_get_ns();
		}
	}
	return sum & 1;
}
static __noinline int square(int x) { return x * x + bpf_get_prandom_u32(); }
__noinline int global_fn(int x) { if (x > 10) return 3; return x + 1; }
SEC("syscall") int ok_calls(void *ctx) {
	int s = 0;
	#pragma clang loop unroll(disable)
	for (int i = 0; i < 5; i++) s += square(s + i);
	return s + global_fn(s);
}
static long cb(__u32 i, void *c) { *(__u64 *)c += i; return 0; }
SEC("syscall") int ok_bpf_loop(void *ctx) {
	__u64 c = 0;
	bpf_loop(100, cb, &c, 0);
	return c & 1;
}
SEC("syscall") int ok_map_branches(void *ctx) {
	__u32 k = bpf_get_prandom_u32() & 3; __u64 *v = bpf_map_lookup_elem(&arr, &k); int n = 0;
	if (!v) return 1;
	#pragma clang loop unroll(disable)
	for (int i = 0; i < 8; i++) { if (v[i] > 7) n += v[i] & 0xff; else n++; if (n > 100) v[0] = n; }
	return n;
}
SEC("syscall") int bad_scalar_deref(void *ctx) { __u64 *p = (void *)(long)bpf_get_prandom_u32(); return *p; }
SEC("syscall") int bad_null(void *ctx) { __u32 k = 1; __u64 *v = bpf_map_lookup_elem(&hash, &k); if (bpf_get_prandom_u32() > 4) return 2; return *v; }
SEC("syscall") int bad_map_oob(void *ctx) {
	__u32 k = 1; __u64 *v = bpf_map_lookup_elem(&arr, &k); __u32 i = bpf_get_prandom_u32();
	if (!v) return 0;
	if (i > 9) return 1;
	return v[i];
}
SEC("syscall") int bad_unbounded(void *ctx) {
	__u32 k = 1; __u64 *v = bpf_map_lookup_elem(&arr, &k); __u64 i = bpf_ktime_get_ns();
	if (!v) return 0;
	return ((char *)v)[i];
}
SEC("syscall") int bad_unreleased(void *ctx) {
	__u64 *r = bpf_ringbuf_reserve(&rb, 8, 0);
	if (!r) return 0;
	*r = 1;
	if (bpf_get_prandom_u32() == 7) return 1;
	bpf_ringbuf_submit(r, 0);
	return 0;
}
volatile const int forever = 1;
SEC("syscall") int bad_infinite(void *ctx) { while (bpf_get_prandom_u32() != 1) ; int x = 0; for (;;) { x &= 1; asm volatile("" : "+r"(x)); } return x; }
SEC("syscall") __attribute__((naked)) int bad_infinite2(void) { asm volatile("r0 = 0; 1: r0 &= 1; if r0 != 5 goto 1b; exit;" ::: "r0"); }
SEC("syscall") __attribute__((naked)) int bad_read_ok(void) { asm volatile("exit;"); }
SEC("syscall") __attribute__((naked)) int bad_unreach(void) { asm volatile("r0 = 0; exit; r0 = 1; exit;" ::: "r0"); }
SEC("syscall") int bad_stack(void *ctx) { volatile char b[8]; __u32 k = bpf_get_prandom_u32(); if (k > 20) return 0; b[k] = 1; return b[0]; }
SEC("socket") int bad_helper(void *ctx) { char b[8]; return bpf_probe_read_kernel(b, 8, ctx); }
SEC("socket") int bad_kfunc(void *ctx) { struct task_struct *t = bpf_task_from_pid(1); if (t) bpf_task_release(t); return 0; }
SEC("syscall") int bad_task_null(void *ctx) { struct task_struct *t = bpf_task_from_pid(1); bpf_task_release(t); return 0; }
SEC("syscall") int bad_rcu(void *ctx) { bpf_rcu_read_lock(); return 0; }
SEC("syscall") int bad_uninit_stack(void *ctx) { __u32 k; __u32 v[4]; asm volatile("" : "=m"(v)); return bpf_map_update_elem(&arr, &k, v, 0); }
SEC("socket") int bad_ctx(void *ctx) { return *(int *)(ctx + 4000); }
SEC("raw_tp/sched_switch") int bad_ret_leak(void *ctx) { return (long)ctx; }
SEC("cgroup/skb") int bad_return_range(void *ctx) { return bpf_get_prandom_u32(); }
SEC("syscall") int bad_ctx_write_fp(void *ctx) { asm volatile("r10 = 1"); return 0; }
