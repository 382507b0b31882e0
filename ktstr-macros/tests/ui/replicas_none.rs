use ktstr_macros::ktstr_test;

#[ktstr_test(replicas = 0)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
