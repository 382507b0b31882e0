use ktstr_macros::ktstr_test;

#[ktstr_test(numa_nodes = 2, llcs = 2, memory_only_nodes_mb = [256], distances = [[10, 20], [20, 10]])]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
