use ktstr_macros::ktstr_test;

#[ktstr_test(numa_nodes = 2, llcs = 5, node_llcs = [1, 3])]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
