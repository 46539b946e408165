//! The one place that reads the clock.

use std::time::SystemTime;

use clankers_protocol::Timestamp;

/// Now, as this machine's clock says.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
