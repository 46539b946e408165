//! What a transcript keeps of a thinking block's proof: the signature, or the whole block when its text is redacted,
//! with the model that made it. A server checks these: another provider's, and also another model's, are refused.

const THINKING: &str = "thinking";
const REDACTED: &str = "redacted";

/// What goes back to the model that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof<'a> {
    /// The signature over the block's text.
    Signature(&'a str),
    /// The block's data; it has no text.
    Redacted(&'a str),
}

impl<'a> Proof<'a> {
    /// As it stands in [`clankers_protocol::conversation::Thinking::signature`].
    pub(crate) fn tag(self, model: &str) -> String {
        let (kind, data) = match self {
            Self::Signature(data) => (THINKING, data),
            Self::Redacted(data) => (REDACTED, data),
        };
        format!("{}:{model}:{kind}:{data}", super::PROVIDER)
    }

    /// The proof in a tag of this model; `None` for every other one.
    pub(crate) fn of(tag: &'a str, model: &str) -> Option<Self> {
        let rest = tag.strip_prefix(super::PROVIDER)?.strip_prefix(':')?;
        let rest = rest.strip_prefix(model)?.strip_prefix(':')?;
        match rest.split_once(':')? {
            (THINKING, data) => Some(Self::Signature(data)),
            (REDACTED, data) => Some(Self::Redacted(data)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_proof_comes_back_to_its_own_model_only(data in ".{0,30}", model in "[a-z0-9.:-]{1,20}", other in "[a-z0-9.:-]{1,20}") {
            for proof in [Proof::Signature(&data), Proof::Redacted(&data)] {
                let tag = proof.tag(&model);
                prop_assert_eq!(Proof::of(&tag, &model), Some(proof));
                prop_assert!(other == model || Proof::of(&tag, &other).is_none_or(|_| model.starts_with(&other)));
            }
            prop_assert_eq!(Proof::of(&data, &model), None);
        }
    }
}
