//! Words that no file may have. They are written in parts here, lest this file be the first to have them.

use std::path::Path;

/// Notes to oneself; one must say why it is still there: `NOTE: at least a few words`.
const NOTES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const SHORTEST_REASON: usize = 12;

/// Distribution archives, as the ends of host names. Kernels come from wherever the system's own sources say.
const ARCHIVES: [&str; 4] = [
    concat!("debian", ".org"),
    concat!("archive.ubuntu", ".com"),
    concat!("security.ubuntu", ".com"),
    concat!("ports.ubuntu", ".com"),
];
/// Hosts below those that serve no packages.
const NO_ARCHIVES: [&str; 9] = ["www", "bugs", "wiki", "lists", "packages", "tracker", "sources", "manpages", "salsa"];
/// Package proxies of some site, by their products' names.
const PROXIES: [&str; 2] = [concat!("artifact", "ory"), concat!("/repository", "/crates")];

/// Complaints about the lines of a file.
pub(super) fn complaints(path: &Path, text: &str) -> Vec<String> {
    let lines = text.lines().enumerate();
    let complaint = |(number, line)| Some(format!("{}:{}: {}", path.display(), number + 1, complaint(line)?));
    lines.filter_map(complaint).collect()
}

fn complaint(line: &str) -> Option<String> {
    if let Some(note) = NOTES.iter().find(|note| word_without_reason(line, note)) {
        return Some(format!("{note} without a reason: do it, or write `{note}: why not yet`"));
    }
    if let Some(host) = ARCHIVES.iter().find_map(|archive| package_host(line, archive)) {
        return Some(format!("{host} is the host of a package archive: take the system's own sources"));
    }
    let proxy = PROXIES.iter().find(|proxy| line.to_ascii_lowercase().contains(**proxy))?;
    Some(format!("{proxy} is a site's own package proxy"))
}

fn word_without_reason(line: &str, note: &str) -> bool {
    line.match_indices(note).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + note.len()..]);
        let is_word = !before.ends_with(is_name) && !after.starts_with(is_name);
        let reason = after.strip_prefix(':').map_or(0, |reason| reason.trim().chars().count());
        is_word && reason < SHORTEST_REASON
    })
}

/// The host name that ends in `archive`, if it serves packages.
fn package_host(line: &str, archive: &str) -> Option<String> {
    line.match_indices(archive).find_map(|(at, _)| {
        let start = line[..at].rfind(|c| !is_host(c)).map_or(0, |before| before + 1);
        let below = line[start..at].trim_end_matches('.');
        let is_mail = line[..start].ends_with('@');
        let ends = !line[at + archive.len()..].starts_with(|c: char| is_name(c) || c == '-');
        (ends && !below.is_empty() && !is_mail && !NO_ARCHIVES.contains(&below)).then(|| format!("{below}.{archive}"))
    })
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '.'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<&str>) {
        let complaint = complaint(line);
        match expected {
            Some(words) => {
                assert!(complaint.as_ref().is_some_and(|said| said.contains(words)), "{line}: {complaint:?}")
            }
            None => assert_eq!(complaint, None, "{line}"),
        }
    }

    #[test]
    fn notes_need_a_reason() {
        let [todo, fixme, marks] = NOTES;
        check(&format!("// {todo}"), Some("without a reason"));
        check(&format!("// {fixme}: later"), Some("without a reason"));
        check(&format!("mktemp /tmp/a.{marks}"), Some("without a reason"));
        check(&format!("mktemp /tmp/a.{marks}{marks}"), None);
        check(&format!("// {todo}: wait until QEMU 11 is in stable"), None);
        check(&format!("let {todo}_LIST = 1;"), None);
    }

    #[test]
    fn package_hosts_are_not_written_down() {
        let debian = ARCHIVES[0];
        check(&format!("deb http://deb.{debian}/debian sid main"), Some("package archive"));
        check(&format!("URIs: https://ftp.de.{debian}/debian"), Some("package archive"));
        check(&format!("see https://wiki.{debian}/Kernel"), None);
        check(&format!("Maintainer: someone@lists.{debian}"), None);
        check(&format!("the {debian} project"), None);
        check(&format!("http://host:443/{}/api", PROXIES[0]), Some("proxy"));
    }

    #[test]
    fn complaints_name_file_and_line() {
        let text = format!("fine\n// {}\n", NOTES[0]);
        assert!(complaints(Path::new("a/b.rs"), &text)[0].starts_with("a/b.rs:2: "));
    }
}
