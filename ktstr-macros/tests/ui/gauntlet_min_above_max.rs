use ktstr_macros::ktstr_test;

#[ktstr_test(min_llcs = 4, max_llcs = 3)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
