use ktstr_macros::ktstr_test;

#[ktstr_test(llcs = 1, min_cpus = 100, max_llcs = 3)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
