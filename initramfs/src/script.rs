//! The first line of a script: `#!` interpreter and argument, as the kernel reads it (fs/binfmt_script.c).

/// As much of a script as the kernel looks at (BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h).
const HEAD_BYTES: usize = 256;
/// Where `env` finds the program that it is told to run, when nothing sets PATH.
pub(crate) const ENV_DIRS: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// What a script is run by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shebang {
    /// The interpreter's path.
    pub(crate) interpreter: String,
    /// The program that an interpreter named `env` looks up.
    pub(crate) looked_up: Option<String>,
}

/// Reads the `#!` line; `None` when there is none that names an interpreter.
pub(crate) fn shebang(bytes: &[u8]) -> Option<Shebang> {
    let head = bytes.get(..HEAD_BYTES).unwrap_or(bytes).strip_prefix(b"#!")?;
    let line = head.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let interpreter = words.next()?.to_owned();
    let is_env = interpreter.rsplit('/').next() == Some("env");
    // `env -S prog args` splits its argument itself (env(1)).
    let mut words = words.skip_while(|word| *word == "-S").filter(|word| !word.contains('='));
    let looked_up = if is_env { words.next().filter(|word| !word.starts_with('-')).map(str::to_owned) } else { None };
    Some(Shebang { interpreter, looked_up })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_first_lines() {
        let check = |text: &str, expected: Option<(&str, Option<&str>)>| {
            let got = shebang(text.as_bytes());
            let got = got.as_ref().map(|bang| (bang.interpreter.as_str(), bang.looked_up.as_deref()));
            assert_eq!(got, expected, "{text}");
        };
        check("#!/bin/sh\necho", Some(("/bin/sh", None)));
        check("#! /bin/sh -e", Some(("/bin/sh", None)));
        check("#!/usr/bin/env bash\n", Some(("/usr/bin/env", Some("bash"))));
        check("#!/usr/bin/env -S A=1 bash -e\n", Some(("/usr/bin/env", Some("bash"))));
        check("#!\n", None);
        check("echo", None);
    }
}
