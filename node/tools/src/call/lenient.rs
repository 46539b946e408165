//! Values as models send them: a number as `"10"` or `10.0`, a flag as `"true"`, a list as a string of JSON.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A whole number from zero, or nothing for null.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(from)?;
    let whole = match &value {
        Value::Null => return Ok(None),
        Value::Number(n) => n.as_u64().or_else(|| n.as_f64().and_then(whole)),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    };
    whole.map(Some).ok_or_else(|| D::Error::custom(format!("{value} is not a whole number from 0")))
}

fn whole(float: f64) -> Option<u64> {
    // 2^53: up to here every whole number has its own float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if float.fract() != 0.0 || !(0.0..=EXACT).contains(&float) {
        return None;
    }
    format!("{float:.0}").parse().ok()
}

/// A flag; null is false.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(false),
        Value::Bool(b) => Ok(b),
        Value::String(s) if s == "true" => Ok(true),
        Value::String(s) if s == "false" => Ok(false),
        other => Err(D::Error::custom(format!("{other} is not true or false"))),
    }
}

/// A list; null is empty, one object is a list of one.
pub(super) fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    let mut value = Value::deserialize(from)?;
    if let Value::String(text) = &value {
        value = serde_json::from_str(text).map_err(D::Error::custom)?;
    }
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Object(_) => Ok(vec![serde_json::from_value(value).map_err(D::Error::custom)?]),
        other => serde_json::from_value(other).map_err(D::Error::custom),
    }
}
