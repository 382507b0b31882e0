// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char _license[] SEC("license") = "GPL";
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64[8]); } arr SEC(".maps");
struct bpf_iter_num { __u64 __opaque[1]; } __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym __weak;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym __weak;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym __weak;

static __noinline int pick(__u32 x)
{
	if (x > 100)
		return 1;
	if (bpf_get_prandom_u32() & 1)
		return 2;
	return x & 3;
}

SEC("syscall")
int deep_loop(void *ctx)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&arr, &key);
	__u64 sum = 0;

	if (!value)
		return 0;
	#pragma clang loop unroll(disable)
	for (int i = 0; i < 6; i++) {
		__u32 r = bpf_get_prandom_u32();

		if (r & 1)
			sum += value[r & 7];
		if (r > 1000)
			sum ^= pick(r);
		if (sum > 70)
			break;
	}
	if (sum == 77)
		return value[sum];
	return 0;
}

SEC("syscall")
int deep_iter(void *ctx)
{
	struct bpf_iter_num it;
	__u32 key = 0;
	__u64 *value;
	int *v, n = 0;

	bpf_iter_num_new(&it, 0, 100);
	while ((v = bpf_iter_num_next(&it))) {
		n += pick(*v);
		if (n > 50)
			break;
	}
	bpf_iter_num_destroy(&it);
	if (n == 3)
		return 1;
	value = bpf_map_lookup_elem(&arr, &key);
	if (n > 40)
		return *value;
	return 0;
}

static __noinline int walk(__u64 *value, __u32 i)
{
	if (i > 12)
		return 0;
	return value[i];
}

SEC("syscall")
int deep_call(void *ctx)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&arr, &key);
	int sum = 0;

	if (!value)
		return 0;
	#pragma clang loop unroll(disable)
	for (int i = 0; i < 20; i++) {
		if (bpf_get_prandom_u32() > 3)
			sum++;
		sum += walk(value, i);
	}
	return sum;
}

__noinline int checked(int x)
{
	__u32 key = x;
	__u64 *value = bpf_map_lookup_elem(&arr, &key);

	if (x > 3)
		return 0;
	return *value;
}

SEC("syscall")
int deep_global(void *ctx)
{
	return checked(bpf_get_prandom_u32());
}
