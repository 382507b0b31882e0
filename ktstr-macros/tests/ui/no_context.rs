use ktstr_macros::ktstr_test;

#[ktstr_test]
fn test() -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
