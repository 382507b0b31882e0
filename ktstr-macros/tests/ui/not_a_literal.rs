use ktstr_macros::ktstr_test;

const LLCS: u32 = 2;

#[ktstr_test(llcs = LLCS)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
