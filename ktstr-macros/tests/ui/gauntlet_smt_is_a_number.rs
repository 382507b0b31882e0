use ktstr_macros::ktstr_test;

#[ktstr_test(requires_smt = 2)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
