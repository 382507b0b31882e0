use ktstr_macros::ktstr_test;

#[ktstr_test(min_cpus = 2, max_cpus = 8, min_cpus = 3)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
