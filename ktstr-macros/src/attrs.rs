//! The words inside `#[ktstr_test(...)]`.

use crate::machine;
use crate::values::{Given, boolean, count, counts, matrix, names, positive};

use proc_macro2::TokenStream;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, MetaNameValue, Result, Token};

/// What the attribute says; what it doesn't say is `None`.
#[derive(Default)]
pub(crate) struct Attrs {
    pub(crate) llcs: Option<u32>,
    pub(crate) cores: Option<u32>,
    pub(crate) threads: Option<u32>,
    pub(crate) numa_nodes: Option<u32>,
    pub(crate) memory_mb: Option<Given<u32>>,
    pub(crate) node_llcs: Option<Given<Vec<u32>>>,
    pub(crate) node_memory_mb: Option<Given<Vec<u32>>>,
    pub(crate) memory_only_nodes_mb: Option<Given<Vec<u32>>>,
    pub(crate) distances: Option<Given<Vec<Vec<u8>>>>,
    pub(crate) duration_s: Option<f64>,
    pub(crate) workers_per_cgroup: Option<u32>,
    pub(crate) performance_mode: Option<bool>,
    pub(crate) programs: Option<Vec<String>>,
    pub(crate) not_starved: Option<bool>,
    pub(crate) max_gap_ms: Option<u32>,
    pub(crate) max_spread_pct: Option<f64>,
}

const KNOWN: &str = "llcs or sockets, cores, threads, numa_nodes, node_llcs, memory_mb, node_memory_mb, \
                     memory_only_nodes_mb, distances, duration_s, workers_per_cgroup, performance_mode, programs, \
                     not_starved, max_gap_ms, max_spread_pct";

/// One package has one LLC, so that their numbers are the same.
const SYNONYMS: [(&str, &str); 2] = [("llcs", "sockets"), ("sockets", "llcs")];

impl Attrs {
    /// Parses and checks.
    pub(crate) fn parse(args: TokenStream) -> Result<Self> {
        let span = args.span();
        let pairs = Punctuated::<MetaNameValue, Token![,]>::parse_terminated.parse2(args)?;
        let mut attrs = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for pair in &pairs {
            let name = pair.path.get_ident().map(ToString::to_string).unwrap_or_default();
            let other = SYNONYMS.iter().find(|(one, _)| *one == name).map(|(_, other)| *other);
            if let Some(other) = other.filter(|other| seen.iter().any(|name| name == other)) {
                let message = format!("`{name}` is another word for `{other}`, which is given too: give one of them");
                return Err(Error::new(pair.path.span(), message));
            }
            if seen.contains(&name) {
                return Err(Error::new(pair.path.span(), format!("`{name}` is given twice")));
            }
            attrs.set(&name, pair)?;
            seen.push(name);
        }
        machine::check(&attrs, span)?;
        Ok(attrs)
    }

    fn set(&mut self, name: &str, pair: &MetaNameValue) -> Result<()> {
        let value = &pair.value;
        match name {
            "llcs" | "sockets" => self.llcs = Some(count(name, value)?),
            "cores" => self.cores = Some(count(name, value)?),
            "threads" => self.threads = Some(count(name, value)?),
            "numa_nodes" => self.numa_nodes = Some(count(name, value)?),
            "memory_mb" => self.memory_mb = Some(Given::new(value, count(name, value)?)),
            "node_llcs" => self.node_llcs = Some(Given::new(value, counts(name, value)?)),
            "node_memory_mb" => self.node_memory_mb = Some(Given::new(value, counts(name, value)?)),
            "memory_only_nodes_mb" => self.memory_only_nodes_mb = Some(Given::new(value, counts(name, value)?)),
            "distances" => self.distances = Some(Given::new(value, matrix(name, value)?)),
            "duration_s" => self.duration_s = Some(positive(name, value)?),
            "workers_per_cgroup" => self.workers_per_cgroup = Some(count(name, value)?),
            "performance_mode" => self.performance_mode = Some(boolean(name, value)?),
            "programs" => self.programs = Some(names(name, value)?),
            "not_starved" => self.not_starved = Some(boolean(name, value)?),
            "max_gap_ms" => self.max_gap_ms = Some(count(name, value)?),
            "max_spread_pct" => self.max_spread_pct = Some(positive(name, value)?),
            _ => return Err(Error::new(pair.path.span(), format!("unknown attribute; the known ones are: {KNOWN}"))),
        }
        Ok(())
    }
}
