//! The words inside `#[ktstr_test(...)]`.

use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Lit, MetaNameValue, Result, Token};

/// The most CPUs that a machine may have (`Topology::MAX_CPUS`).
const MAX_CPUS: u32 = 512;

/// What the attribute says; what it doesn't say is `None`.
#[derive(Default)]
pub(crate) struct Attrs {
    pub(crate) llcs: Option<u32>,
    pub(crate) cores: Option<u32>,
    pub(crate) threads: Option<u32>,
    pub(crate) numa_nodes: Option<u32>,
    pub(crate) memory_mb: Option<u32>,
    pub(crate) duration_s: Option<f64>,
    pub(crate) workers_per_cgroup: Option<u32>,
    pub(crate) not_starved: Option<bool>,
    pub(crate) max_gap_ms: Option<u32>,
    pub(crate) max_spread_pct: Option<f64>,
}

const KNOWN: &str = "llcs, cores, threads, numa_nodes, memory_mb, duration_s, workers_per_cgroup, not_starved, \
                     max_gap_ms, max_spread_pct";

impl Attrs {
    /// Parses and checks.
    pub(crate) fn parse(args: TokenStream) -> Result<Self> {
        let span = args.span();
        let pairs = Punctuated::<MetaNameValue, Token![,]>::parse_terminated.parse2(args)?;
        let mut attrs = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for pair in &pairs {
            let name = pair.path.get_ident().map(ToString::to_string).unwrap_or_default();
            if seen.contains(&name) {
                return Err(Error::new(pair.path.span(), format!("`{name}` is given twice")));
            }
            attrs.set(&name, pair)?;
            seen.push(name);
        }
        attrs.check_topology(span)?;
        Ok(attrs)
    }

    fn set(&mut self, name: &str, pair: &MetaNameValue) -> Result<()> {
        let value = &pair.value;
        match name {
            "llcs" => self.llcs = Some(count(name, value)?),
            "cores" => self.cores = Some(count(name, value)?),
            "threads" => self.threads = Some(count(name, value)?),
            "numa_nodes" => self.numa_nodes = Some(count(name, value)?),
            "memory_mb" => self.memory_mb = Some(count(name, value)?),
            "duration_s" => self.duration_s = Some(positive(name, value)?),
            "workers_per_cgroup" => self.workers_per_cgroup = Some(count(name, value)?),
            "not_starved" => self.not_starved = Some(boolean(name, value)?),
            "max_gap_ms" => self.max_gap_ms = Some(count(name, value)?),
            "max_spread_pct" => self.max_spread_pct = Some(positive(name, value)?),
            _ => return Err(Error::new(pair.path.span(), format!("unknown attribute; the known ones are: {KNOWN}"))),
        }
        Ok(())
    }

    fn check_topology(&self, span: Span) -> Result<()> {
        let get = |field: Option<u32>| field.unwrap_or(1);
        let (llcs, nodes) = (get(self.llcs), get(self.numa_nodes));
        let cpus = llcs.saturating_mul(get(self.cores)).saturating_mul(get(self.threads));
        if cpus > MAX_CPUS {
            return Err(Error::new(span, format!("{cpus} CPUs are more than the {MAX_CPUS} that a machine may have")));
        }
        if nodes > llcs {
            return Err(Error::new(
                span,
                format!("{nodes} NUMA nodes cannot divide {llcs} LLCs: each needs at least one"),
            ));
        }
        Ok(())
    }
}

fn literal<'a>(name: &str, value: &'a Expr, wanted: &str) -> Result<&'a Lit> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Ok(lit),
        other => Err(Error::new(other.span(), format!("`{name}` takes {wanted}"))),
    }
}

fn count(name: &str, value: &Expr) -> Result<u32> {
    let wanted = "a whole number of at least 1";
    let error = || Error::new(value.span(), format!("`{name}` takes {wanted}"));
    match literal(name, value, wanted)? {
        Lit::Int(int) => int.base10_parse().ok().filter(|number| *number >= 1).ok_or_else(error),
        _ => Err(error()),
    }
}

fn positive(name: &str, value: &Expr) -> Result<f64> {
    let wanted = "a number above 0";
    let error = || Error::new(value.span(), format!("`{name}` takes {wanted}"));
    let number: f64 = match literal(name, value, wanted)? {
        Lit::Int(int) => int.base10_parse().map_err(|_| error())?,
        Lit::Float(float) => float.base10_parse().map_err(|_| error())?,
        _ => return Err(error()),
    };
    if number > 0.0 && number.is_finite() { Ok(number) } else { Err(error()) }
}

fn boolean(name: &str, value: &Expr) -> Result<bool> {
    match literal(name, value, "true or false")? {
        Lit::Bool(boolean) => Ok(boolean.value),
        other => Err(Error::new(other.span(), format!("`{name}` takes true or false"))),
    }
}
