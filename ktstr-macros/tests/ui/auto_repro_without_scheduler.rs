use ktstr_macros::ktstr_test;

#[ktstr_test(auto_repro = true)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
