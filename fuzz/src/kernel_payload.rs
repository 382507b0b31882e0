//! The compressed kernel, in each compression.

/// Decompresses it.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_kernels::fuzzing::payload(bytes);
}

/// A small kernel, packed by the tools that the kernel's build uses.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let packed: [&[u8]; 7] = [
        include_bytes!("../../kernels/tests/data/kernel.gzip"),
        include_bytes!("../../kernels/tests/data/kernel.bzip2"),
        include_bytes!("../../kernels/tests/data/kernel.xz"),
        include_bytes!("../../kernels/tests/data/kernel.lzma"),
        include_bytes!("../../kernels/tests/data/kernel.lzo"),
        include_bytes!("../../kernels/tests/data/kernel.lz4"),
        include_bytes!("../../kernels/tests/data/kernel.zstd"),
    ];
    packed.map(<[u8]>::to_vec).to_vec()
}
