use ktstr_macros::ktstr_test;

#[ktstr_test(max_p99_wake_latency_ns = 18446744073709551616)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
