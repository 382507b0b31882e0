use ktstr_macros::ktstr_test;

#[ktstr_test(cores = 0)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
