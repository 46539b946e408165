//! Statements being built: one function for each operator.

use ipld_core::ipld::Ipld;

use super::Policy;

/// A statement that was built and not yet checked; [`Policy::build`] checks it.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft(Ipld);

impl Draft {
    pub(super) fn into_ipld(self) -> Ipld {
        self.0
    }

    /// A statement given in its IPLD form, such as `["==", ".a", 1]`.
    pub fn from_ipld(statement: Ipld) -> Self {
        Self(statement)
    }
}

/// A value that can stand in a policy.
pub trait Literal {
    /// The value in the data model.
    fn into_ipld(self) -> Ipld;
}

impl Literal for Ipld {
    fn into_ipld(self) -> Ipld {
        self
    }
}

impl Literal for &str {
    fn into_ipld(self) -> Ipld {
        Ipld::String(self.to_owned())
    }
}

impl Literal for &String {
    fn into_ipld(self) -> Ipld {
        Ipld::String(self.clone())
    }
}

impl Literal for crate::Did {
    fn into_ipld(self) -> Ipld {
        Ipld::String(self.to_string())
    }
}

impl Literal for crate::Cid {
    fn into_ipld(self) -> Ipld {
        Ipld::Link(self.to_link())
    }
}

macro_rules! literal {
    ($($kind:ty => $variant:ident),+ $(,)?) => {
        $(impl Literal for $kind {
            fn into_ipld(self) -> Ipld {
                Ipld::$variant(self.into())
            }
        })+
    };
}

literal!(bool => Bool, String => String, u8 => Integer, u16 => Integer, u32 => Integer, u64 => Integer,
    i32 => Integer, i64 => Integer, f64 => Float, Vec<u8> => Bytes);

fn triple(operator: &str, selector: &str, operand: Ipld) -> Draft {
    Draft(Ipld::List(vec![operator.into_ipld(), selector.into_ipld(), operand]))
}

fn pair(operator: &str, operand: Ipld) -> Draft {
    Draft(Ipld::List(vec![operator.into_ipld(), operand]))
}

fn list(drafts: impl IntoIterator<Item = Draft>) -> Ipld {
    Ipld::List(drafts.into_iter().map(Draft::into_ipld).collect())
}

/// Statements. Selectors are texts such as `.path`; mistakes in them are reported by
/// [`Policy::build`].
impl Policy {
    /// The selected value equals the literal.
    pub fn eq(selector: &str, literal: impl Literal) -> Draft {
        triple("==", selector, literal.into_ipld())
    }

    /// The selected value is other than the literal (spec profile only).
    pub fn ne(selector: &str, literal: impl Literal) -> Draft {
        triple("!=", selector, literal.into_ipld())
    }

    /// The selected number is less than the literal.
    pub fn lt(selector: &str, number: impl Literal) -> Draft {
        triple("<", selector, number.into_ipld())
    }

    /// The selected number is at most the literal.
    pub fn le(selector: &str, number: impl Literal) -> Draft {
        triple("<=", selector, number.into_ipld())
    }

    /// The selected number is greater than the literal.
    pub fn gt(selector: &str, number: impl Literal) -> Draft {
        triple(">", selector, number.into_ipld())
    }

    /// The selected number is at least the literal.
    pub fn ge(selector: &str, number: impl Literal) -> Draft {
        triple(">=", selector, number.into_ipld())
    }

    /// The selected text matches the glob; see [`Glob`](super::Glob) for `*` and `\*`.
    pub fn like(selector: &str, pattern: &str) -> Draft {
        triple("like", selector, pattern.into_ipld())
    }

    /// All of the statements hold.
    pub fn and(drafts: impl IntoIterator<Item = Draft>) -> Draft {
        pair("and", list(drafts))
    }

    /// One of the statements holds.
    pub fn or(drafts: impl IntoIterator<Item = Draft>) -> Draft {
        pair("or", list(drafts))
    }

    /// The statement does not hold (spec profile only).
    pub fn negate(draft: Draft) -> Draft {
        pair("not", draft.into_ipld())
    }

    /// The statement holds for every element of the selected collection.
    pub fn all(selector: &str, draft: Draft) -> Draft {
        triple("all", selector, draft.into_ipld())
    }

    /// The statement holds for some element of the selected collection.
    pub fn any(selector: &str, draft: Draft) -> Draft {
        triple("any", selector, draft.into_ipld())
    }

    /// The selected value equals one of the literals.
    pub fn one_of<L: Literal>(selector: &str, literals: impl IntoIterator<Item = L>) -> Draft {
        Self::or(literals.into_iter().map(|literal| Self::eq(selector, literal)))
    }
}
