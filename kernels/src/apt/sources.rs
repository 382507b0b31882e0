//! The system's own package sources, rewritten for other suites, so that no mirror's name is written anywhere.
//!
//! Source: sources.list(5), both its one-line form and the deb822 form.

use std::fs;
use std::path::{Path, PathBuf};

/// Suites whose kernels are offered besides those of the system's own suite.
const SUITES: [&str; 4] = ["bookworm-backports", "trixie", "trixie-backports", "sid"];

/// Names that a release of the distribution goes by.
const RELEASES: [&str; 11] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// One source: a place that serves suites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    uris: String,
    suites: Vec<String>,
    components: Vec<String>,
    /// Further deb822 fields that matter for getting and trusting it, such as `Signed-By`.
    options: Vec<(String, String)>,
}

/// The files that apt reads sources from, below `etc`, which is `/etc/apt`.
pub(crate) fn files(etc: &Path) -> Vec<PathBuf> {
    let parts = fs::read_dir(etc.join("sources.list.d")).into_iter().flatten().filter_map(Result::ok);
    let mut files: Vec<PathBuf> = parts.map(|entry| entry.path()).collect();
    files.push(etc.join("sources.list"));
    files.retain(|path| path.is_file() && path.extension().is_some_and(|end| end == "sources" || end == "list"));
    files.sort();
    files
}

/// All entries of the system.
pub(crate) fn read(etc: &Path) -> Vec<Entry> {
    let parse = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_default();
        if path.extension().is_some_and(|end| end == "sources") { parse_deb822(&text) } else { parse_lines(&text) }
    };
    files(etc).into_iter().flat_map(parse).collect()
}

/// deb822 text for the private state: the distribution's entries with its kernels' suites. `None` when none of the
/// entries is the distribution's.
pub(crate) fn rewrite(entries: &[Entry]) -> Option<String> {
    let mut stanzas: Vec<String> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_distribution()) {
        let own = entry.suites.iter().filter(|suite| RELEASES.contains(&suite.as_str())).map(String::as_str);
        let mut suites: Vec<&str> = own.chain(SUITES).collect();
        let mut seen = Vec::new();
        suites.retain(|suite| {
            !seen.contains(suite) && {
                seen.push(suite);
                true
            }
        });
        let mut stanza = format!("Types: deb\nURIs: {}\nSuites: {}\nComponents: main\n", entry.uris, suites.join(" "));
        for (name, value) in &entry.options {
            stanza.push_str(&format!("{name}:{value}\n"));
        }
        if !stanzas.iter().any(|known| known.lines().nth(1) == stanza.lines().nth(1)) {
            stanzas.push(stanza);
        }
    }
    (!stanzas.is_empty()).then(|| stanzas.join("\n"))
}

/// The suites that rewritten sources name.
pub(crate) fn suites_of(text: &str) -> Vec<String> {
    let mut suites: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("Suites: "))
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect();
    suites.sort();
    suites.dedup();
    suites
}

impl Entry {
    /// Whether this is the distribution's main archive: a release's suite that is not the security archive's, `main`,
    /// and no third party's key.
    fn is_distribution(&self) -> bool {
        let release = |suite: &String| {
            let base = suite.strip_suffix("-updates").or(suite.strip_suffix("-backports")).unwrap_or(suite);
            RELEASES.contains(&base)
        };
        let key = self.options.iter().find(|(name, _)| name.eq_ignore_ascii_case("Signed-By"));
        let own_key = key.is_none_or(|(_, value)| value.contains("debian-archive") || value.contains("BEGIN PGP"));
        self.suites.iter().any(release) && self.components.iter().any(|name| name == "main") && own_key
    }
}

pub(crate) fn parse_deb822(text: &str) -> Vec<Entry> {
    let text: String = text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    text.split("\n\n").filter_map(parse_stanza).collect()
}

fn parse_stanza(text: &str) -> Option<Entry> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.starts_with([' ', '\t']) {
            let (_, value) = fields.last_mut()?;
            value.push('\n');
            value.push_str(line);
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_owned(), format!(" {}", value.trim())));
        }
    }
    let field = |wanted: &str| {
        fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
    };
    let words =
        |wanted: &str| field(wanted).unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let disabled = field("Enabled").is_some_and(|value| matches!(value.trim(), "no" | "false" | "0"));
    if disabled || !words("Types").iter().any(|kind| kind == "deb") {
        return None;
    }
    let (uris, suites, components) = (words("URIs").join(" "), words("Suites"), words("Components"));
    let taken = ["Types", "URIs", "Suites", "Components", "Enabled", "Architectures", "X-Repolib-Name"];
    fields.retain(|(name, _)| !taken.iter().any(|known| name.eq_ignore_ascii_case(known)));
    Some(Entry { uris, suites, components, options: fields })
}

pub(crate) fn parse_lines(text: &str) -> Vec<Entry> {
    text.lines().filter_map(parse_line).collect()
}

/// `deb [ option=value … ] URI SUITE COMPONENT…`
fn parse_line(line: &str) -> Option<Entry> {
    let rest = line.split('#').next()?.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let (uris, suite) = (words.next()?, words.next()?);
    let option = |text: &str| {
        let (name, value) = text.split_once('=')?;
        let name = match name.to_ascii_lowercase().as_str() {
            "signed-by" => "Signed-By",
            "trusted" => "Trusted",
            "check-valid-until" => "Check-Valid-Until",
            _ => return None,
        };
        Some((name.to_owned(), format!(" {}", value.replace(',', " "))))
    };
    let options = options.split_whitespace().filter_map(option).collect();
    Some(Entry { uris, suites: vec![suite], components: words.collect(), options })
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
