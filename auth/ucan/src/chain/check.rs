//! The questions that are asked of a chain, one method each.

use ipld_core::ipld::Ipld;

use super::{Chain, ChainError, Link};
use crate::command::Command;
use crate::did::Did;
use crate::profile::Profile;
use crate::time::Timestamp;

impl<L: Link> Chain<L> {
    /// Whose authority: the root is issued by `subject` about itself, and no link below switches
    /// the subject. In the spec profile a link below the root may leave it open (powerline).
    ///
    /// # Errors
    /// [`ChainError::RootWithoutSubject`], [`ChainError::RootNotBySubject`],
    /// [`ChainError::WrongSubject`], [`ChainError::NullSubject`].
    pub fn check_subject(&self, subject: &Did, profile: Profile) -> Result<(), ChainError> {
        let root = self.root().delegation();
        let anchor = root.subject().ok_or(ChainError::RootWithoutSubject)?;
        if root.issuer() != anchor {
            return Err(ChainError::RootNotBySubject { issuer: *root.issuer(), subject: *anchor });
        }
        for (link, token) in self.links().enumerate() {
            match token.delegation().subject() {
                Some(found) if found == subject => {}
                Some(found) => {
                    return Err(ChainError::WrongSubject { link, expected: *subject, found: *found });
                }
                None if profile.is_strict() => return Err(ChainError::NullSubject { link }),
                None => {}
            }
        }
        Ok(())
    }

    /// Each link is issued by the audience of the one above, and the leaf is for `audience`.
    ///
    /// # Errors
    /// [`ChainError::Misaligned`], [`ChainError::WrongAudience`].
    pub fn check_alignment(&self, audience: &Did) -> Result<(), ChainError> {
        for (above, (upper, lower)) in self.links().zip(self.links().skip(1)).enumerate() {
            let (expected, found) = (*upper.delegation().audience(), *lower.delegation().issuer());
            if expected != found {
                return Err(ChainError::Misaligned { link: above.saturating_add(1), expected, found });
            }
        }
        let found = *self.leaf().delegation().audience();
        if found == *audience {
            Ok(())
        } else {
            Err(ChainError::WrongAudience { expected: *audience, found })
        }
    }

    /// Every link is valid at `now`: from `leeway_seconds` before its `nbf` up to and including
    /// its `exp` (no leeway there).
    ///
    /// # Errors
    /// [`ChainError::NotYetValid`], [`ChainError::Expired`].
    pub fn check_time(&self, now: Timestamp, leeway_seconds: u64) -> Result<(), ChainError> {
        for (link, token) in self.links().enumerate() {
            let claims = token.delegation();
            if let Some(not_before) =
                claims.not_before().filter(|nbf| now.saturating_add(leeway_seconds) < *nbf)
            {
                return Err(ChainError::NotYetValid { link, not_before });
            }
            if let Some(expired) = claims.expires().filter(|exp| now > *exp) {
                return Err(ChainError::Expired { link, expired });
            }
        }
        Ok(())
    }

    /// Every link says from when to when it is valid, and that is at most `limit_seconds`.
    ///
    /// # Errors
    /// [`ChainError::LivesTooLong`].
    pub fn check_lifetime(&self, limit_seconds: u64) -> Result<(), ChainError> {
        for (link, token) in self.links().enumerate() {
            let claims = token.delegation();
            match (claims.not_before(), claims.expires()) {
                (Some(from), Some(to)) if to.seconds_since(from) <= limit_seconds => {}
                _ => return Err(ChainError::LivesTooLong { link, limit_seconds }),
            }
        }
        Ok(())
    }

    /// Every link is valid from `epoch` or later (its `nbf`): what was issued before is withdrawn.
    ///
    /// # Errors
    /// [`ChainError::BeforeEpoch`], also for links without `nbf`.
    pub fn check_epoch(&self, epoch: Timestamp) -> Result<(), ChainError> {
        let old = |token: &L| token.delegation().not_before().is_none_or(|nbf| nbf < epoch);
        match self.links().position(old) {
            Some(link) => Err(ChainError::BeforeEpoch { link, epoch }),
            None => Ok(()),
        }
    }

    /// Every link's command covers `command`.
    ///
    /// # Errors
    /// [`ChainError::CommandNotCovered`].
    pub fn check_command(&self, command: &Command) -> Result<(), ChainError> {
        for (link, token) in self.links().enumerate() {
            let granted = token.delegation().command();
            if !granted.covers(command) {
                return Err(ChainError::CommandNotCovered {
                    link,
                    granted: granted.clone(),
                    asked: command.clone(),
                });
            }
        }
        Ok(())
    }

    /// Every link's policy accepts `args` (a map).
    ///
    /// # Errors
    /// [`ChainError::Policy`] with the link and the statement.
    pub fn check_policy(&self, args: &Ipld, profile: Profile) -> Result<(), ChainError> {
        for (link, token) in self.links().enumerate() {
            let policy = token.delegation().policy();
            policy.evaluate(args, profile).map_err(|denial| ChainError::Policy { link, denial })?;
        }
        Ok(())
    }

    /// The first time at which some link is no longer valid; `None` when none ever ends.
    pub fn expires(&self) -> Option<Timestamp> {
        self.links().filter_map(|token| token.delegation().expires()).min()
    }

    /// The time from which every link is valid; `None` when none says.
    pub fn not_before(&self) -> Option<Timestamp> {
        self.links().filter_map(|token| token.delegation().not_before()).max()
    }
}
