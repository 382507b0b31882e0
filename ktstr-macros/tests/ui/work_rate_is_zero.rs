use ktstr_macros::ktstr_test;

#[ktstr_test(min_work_rate = 0.0)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
