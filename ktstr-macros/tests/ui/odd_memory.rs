use ktstr_macros::ktstr_test;

#[ktstr_test(memory_only_nodes_mb = [257])]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
