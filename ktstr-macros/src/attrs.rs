//! The words inside `#[ktstr_test(...)]`.

use crate::gauntlet::Gauntlet;
use crate::guest::{kargs, sysctls};
use crate::machine::{self, MachineAttrs};
use crate::under_test::UnderTest;
use crate::values::{Given, boolean, count, counts, flags, matrix, names, positive, text};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, MetaNameValue, Result, Token};

/// What the attribute says; what it doesn't say is left out.
#[derive(Default)]
pub(crate) struct Attrs {
    pub(crate) machine: MachineAttrs,
    pub(crate) gauntlet: Gauntlet,
    /// The scheduler under test: an expression.
    pub(crate) scheduler: Option<TokenStream>,
    pub(crate) under_test: UnderTest,
    /// Other fields of `TestSpec`.
    pub(crate) spec: Fields,
    /// Fields of `Assert`.
    pub(crate) assert: Fields,
}

/// Fields and their values.
pub(crate) type Fields = Vec<(Ident, TokenStream)>;

const KNOWN: &str = "llcs or sockets, cores, threads, numa_nodes, node_llcs, memory_mb, node_memory_mb, \
                     memory_only_nodes_mb, distances, duration_s, workers_per_cgroup, performance_mode, programs, \
                     kargs, sysctls, scheduler, schedulers, extra_sched_args, watchdog_timeout_s, required_flags, \
                     excluded_flags, bpf_map_write, auto_repro, replicas, expect_err, not_starved, isolation, \
                     max_gap_ms, max_spread_pct, \
                     max_throughput_cv, min_work_rate, max_p99_wake_latency_ns, max_wake_latency_cv, \
                     min_iteration_rate, max_migration_ratio, weight_proportional, quota_respected, work_conserving, \
                     gauntlet, min_llcs, max_llcs, min_cpus, max_cpus, min_numa_nodes, max_numa_nodes, requires_smt";

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
            let known = attrs.set_machine(&name, &pair.value)?
                || attrs.set_run(&name, pair)?
                || attrs.set_assert(&name, pair)?
                || attrs.under_test.set(&name, pair)?
                || attrs.gauntlet.set(&name, pair)?;
            if !known {
                return Err(Error::new(pair.path.span(), format!("unknown attribute; the known ones are: {KNOWN}")));
            }
            seen.push(name);
        }
        attrs.under_test.check(attrs.scheduler.is_some())?;
        machine::check(&attrs.machine, span)?;
        attrs.gauntlet.check(&attrs.machine, span)?;
        Ok(attrs)
    }

    /// The machine; whether it is one of its words.
    fn set_machine(&mut self, name: &str, value: &Expr) -> Result<bool> {
        let machine = &mut self.machine;
        match name {
            "llcs" | "sockets" => machine.llcs = Some(count(name, value)?),
            "cores" => machine.cores = Some(count(name, value)?),
            "threads" => machine.threads = Some(count(name, value)?),
            "numa_nodes" => machine.numa_nodes = Some(count(name, value)?),
            "memory_mb" => machine.memory_mb = Some(Given::new(value, count(name, value)?)),
            "node_llcs" => machine.node_llcs = Some(Given::new(value, counts(name, value)?)),
            "node_memory_mb" => machine.node_memory_mb = Some(Given::new(value, counts(name, value)?)),
            "memory_only_nodes_mb" => machine.memory_only_nodes_mb = Some(Given::new(value, counts(name, value)?)),
            "distances" => machine.distances = Some(Given::new(value, matrix(name, value)?)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// How the test runs; whether it is one of these words.
    fn set_run(&mut self, name: &str, pair: &MetaNameValue) -> Result<bool> {
        let value = &pair.value;
        let tokens = match name {
            "duration_s" => positive(name, value)?.into_token_stream(),
            "workers_per_cgroup" | "replicas" => count::<u32>(name, value)?.into_token_stream(),
            "performance_mode" => boolean(name, value)?.into_token_stream(),
            "programs" => {
                let programs = names(name, value)?;
                quote!(&[#(#programs),*])
            }
            "kargs" => {
                let kargs = kargs(name, value)?;
                quote!(&[#(#kargs),*])
            }
            "sysctls" => {
                let pairs = sysctls(name, value)?.into_iter().map(|(key, value)| quote!((#key, #value)));
                quote!(&[#(#pairs),*])
            }
            "scheduler" => {
                if matches!(value, Expr::Lit(_)) {
                    let message = format!("`{name}` takes a constant `Scheduler`, such as Mitosis::SCHEDULER");
                    return Err(Error::new(value.span(), message));
                }
                self.scheduler = Some(value.to_token_stream());
                return Ok(true);
            }
            "required_flags" | "excluded_flags" => {
                let flags = flags(name, value)?;
                // A constant, for what a function returns is none by itself.
                quote!({ const FLAGS: &[&str] = &[#(#flags),*]; FLAGS })
            }
            "expect_err" => {
                let reason = text(name, value, "a part of what the failure says, such as \"max_gap_ms\"")?;
                quote!(::std::option::Option::Some(#reason))
            }
            _ => return Ok(false),
        };
        self.spec.extend(field(pair, tokens));
        Ok(true)
    }

    /// What is asserted; whether it is one of these words.
    pub(crate) fn set_assert(&mut self, name: &str, pair: &MetaNameValue) -> Result<bool> {
        let value = &pair.value;
        let tokens = match name {
            "not_starved" | "isolation" | "quota_respected" | "work_conserving" => {
                boolean(name, value)?.into_token_stream()
            }
            "max_gap_ms" | "max_p99_wake_latency_ns" => count::<u64>(name, value)?.into_token_stream(),
            "max_spread_pct"
            | "max_throughput_cv"
            | "min_work_rate"
            | "max_wake_latency_cv"
            | "min_iteration_rate"
            | "max_migration_ratio"
            | "weight_proportional" => positive(name, value)?.into_token_stream(),
            _ => return Ok(false),
        };
        self.assert.extend(field(pair, quote!(::std::option::Option::Some(#tokens))));
        Ok(true)
    }
}

/// The field that has the attribute's name.
fn field(pair: &MetaNameValue, value: TokenStream) -> Option<(Ident, TokenStream)> {
    pair.path.get_ident().map(|name| (Ident::new(&name.to_string(), proc_macro2::Span::call_site()), value))
}
