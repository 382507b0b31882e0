use ktstr_macros::ktstr_test;

#[ktstr_test(scheduler = S, excluded_flags = [1])]
fn test(_ctx: &()) -> Result<(), ()> {
    Ok(())
}

fn main() {}
