//! Evaluation: substitute the arguments, from left to right, stopping when the answer is known.

use std::borrow::Cow;
use std::cmp::Ordering;

use ipld_core::ipld::Ipld;
use thiserror::Error;

use super::selector::MissingKey;
use super::{Comparison, Selector, Statement};
use crate::profile::Profile;

/// Why a policy did not accept the arguments.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyDenial {
    /// A top-level statement is false.
    #[error("statement {statement} of the policy does not hold for these arguments")]
    NotSatisfied {
        /// Which one, from 0.
        statement: usize,
    },
    /// A selector leads to no value (strict profile).
    #[error("statement {statement} of the policy asks for `{selector}`, which the arguments do not have")]
    Unresolved {
        /// The top-level statement, from 0.
        statement: usize,
        /// The selector.
        selector: String,
    },
    /// The selected value is of another kind than the operator or literal (strict profile).
    #[error("statement {statement} of the policy compares `{selector}` with a value of another kind")]
    KindMismatch {
        /// The top-level statement, from 0.
        statement: usize,
        /// The selector.
        selector: String,
    },
}

/// A reason to deny everything, before the number of the statement is known.
enum Fault<'p> {
    Unresolved(&'p Selector),
    Kind(&'p Selector),
}

/// Evaluates top-level statements.
pub(super) fn evaluate(statements: &[Statement], args: &Ipld, profile: Profile) -> Result<(), PolicyDenial> {
    for (statement, predicate) in statements.iter().enumerate() {
        match holds(predicate, args, profile) {
            Ok(true) => {}
            Ok(false) => return Err(PolicyDenial::NotSatisfied { statement }),
            Err(Fault::Unresolved(selector)) => {
                return Err(PolicyDenial::Unresolved { statement, selector: selector.to_string() });
            }
            Err(Fault::Kind(selector)) => {
                return Err(PolicyDenial::KindMismatch { statement, selector: selector.to_string() });
            }
        }
    }
    Ok(())
}

/// Recursion is bounded by the depth limit of the parser.
fn holds<'p>(predicate: &'p Statement, at: &Ipld, profile: Profile) -> Result<bool, Fault<'p>> {
    match predicate {
        Statement::Compare { operator, selector, literal } => {
            compare(*operator, selector, literal, at, profile)
        }
        Statement::Like { selector, pattern } => match select(selector, at, profile)? {
            Some(value) => match value.as_ref() {
                Ipld::String(text) => Ok(pattern.matches(text)),
                _ => mismatch(selector, profile),
            },
            None => Ok(false),
        },
        Statement::And(inner) => every(inner, |statement| holds(statement, at, profile)),
        Statement::Or(inner) if inner.is_empty() => Ok(true),
        Statement::Or(inner) => some(inner, |statement| holds(statement, at, profile)),
        Statement::Not(inner) => holds(inner, at, profile).map(|held| !held),
        Statement::Quantify { every: true, selector, statement } => {
            quantify(selector, at, profile, |elements| {
                every(elements, |element| holds(statement, element, profile))
            })
        }
        Statement::Quantify { every: false, selector, statement } => {
            // Over nothing this is false in both profiles, as "some element" means. The
            // specification's reduction to an empty `or` would make it true.
            quantify(selector, at, profile, |elements| {
                some(elements, |element| holds(statement, element, profile))
            })
        }
    }
}

