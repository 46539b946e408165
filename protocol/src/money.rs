//! Money is integer nano-dollars everywhere; floats never touch it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Billionths of a US dollar.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoUsd(pub u64);

/// One dollar in nano-dollars.
pub const NANO_PER_USD: u64 = 1_000_000_000;

/// Why a text is not an amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an amount in dollars: write it like 1.50 (at most nine decimals, below 10,000,000)")]
pub struct ParseMoneyError(String);

impl NanoUsd {
    /// The sum, saturating: a cost can only be refused for being too large, never wrap to a small one.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::str::FromStr for NanoUsd {
    type Err = ParseMoneyError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let error = || ParseMoneyError(crate::text::line(s, 40));
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        let amount = s.strip_prefix('$').unwrap_or(s);
        let (whole, part) = amount.split_once('.').unwrap_or((amount, "0"));
        if whole.is_empty() || whole.len() > 7 || part.is_empty() || part.len() > 9 {
            return Err(error());
        }
        if !digits(whole) || !digits(part) {
            return Err(error());
        }
        let whole: u64 = whole.parse().map_err(|_| error())?;
        let part: u64 = format!("{part:0<9}").parse().map_err(|_| error())?;
        Ok(Self(whole * NANO_PER_USD + part))
    }
}

impl fmt::Display for NanoUsd {
    /// Dollars with as many decimals as are needed, at least two: `$1.50`, `$0.000012`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:09}", self.0 % NANO_PER_USD);
        let short = part.trim_end_matches('0');
        write!(f, "${}.{short:0<2}", self.0 / NANO_PER_USD)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_in_words() {
        assert_eq!("1.50".parse(), Ok(NanoUsd(1_500_000_000)));
        assert_eq!(NanoUsd(1_500_000_000).to_string(), "$1.50");
        assert_eq!(NanoUsd(1).to_string(), "$0.000000001");
        for bad in ["", ".", "1.", ".5", "-1", "1e9", "1.0000000001", "99999999", "1,5", "NaN", "+1", "١"] {
            assert!(bad.parse::<NanoUsd>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn display_parses_back(n in 0..10_000_000 * NANO_PER_USD) {
            prop_assert_eq!(NanoUsd(n).to_string().parse(), Ok(NanoUsd(n)));
        }
    }
}
