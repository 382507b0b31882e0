//! Addresses of kernel symbols.

use anyhow::{Context, Result, ensure};
use ktstr_wire::Symbol;
use std::fs::File;
use std::io::{BufRead, BufReader};

const PATH: &str = "/proc/kallsyms";

/// The addresses of those of `names` that the kernel has. Reading ends when all have been found.
pub(crate) fn addresses(names: &[&str]) -> Result<Vec<Symbol>> {
    let file = File::open(PATH).with_context(|| format!("cannot open {PATH}"))?;
    let found = find(BufReader::with_capacity(4 << 10, file), names).with_context(|| format!("cannot read {PATH}"))?;
    ensure!(
        found.iter().any(|symbol| symbol.gva != 0),
        "{PATH} shows no addresses: the kernel hides them (kernel.kptr_restrict)"
    );
    Ok(found)
}

fn find(mut lines: impl BufRead, names: &[&str]) -> std::io::Result<Vec<Symbol>> {
    let mut found: Vec<Symbol> = Vec::new();
    let mut line = String::new();
    while found.len() < names.len() {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            break;
        }
        let mut fields = line.split_ascii_whitespace();
        let (Some(address), Some(_kind), Some(name)) = (fields.next(), fields.next(), fields.next()) else { continue };
        // A module's symbol has its module behind it and is not the kernel's own.
        let wanted = fields.next().is_none() && names.contains(&name);
        if let (true, Ok(gva)) = (wanted, u64::from_str_radix(address, 16))
            && !found.iter().any(|symbol| symbol.name == name)
        {
            found.push(Symbol { name: name.to_owned(), gva });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_kernels_own_symbols() {
        let text =
            "ffffffff81000000 T _text\nffffffffc0000000 t init_task\t[mod]\nbad line\nffffffff82000000 D init_task\n";
        let found = find(text.as_bytes(), &["_text", "init_task", "absent"]).unwrap();
        let gvas: Vec<u64> = found.iter().map(|symbol| symbol.gva).collect();
        assert_eq!(gvas, [0xffff_ffff_8100_0000, 0xffff_ffff_8200_0000]);
    }
}
