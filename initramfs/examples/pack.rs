//! Packs programs by hand: `pack PROGRAM=GUEST_PATH...` prints the image and how long it took; `pack closure PROGRAM...`
//! prints what each program needs. The cache is the usual one (`KTSTR_CACHE_DIR`).

use ktstr_cache::Cache;
use ktstr_initramfs::{ImageSpec, Sysroot, closure};
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some((_, programs)) = args.split_first().filter(|(verb, _)| *verb == "closure") {
        for program in programs {
            for library in closure(Path::new(program), &Sysroot::host())? {
                println!("{program}: {} => {} ({:?})", library.name, library.host.display(), library.via);
            }
        }
        return Ok(());
    }
    let mut spec = ImageSpec::new();
    for arg in &args {
        let (host, guest) = arg.split_once('=').ok_or("say PROGRAM=GUEST_PATH")?;
        spec = spec.program(host, guest);
    }
    let cache = Cache::open_default()?;
    for _ in 0..2 {
        let started = Instant::now();
        let image = spec.build(&cache)?;
        println!("{} {} bytes in {:?}", image.path.display(), image.len_bytes, started.elapsed());
    }
    Ok(())
}
