use ktstr_macros::ktstr_test;

#[ktstr_test(max_p99_wake_latency_ns = 0)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
