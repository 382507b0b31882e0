use ktstr_macros::ktstr_test;

#[ktstr_test(extra_sched_args = ["-v"])]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
