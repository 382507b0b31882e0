//! Quantities for a person.

/// A length of time with three digits and a fitting unit.
pub(crate) fn duration(ns: f64) -> String {
    let (value, unit) = match ns.abs() {
        size if size >= 1e9 => (ns / 1e9, "s"),
        size if size >= 1e6 => (ns / 1e6, "ms"),
        size if size >= 1e3 => (ns / 1e3, "µs"),
        _ => return format!("{ns:.0} ns"),
    };
    format!("{} {unit}", three_digits(value))
}

/// A number of bytes.
pub(crate) fn bytes(count: u64) -> String {
    let count = count as f64;
    match count {
        c if c >= 1e9 => format!("{} GB", three_digits(c / 1e9)),
        c if c >= 1e6 => format!("{} MB", three_digits(c / 1e6)),
        c if c >= 1e3 => format!("{} kB", three_digits(c / 1e3)),
        _ => format!("{count:.0} bytes"),
    }
}

/// A number with three digits, or more if its whole part has more.
pub(crate) fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        let got = [0.0, 999.0, 1500.0, 12_345_678.0, 2e9, 123e9].map(duration);
        assert_eq!(got, ["0 ns", "999 ns", "1.50 µs", "12.3 ms", "2.00 s", "123 s"]);
        assert_eq!([7, 1500, 25_000_000].map(bytes), ["7 bytes", "1.50 kB", "25.0 MB"]);
    }
}
