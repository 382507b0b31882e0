use ktstr_macros::ktstr_test;

#[ktstr_test(max_cpus = 8, gauntlet = false)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
