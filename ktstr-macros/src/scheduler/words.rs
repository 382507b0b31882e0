//! The words inside `#[scheduler(...)]`.

use crate::attrs::{Attrs, Fields};
use crate::guest::{kargs, sysctls};
use crate::machine::{self, MachineAttrs};
use crate::values::{count, text, words};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprLit, Lit, Meta, MetaList, MetaNameValue, Result, Token};

const KNOWN: &str = "name, binary, package, bin, topology(...), sched_args, cgroup_parent, kargs, sysctls, stop_signal, \
                     assert(...)";

/// What they say.
#[derive(Default)]
pub(super) struct Words {
    pub(super) name: Option<String>,
    /// A `SchedulerSpec`.
    pub(super) binary: Option<TokenStream>,
    /// Calls that add the rest to a `Scheduler`.
    pub(super) calls: Vec<TokenStream>,
    /// Fields of `Assert`.
    pub(super) assert: Fields,
    package: Option<String>,
    bin: Option<(String, Span)>,
}

/// Parses and checks.
pub(super) fn parse(attributes: &[&Attribute]) -> Result<Words> {
    let mut words = Words::default();
    let mut seen: Vec<String> = Vec::new();
    for attribute in attributes {
        for meta in attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)? {
            let name = meta.path().get_ident().map(ToString::to_string).unwrap_or_default();
            if seen.contains(&name) {
                return Err(Error::new(meta.path().span(), format!("`{name}` is given twice")));
            }
            words.set(&name, &meta)?;
            seen.push(name);
        }
    }
    words.finish()
}

impl Words {
    fn set(&mut self, name: &str, meta: &Meta) -> Result<()> {
        let unknown = || Error::new(meta.path().span(), format!("unknown word; the known ones are: {KNOWN}"));
        match (name, meta) {
            ("topology", Meta::List(list)) => self.calls.push(topology(list)?),
            ("assert", Meta::List(list)) => self.assert = assert(list)?,
            ("topology" | "assert", other) => {
                return Err(Error::new(other.span(), format!("write `{name}(...)`")));
            }
            (_, Meta::NameValue(pair)) if self.set_value(name, pair)? => {}
            (_, Meta::NameValue(_)) => return Err(unknown()),
            (_, other) if KNOWN.split(", ").any(|known| known == name) => {
                return Err(Error::new(other.span(), format!("write `{name} = ...`")));
            }
            _ => return Err(unknown()),
        }
        Ok(())
    }

    /// A word with a value; whether it is one.
    fn set_value(&mut self, name: &str, pair: &MetaNameValue) -> Result<bool> {
        let value = &pair.value;
        let call = match name {
            "name" => {
                self.name = Some(text(name, value, "the scheduler's name, such as \"simple\"")?);
                return Ok(true);
            }
            "binary" => {
                self.set_binary(pair, binary(name, value)?)?;
                return Ok(true);
            }
            "package" => {
                self.package = Some(text(name, value, "the name of a package of the workspace")?);
                self.set_binary(pair, TokenStream::new())?;
                return Ok(true);
            }
            "bin" => {
                self.bin = Some((text(name, value, "the name of a binary of the package")?, pair.path.span()));
                return Ok(true);
            }
            "sched_args" => list("sched_args", &words(name, value, "a list of arguments, such as [\"-v\"]")?),
            "kargs" => list("kargs", &kargs(name, value)?),
            "sysctls" => {
                let pairs = sysctls(name, value)?.into_iter().map(|(key, value)| quote!((#key, #value)));
                quote!(sysctls(&[#(#pairs),*]))
            }
            "cgroup_parent" => {
                let path = text(name, value, "a path below the root of the hierarchy, such as \"work\"")?;
                quote!(cgroup_parent(#path))
            }
            "stop_signal" => quote!(stop_signal(#value)),
            _ => return Ok(false),
        };
        self.calls.push(call);
        Ok(true)
    }

    fn set_binary(&mut self, pair: &MetaNameValue, spec: TokenStream) -> Result<()> {
        if self.binary.is_some() {
            let message = "`binary` and `package` both say what the scheduler is: give one of them";
            return Err(Error::new(pair.path.span(), message));
        }
        self.binary = Some(spec);
        Ok(())
    }

    /// With the package's binary.
    fn finish(mut self) -> Result<Self> {
        match (&self.package, &self.bin) {
            (Some(package), bin) => {
                let bin = bin.as_ref().map_or(package, |(bin, _)| bin);
                self.binary = Some(quote!(::ktstr::SchedulerSpec::Package { package: #package, bin: #bin }));
            }
            (None, Some((_, span))) => {
                return Err(Error::new(*span, "`bin` is one of a package's: give `package`, too"));
            }
            (None, None) => {}
        }
        Ok(self)
    }
}

fn list(call: &str, words: &[String]) -> TokenStream {
    let call = proc_macro2::Ident::new(call, Span::call_site());
    quote!(#call(&[#(#words),*]))
}

/// A name, a path, or what is a `SchedulerSpec` itself.
fn binary(name: &str, value: &Expr) -> Result<TokenStream> {
    let Expr::Lit(ExprLit { lit, .. }) = value else { return Ok(value.to_token_stream()) };
    let wanted = "the name of a program, its path, or a `SchedulerSpec`";
    match lit {
        Lit::Str(_) => {
            let file = text(name, value, wanted)?;
            let kind = if file.contains('/') { quote!(Path) } else { quote!(Name) };
            Ok(quote!(::ktstr::SchedulerSpec::#kind(#file)))
        }
        other => Err(Error::new(other.span(), format!("`{name}` takes {wanted}"))),
    }
}

fn topology(given: &MetaList) -> Result<TokenStream> {
    let wanted = || {
        let message = "`topology` takes four whole numbers of at least 1, for NUMA nodes, LLCs, cores of an LLC and threads of \
                       a core, such as topology(1, 2, 4, 1)";
        Error::new(given.span(), message)
    };
    let numbers = given.parse_args_with(Punctuated::<Expr, Token![,]>::parse_terminated)?;
    let numbers = numbers.iter().map(|number| count("topology", number).map_err(|_| wanted()));
    let numbers = numbers.collect::<Result<Vec<u32>>>()?;
    let [numa_nodes, llcs, cores, threads] = numbers[..] else { return Err(wanted()) };
    let machine = MachineAttrs {
        numa_nodes: Some(numa_nodes),
        llcs: Some(llcs),
        cores: Some(cores),
        threads: Some(threads),
        ..MachineAttrs::default()
    };
    machine::check(&machine, given.span())?;
    Ok(quote!(topology(#numa_nodes, #llcs, #cores, #threads)))
}

fn assert(given: &MetaList) -> Result<Fields> {
    let pairs = given.parse_args_with(Punctuated::<MetaNameValue, Token![,]>::parse_terminated)?;
    let mut attrs = Attrs::default();
    let mut seen: Vec<String> = Vec::new();
    for pair in &pairs {
        let name = pair.path.get_ident().map(ToString::to_string).unwrap_or_default();
        if seen.contains(&name) {
            return Err(Error::new(pair.path.span(), format!("`{name}` is given twice")));
        }
        if !attrs.set_assert(&name, pair)? {
            let message = format!("`{name}` is nothing that is asserted; see the fields of `Assert`");
            return Err(Error::new(pair.path.span(), message));
        }
        seen.push(name);
    }
    Ok(attrs.assert)
}
