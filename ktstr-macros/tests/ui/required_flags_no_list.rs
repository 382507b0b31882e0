use ktstr_macros::ktstr_test;

#[ktstr_test(scheduler = S, required_flags = "llc")]
fn test(_ctx: &()) -> Result<(), ()> {
    Ok(())
}

fn main() {}
