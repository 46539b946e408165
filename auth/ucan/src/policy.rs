//! The policy language: predicates over the arguments of an invocation.
//!
//! A [`Policy`] is a list of statements that must all hold. It is parsed once, under the rules of
//! a [`Profile`], and evaluated against arguments. Build one with the functions named after the
//! operators:
//!
//! ```
//! use ucan::{Ipld, Literal, Policy, Profile};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::build(
//!     [
//!         Policy::or([Policy::eq(".tool", "read"), Policy::eq(".tool", "grep")]),
//!         Policy::or([Policy::eq(".path", "src"), Policy::like(".path", "src/*")]),
//!         Policy::le(".spent", 1_500_000_000_u64),
//!     ],
//!     Profile::Strict,
//! )?;
//! let args = Ipld::Map(
//!     [
//!         ("tool".to_owned(), "read".into_ipld()),
//!         ("path".to_owned(), "src/main.rs".into_ipld()),
//!         ("spent".to_owned(), 7.into_ipld()),
//!     ]
//!     .into(),
//! );
//! policy.evaluate(&args, Profile::Strict)?;
//! # Ok(())
//! # }
//! ```
//!
//! Source: UCAN Delegation 1.0, "Policy".

mod draft;
mod eval;
mod glob;
mod parse;
mod selector;

use ipld_core::ipld::Ipld;
use thiserror::Error;

pub use draft::{Draft, Literal};
pub use eval::PolicyDenial;
pub use glob::{Glob, GlobError};
pub use selector::{Selector, SelectorError};

use crate::profile::Profile;

/// A list of statements, all of which must hold. The empty policy accepts everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    statements: Vec<Statement>,
    /// As it was given, so that encoding it again gives the same bytes.
    source: Vec<Ipld>,
}

/// One predicate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Statement {
    /// `==`, `!=`, `<`, `<=`, `>`, `>=`: the selected value compared with a literal.
    Compare {
        /// The operator.
        operator: Comparison,
        /// The path to the value.
        selector: Selector,
        /// The literal, a number for the orderings.
        literal: Ipld,
    },
    /// `like`: the selected text matches a glob.
    Like {
        /// The path to the text.
        selector: Selector,
        /// The pattern.
        pattern: Glob,
    },
    /// `and`: all hold, true when empty.
    And(Vec<Statement>),
    /// `or`: one holds; true when empty, which only the spec profile accepts.
    Or(Vec<Statement>),
    /// `not`: the statement does not hold. Only in the spec profile.
    Not(Box<Statement>),
    /// `all` and `any`: the statement holds for every, or for some, element of the collection.
    Quantify {
        /// Whether every element must satisfy the statement, or one.
        every: bool,
        /// The path to a list or a map (of which the values are taken).
        selector: Selector,
        /// What is asked of an element; its selectors begin at the element.
        statement: Box<Statement>,
    },
}

impl Statement {
    /// See [`Policy::speaks_of`]. What a quantifier asks of an element lies inside of what it selects. Recursion is
    /// bounded by the depth limit of the parser.
    fn speaks_of(&self, path: &[&str]) -> bool {
        match self {
            Self::Compare { selector, .. }
            | Self::Like { selector, .. }
            | Self::Quantify { selector, .. } => selector.may_reach(path),
            Self::And(inner) | Self::Or(inner) => inner.iter().any(|statement| statement.speaks_of(path)),
            Self::Not(inner) => inner.speaks_of(path),
        }
    }
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `==`, deep equality; numbers are equal whatever their type.
    Equal,
    /// `!=`, only in the spec profile.
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// Why a policy is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A statement is not a list that begins with an operator.
    #[error("a policy statement is a list that begins with the name of an operator")]
    NotAStatement,
    /// The operator is not known.
    #[error("`{0}` is not an operator of the policy language")]
    UnknownOperator(String),
    /// The operator has another number or kind of operands.
    #[error("the operands of `{operator}` must be {expected}")]
    Operands {
        /// The operator.
        operator: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A selector is malformed.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// The profile refuses this part of the language because it fails open.
    #[error("{what} is refused in the strict profile because it is true where an argument is absent")]
    FailsOpen {
        /// The operator or the form.
        what: &'static str,
    },
    /// There are more statements than the limit.
    #[error("the policy has more than {limit} statements; split the delegation")]
    TooManyStatements {
        /// Statements allowed, nested ones included.
        limit: usize,
    },
    /// Statements are nested deeper than the limit.
    #[error("the policy is nested deeper than {limit} levels; flatten it")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
    },
}

impl Policy {
    /// The policy that accepts everything.
    pub const fn any_args() -> Self {
        Self { statements: Vec::new(), source: Vec::new() }
    }

    /// Reads a policy from its IPLD form, a list of statements.
    ///
    /// # Errors
    /// [`PolicyError`] for what is malformed, too large, or refused by the profile.
    pub fn from_ipld(value: &Ipld, profile: Profile) -> Result<Self, PolicyError> {
        let Ipld::List(source) = value else { return Err(PolicyError::NotAStatement) };
        let statements = parse::statements(source, profile)?;
        Ok(Self { statements, source: source.clone() })
    }

    /// Reads statements made with [`Policy::eq`], [`Policy::or`] and the others.
    ///
    /// # Errors
    /// [`PolicyError`], also for selectors that are malformed.
    pub fn build(drafts: impl IntoIterator<Item = Draft>, profile: Profile) -> Result<Self, PolicyError> {
        let source = drafts.into_iter().map(Draft::into_ipld).collect();
        Self::from_ipld(&Ipld::List(source), profile)
    }

    /// The IPLD form, exactly as it was read.
    pub fn to_ipld(&self) -> Ipld {
        Ipld::List(self.source.clone())
    }

    /// The statements.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Whether there is no statement, so that everything is accepted.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// Whether the answer may depend on the argument at `path`, such as `["ctx", "spent"]` for `.ctx.spent`: some
    /// selector leads to it, to something that holds it, or to something inside it. Errs towards yes.
    pub fn speaks_of(&self, path: &[&str]) -> bool {
        self.statements.iter().any(|statement| statement.speaks_of(path))
    }

    /// Asks whether the policy accepts these arguments (a map).
    ///
    /// Statements are evaluated from left to right; `and`, `or`, `all` and `any` stop as soon as
    /// the answer is known. In the strict profile a selector without a value or a comparison of
    /// different kinds denies the whole evaluation when it is reached, also inside an `or`.
    ///
    /// # Errors
    /// [`PolicyDenial`] says which top-level statement refused, and why.
    pub fn evaluate(&self, args: &Ipld, profile: Profile) -> Result<(), PolicyDenial> {
        eval::evaluate(&self.statements, args, profile)
    }
}

#[cfg(test)]
mod tests;
