use ktstr_macros::ktstr_test;

#[ktstr_test(llcs = 1, llcs = 2)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
