//! A kernel in the form in which it was found: a bzImage, or an ELF file.

/// Unpacks it.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_kernels::fuzzing::image(bytes);
}

/// A bzImage (Documentation/arch/x86/boot.rst) around a small kernel, and that kernel.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let payload = crate::kernel_payload::seeds().swap_remove(0);
    let mut image = vec![0; 1024];
    image[0x1f1] = 1;
    image[0x202..0x208].copy_from_slice(b"HdrS\x0f\x02");
    image[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    image.extend_from_slice(&payload);
    vec![image, crate::vmlinux::seeds().swap_remove(0)]
}
