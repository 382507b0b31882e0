use ktstr_macros::ktstr_test;

#[ktstr_test(not_starved = 1)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
