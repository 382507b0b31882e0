//! What attributes say of the guest's kernel.

use crate::values::{elements, text};
use syn::spanned::Spanned;
use syn::{Error, Expr, Result};

/// Parameters for the kernel's command line.
pub(crate) fn kargs(name: &str, value: &Expr) -> Result<Vec<String>> {
    let wanted = "a list of kernel parameters, each without spaces, such as [\"preempt=full\"]";
    let one = |element: &Expr| {
        let parameter = text(name, element, wanted)?;
        let plain = parameter.chars().all(|c| c.is_ascii_graphic());
        if plain { Ok(parameter) } else { Err(Error::new(element.span(), format!("`{name}` takes {wanted}"))) }
    };
    elements(name, value, wanted)?.map(one).collect()
}

/// Kernel settings and their values.
pub(crate) fn sysctls(name: &str, value: &Expr) -> Result<Vec<(String, String)>> {
    let wanted = "a list of settings, such as [\"kernel.sched_autogroup_enabled=0\"] or [(\"kernel.sched_autogroup_enabled\", \"0\")]";
    let mut pairs: Vec<(String, String)> = Vec::new();
    for element in elements(name, value, wanted)? {
        let pair = sysctl(name, element, wanted)?;
        if pairs.iter().any(|(key, _)| *key == pair.0) {
            return Err(Error::new(element.span(), format!("`{}` is set twice", pair.0)));
        }
        pairs.push(pair);
    }
    Ok(pairs)
}

fn sysctl(name: &str, element: &Expr, wanted: &str) -> Result<(String, String)> {
    let (key, value) = match element {
        Expr::Tuple(pair) if pair.elems.len() == 2 => {
            (text(name, &pair.elems[0], wanted)?, text(name, &pair.elems[1], wanted)?)
        }
        single => {
            let whole = text(name, single, wanted)?;
            let pair = whole.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
            let pair = pair.filter(|(_, value)| !value.is_empty());
            pair.ok_or_else(|| Error::new(element.span(), format!("`{whole}` sets nothing: write NAME=VALUE")))?
        }
    };
    let is_name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if !key.contains('.') || !key.split(['.', '/']).all(is_name) {
        let message = format!("`{key}` is no name of a kernel setting, which is like `kernel.sched_autogroup_enabled`");
        return Err(Error::new(element.span(), message));
    }
    Ok((key, value))
}
