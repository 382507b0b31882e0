//! A kernel's configuration as text.

use std::collections::BTreeMap;

/// Options of a `.config`, or of a fragment of one: `CONFIG_` left out of the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kconfig {
    values: BTreeMap<String, String>,
}

impl Kconfig {
    /// Reads `.config` syntax; comments and `# CONFIG_X is not set` are absent options.
    pub fn parse(text: &str) -> Self {
        let assignment = |line: &str| {
            let (name, value) = line.trim().strip_prefix("CONFIG_")?.split_once('=')?;
            let value = value.split(" #").next().unwrap_or(value).trim();
            (value != "n").then(|| (name.to_owned(), value.to_owned()))
        };
        Self { values: text.lines().filter_map(assignment).collect() }
    }

    /// The value as written: `y`, `m`, a number, a quoted string.
    pub fn value(&self, name: &str) -> Option<&str> {
        // As given first: an option's own name may start so.
        let found = self.values.get(name).or_else(|| self.values.get(name.strip_prefix("CONFIG_")?));
        found.map(String::as_str)
    }

    /// Whether the option is built in.
    pub fn enabled(&self, name: &str) -> bool {
        self.value(name) == Some("y")
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_set_and_nothing_else() {
        let config = Kconfig::parse(
            "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=m\nCONFIG_D=512 # reason\nCONFIG_E=n\nnoise\nCONFIG_F=\"a b\"\n",
        );
        assert_eq!(config.iter().collect::<Vec<_>>(), [("B", "y"), ("C", "m"), ("D", "512"), ("F", "\"a b\"")]);
        assert!(config.enabled("CONFIG_B") && config.enabled("B"));
        assert!(!config.enabled("C") && !config.enabled("A"));
        assert!(Kconfig::parse("CONFIG_CONFIG_X=y\n").enabled("CONFIG_X"));
    }
}
