use ktstr_macros::ktstr_test;

#[ktstr_test(sysctls = ["kernel.sched_rt_runtime_us="])]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
