//! Resolves the specs on the command line and prints what they mean: `cargo run -p ktstr-kernels --example resolve -- 7.3`.

use ktstr_kernels::{Kernels, Progress, Spec};
use std::error::Error;
use std::time::Instant;

struct Lines;

impl Progress for Lines {
    fn step(&self, what: &str) {
        eprintln!("{what}");
    }
    fn bytes(&self, _done: u64, _total: Option<u64>) {}
    fn warn(&self, what: &str) {
        eprintln!("warning: {what}");
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let kernels = Kernels::new(ktstr_cache::Cache::open_default()?);
    for text in std::env::args().skip(1) {
        let started = Instant::now();
        let resolved = match text.parse::<Spec>()? {
            Spec::Source(source) => kernels.build(&source, &Lines),
            spec => kernels.resolve(&spec, &Lines),
        };
        match resolved {
            Ok(kernel) => println!("{text}: {} at {} ({:?})", kernel.id, kernel.dir.display(), started.elapsed()),
            Err(error) => {
                println!("{text}: {error} ({:?})", started.elapsed());
                let mut source = error.source();
                while let Some(cause) = source {
                    println!("  because {cause}");
                    source = cause.source();
                }
            }
        }
    }
    Ok(())
}
