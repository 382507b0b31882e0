//! Hashes of stretches of tokens, in constant time each.

/// A prime below 2^61, so that products fit 128 bits.
const PRIME: u64 = (1 << 61) - 1;
const BASE: u64 = 0x0123_4567_89ab_cdef % PRIME;

fn multiply(a: u64, b: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(PRIME)) as u64
}

/// The hash of a sequence, from that of what comes before its last token.
pub(super) fn extend(before: u64, token: u64) -> u64 {
    (multiply(before, BASE) + token % PRIME) % PRIME
}

/// Powers of the base, as far as they were asked for.
pub(super) struct Powers(Vec<u64>);

impl Default for Powers {
    fn default() -> Self {
        Self(vec![1])
    }
}

impl Powers {
    /// The hash of the `len` tokens that lie between two prefixes of a sequence.
    pub(super) fn between(&mut self, before: u64, after: u64, len: usize) -> u64 {
        while self.0.len() <= len {
            let last = self.0.last().copied().unwrap_or(1);
            self.0.push(multiply(last, BASE));
        }
        (after + PRIME - multiply(before, self.0[len])) % PRIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_stretches_have_equal_hashes_anywhere() {
        let prefixes = |tokens: &[u64]| {
            let mut all = vec![0];
            tokens.iter().for_each(|token| all.push(extend(all[all.len() - 1], *token)));
            all
        };
        let a = prefixes(&[5, u64::MAX, 7, 1, 5, u64::MAX, 7, 2]);
        let mut powers = Powers::default();
        let first = powers.between(a[0], a[3], 3);
        assert_eq!(first, powers.between(a[4], a[7], 3));
        assert_ne!(first, powers.between(a[5], a[8], 3));
        assert_ne!(first, powers.between(a[1], a[4], 3));
    }
}
