use ktstr_macros::ktstr_test;

#[ktstr_test(llcs = 2, sockets = 2)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
