use ktstr_macros::ktstr_test;

#[ktstr_test(max_gap_ms = "1s")]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
