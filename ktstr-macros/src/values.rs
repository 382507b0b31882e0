//! The values that attributes take.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Lit, Result};

/// A value, and where it is written.
pub(crate) struct Given<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> Given<T> {
    pub(crate) fn new(written: &Expr, value: T) -> Self {
        Self { value, span: written.span() }
    }

    /// An error that points at the value.
    pub(crate) fn error(&self, message: String) -> Error {
        Error::new(self.span, message)
    }
}

fn literal<'a>(name: &str, value: &'a Expr, wanted: &str) -> Result<&'a Lit> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Ok(lit),
        other => Err(Error::new(other.span(), format!("`{name}` takes {wanted}"))),
    }
}

pub(crate) fn count<T>(name: &str, value: &Expr) -> Result<T>
where
    T: std::str::FromStr<Err = std::num::ParseIntError> + PartialOrd + From<u8>,
{
    let wanted = "a whole number of at least 1";
    let error = || Error::new(value.span(), format!("`{name}` takes {wanted}"));
    match literal(name, value, wanted)? {
        Lit::Int(int) => int.base10_parse().ok().filter(|number| *number >= T::from(1)).ok_or_else(error),
        _ => Err(error()),
    }
}

pub(crate) fn positive(name: &str, value: &Expr) -> Result<f64> {
    let wanted = "a number above 0";
    let error = || Error::new(value.span(), format!("`{name}` takes {wanted}"));
    let number: f64 = match literal(name, value, wanted)? {
        Lit::Int(int) => int.base10_parse().map_err(|_| error())?,
        Lit::Float(float) => float.base10_parse().map_err(|_| error())?,
        _ => return Err(error()),
    };
    if number > 0.0 && number.is_finite() { Ok(number) } else { Err(error()) }
}

pub(crate) fn boolean(name: &str, value: &Expr) -> Result<bool> {
    match literal(name, value, "true or false")? {
        Lit::Bool(boolean) => Ok(boolean.value),
        other => Err(Error::new(other.span(), format!("`{name}` takes true or false"))),
    }
}

/// A list of whole numbers, at least one.
pub(crate) fn counts(name: &str, value: &Expr) -> Result<Vec<u32>> {
    elements(name, value, "a list of whole numbers, such as [1, 3]")?.map(|element| count(name, element)).collect()
}

/// A text that is not empty.
pub(crate) fn text(name: &str, value: &Expr, wanted: &str) -> Result<String> {
    match literal(name, value, wanted)? {
        Lit::Str(text) if !text.value().trim().is_empty() => Ok(text.value()),
        other => Err(Error::new(other.span(), format!("`{name}` takes {wanted}"))),
    }
}

/// A list of names, at least one, none of them empty.
pub(crate) fn names(name: &str, value: &Expr) -> Result<Vec<String>> {
    words(name, value, "a list of names, such as [\"hackbench\"]")
}

/// A list of texts, at least one, none of them empty.
pub(crate) fn words(name: &str, value: &Expr, wanted: &str) -> Result<Vec<String>> {
    elements(name, value, wanted)?.map(|element| text(name, element, wanted)).collect()
}

/// Flags of a scheduler, by their names or as variants of the enum that derives it.
pub(crate) fn flags(name: &str, value: &Expr) -> Result<Vec<TokenStream>> {
    let wanted = "a list of flags, such as [Mitosis::Llc] or [\"llc\"]";
    let one = |element: &Expr| match element {
        Expr::Path(variant) => Ok(quote!(#variant.flag())),
        other => text(name, other, wanted).map(ToTokens::into_token_stream),
    };
    elements(name, value, wanted)?.map(one).collect()
}

/// A list of lists of distances.
pub(crate) fn matrix(name: &str, value: &Expr) -> Result<Vec<Vec<u8>>> {
    let wanted = "a list of lists, one for each node, such as [[10, 20], [20, 10]]";
    elements(name, value, wanted)?
        .map(|row| elements(name, row, wanted)?.map(|element| distance(name, element)).collect())
        .collect()
}

fn distance(name: &str, value: &Expr) -> Result<u8> {
    let wanted = "distances from 10 to 254";
    count::<u8>(name, value)
        .ok()
        .filter(|number| (10..=254).contains(number))
        .ok_or_else(|| Error::new(value.span(), format!("`{name}` takes {wanted}")))
}

/// The elements of a list, at least one.
pub(crate) fn elements<'a>(name: &str, value: &'a Expr, wanted: &str) -> Result<impl Iterator<Item = &'a Expr>> {
    match value {
        Expr::Array(array) if !array.elems.is_empty() => Ok(array.elems.iter()),
        other => Err(Error::new(other.span(), format!("`{name}` takes {wanted}"))),
    }
}
