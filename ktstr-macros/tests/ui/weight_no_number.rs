use ktstr_macros::ktstr_test;

#[ktstr_test(weight_proportional = true)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
