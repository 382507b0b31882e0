use ktstr_macros::ktstr_test;

#[ktstr_test(duration_s = "long")]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
