//! A kernel's types as a C header, by libbpf, from its BTF.

use anyhow::{Context, Result, ensure};
use libbpf_rs::libbpf_sys as sys;
use std::ffi::{CString, c_char, c_void};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{self, NonNull};

const BEGIN: &str = "#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)

";
const END: &str = "
#pragma clang attribute pop

#endif
";

/// All types of a `vmlinux`, or of a file that is BTF alone.
///
/// # Errors
/// When the file cannot be read or has no BTF.
pub(crate) fn of(vmlinux: &Path) -> Result<String> {
    let btf = Btf::read(vmlinux).with_context(|| format!("cannot read the BTF of {}", vmlinux.display()))?;
    let mut text = BEGIN.to_owned();
    btf.write_types(&mut text).with_context(|| format!("cannot write the types of {}", vmlinux.display()))?;
    text.push_str(END);
    Ok(text)
}

/// Parsed BTF, freed when it is dropped.
struct Btf(NonNull<sys::btf>);

impl Btf {
    fn read(path: &Path) -> Result<Self> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: the path is a C string; no split BTF is asked for.
        let btf = unsafe { sys::btf__parse(path.as_ptr(), ptr::null_mut()) };
        Ok(Self(NonNull::new(btf).ok_or_else(io::Error::last_os_error)?))
    }

    fn write_types(&self, text: &mut String) -> Result<()> {
        // SAFETY: the BTF is there for as long as the writer, and the text for as long as it is called: to the end of this
        // function, where it is freed.
        unsafe {
            let text = ptr::from_mut(text).cast::<c_void>();
            let dump = sys::btf_dump__new(self.0.as_ptr(), Some(append), text, ptr::null());
            let dump = NonNull::new(dump).ok_or_else(io::Error::last_os_error)?;
            let types = 1..sys::btf__type_cnt(self.0.as_ptr());
            let failed = types.map(|id| sys::btf_dump__dump_type(dump.as_ptr(), id)).find(|code| *code != 0);
            sys::btf_dump__free(dump.as_ptr());
            ensure!(failed.is_none(), "libbpf failed with {failed:?}");
        }
        Ok(())
    }
}

impl Drop for Btf {
    fn drop(&mut self) {
        // SAFETY: it is ours and not used any more.
        unsafe { sys::btf__free(self.0.as_ptr()) }
    }
}

/// Appends what libbpf formats to the `String` at `text`.
unsafe extern "C" fn append(text: *mut c_void, format: *const c_char, arguments: *mut sys::__va_list_tag) {
    // SAFETY: `text` is the String that `write_types` gave, which nothing else uses meanwhile; format and arguments come from
    // libbpf and belong together.
    unsafe {
        if let Ok(piece) = vsprintf::vsprintf(format, arguments) {
            (*text.cast::<String>()).push_str(&piece);
        }
    }
}
