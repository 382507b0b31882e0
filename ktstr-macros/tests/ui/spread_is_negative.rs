use ktstr_macros::ktstr_test;

#[ktstr_test(max_spread_pct = -1)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
