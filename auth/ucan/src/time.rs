//! Time as UCAN counts it: whole seconds since 1970, within 53 bits.

use std::fmt;

use thiserror::Error;

use crate::limits::MAX_SAFE_INTEGER;

/// Seconds since 1970-01-01T00:00:00Z, at most 2^53 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// A number of seconds is outside 0 ..= 2^53 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a timestamp is a whole number of seconds between 0 and 2^53 - 1")]
pub struct TimestampError;

impl Timestamp {
    /// The latest time that can be said.
    pub const MAX: Self = Self(MAX_SAFE_INTEGER);

    /// This many seconds since 1970.
    ///
    /// # Errors
    /// [`TimestampError`] above 2^53 - 1.
    pub const fn from_secs(seconds: u64) -> Result<Self, TimestampError> {
        if seconds > MAX_SAFE_INTEGER { Err(TimestampError) } else { Ok(Self(seconds)) }
    }

    /// Seconds since 1970.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// This many seconds later, at most [`Timestamp::MAX`].
    #[must_use]
    pub const fn saturating_add(self, seconds: u64) -> Self {
        let sum = self.0.saturating_add(seconds);
        if sum > MAX_SAFE_INTEGER { Self::MAX } else { Self(sum) }
    }

    /// This many seconds earlier, not before 1970.
    #[must_use]
    pub const fn saturating_sub(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    /// Seconds from `earlier` to this time, 0 when `earlier` is later.
    pub const fn seconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn from_integer(value: i128) -> Result<Self, TimestampError> {
        u64::try_from(value).map_err(|_| TimestampError).and_then(Self::from_secs)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold() {
        assert_eq!(Timestamp::from_secs(MAX_SAFE_INTEGER), Ok(Timestamp::MAX));
        assert_eq!(Timestamp::from_secs(MAX_SAFE_INTEGER + 1), Err(TimestampError));
        assert_eq!(Timestamp::from_integer(-1), Err(TimestampError));
        assert_eq!(Timestamp::from_integer(i128::MAX), Err(TimestampError));
        assert_eq!(Timestamp::MAX.saturating_add(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_secs(5).unwrap().saturating_sub(9).as_secs(), 0);
    }
}
