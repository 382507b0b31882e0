use ktstr_macros::ktstr_test;

#[ktstr_test(max_numa_nodes = 0)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
