use ktstr_macros::ktstr_test;

#[ktstr_test(expect_err = " ")]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