fn every<T, E>(
    items: impl IntoIterator<Item = T>,
    mut test: impl FnMut(T) -> Result<bool, E>,
) -> Result<bool, E> {
    for item in items {
        if !test(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn some<T, E>(
    items: impl IntoIterator<Item = T>,
    mut test: impl FnMut(T) -> Result<bool, E>,
) -> Result<bool, E> {
    for item in items {
        if test(item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The selected value; `None` makes the statement false (spec), a fault denies (strict).
fn select<'p, 'a>(
    selector: &'p Selector,
    at: &'a Ipld,
    profile: Profile,
) -> Result<Option<Cow<'a, Ipld>>, Fault<'p>> {
    match profile {
        Profile::Spec => Ok(selector.resolve(at, MissingKey::IsNull)),
        Profile::Strict => {
            selector.resolve(at, MissingKey::Fails).map(Some).ok_or(Fault::Unresolved(selector))
        }
    }
}

fn mismatch(selector: &Selector, profile: Profile) -> Result<bool, Fault<'_>> {
    if profile.is_strict() { Err(Fault::Kind(selector)) } else { Ok(false) }
}

fn quantify<'p>(
    selector: &'p Selector,
    at: &Ipld,
    profile: Profile,
    test: impl FnOnce(&mut dyn Iterator<Item = &Ipld>) -> Result<bool, Fault<'p>>,
) -> Result<bool, Fault<'p>> {
    let Some(value) = select(selector, at, profile)? else { return Ok(false) };
    match value.as_ref() {
        Ipld::List(list) => test(&mut list.iter()),
        Ipld::Map(map) => test(&mut map.values()),
        _ => mismatch(selector, profile),
    }
}

fn compare<'p>(
    operator: Comparison,
    selector: &'p Selector,
    literal: &Ipld,
    at: &Ipld,
    profile: Profile,
) -> Result<bool, Fault<'p>> {
    let Some(value) = select(selector, at, profile)? else { return Ok(false) };
    let value = value.as_ref();
    match operator {
        Comparison::Equal | Comparison::NotEqual => {
            if profile.is_strict() && !same_kind(value, literal) {
                return Err(Fault::Kind(selector));
            }
            Ok(equal(value, literal) == (operator == Comparison::Equal))
        }
        ordering => match compare_numbers(value, literal) {
            Some(found) => Ok(match ordering {
                Comparison::Less => found.is_lt(),
                Comparison::LessOrEqual => found.is_le(),
                Comparison::Greater => found.is_gt(),
                _ => found.is_ge(),
            }),
            None => mismatch(selector, profile),
        },
    }
}

fn same_kind(a: &Ipld, b: &Ipld) -> bool {
    let number = |value: &Ipld| matches!(value, Ipld::Integer(_) | Ipld::Float(_));
    std::mem::discriminant(a) == std::mem::discriminant(b) || (number(a) && number(b))
}

/// Deep equality; integers and floats of the same value are equal.
fn equal(a: &Ipld, b: &Ipld) -> bool {
    match (a, b) {
        (Ipld::Integer(_) | Ipld::Float(_), Ipld::Integer(_) | Ipld::Float(_)) => {
            compare_numbers(a, b) == Some(Ordering::Equal)
        }
        (Ipld::List(a), Ipld::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Ipld::Map(a), Ipld::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((ka, a), (kb, b))| ka == kb && equal(a, b))
        }
        _ => a == b,
    }
}

/// The exact order of two numbers, whatever their type; `None` when one is not a number.
fn compare_numbers(a: &Ipld, b: &Ipld) -> Option<Ordering> {
    match (a, b) {
        (Ipld::Integer(a), Ipld::Integer(b)) => Some(a.cmp(b)),
        (Ipld::Float(a), Ipld::Float(b)) => a.partial_cmp(b),
        (Ipld::Integer(a), Ipld::Float(b)) => compare_mixed(*a, *b),
        (Ipld::Float(a), Ipld::Integer(b)) => compare_mixed(*b, *a).map(Ordering::reverse),
        _ => None,
    }
}

/// Compares without rounding the integer: first with the float's whole part, then its fraction.
fn compare_mixed(integer: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    let whole = float.trunc();
    // Beyond i128 the cast saturates, on the right side of every integer that IPLD encodes.
    #[expect(clippy::cast_possible_truncation, reason = "the value is whole and the cast saturates")]
    let by_whole = integer.cmp(&(whole as i128));
    Some(by_whole.then_with(|| whole.partial_cmp(&float).unwrap_or(Ordering::Equal)))
}
