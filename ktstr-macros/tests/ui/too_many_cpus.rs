use ktstr_macros::ktstr_test;

#[ktstr_test(llcs = 32, cores = 16, threads = 2)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
