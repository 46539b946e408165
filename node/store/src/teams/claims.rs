//! Which members were given which tokens of a team's template: they end with the membership.

use clankers_protocol::{NodeId, TeamId, Timestamp};

use redb::ReadableTable;

use super::TeamBook;
use crate::{
    StoreError, limits,
    store::{Keep, tables::TEAM_CLAIMS},
};

/// The end of a token that was taken back: so it is not forgotten when the token would have ended.
pub const TAKEN_BACK: Timestamp = Timestamp(u64::MAX);

impl TeamBook<'_> {
    /// Notes that a member was given the token with this CID, which ends then.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_claim(
        &self,
        team: TeamId,
        member: NodeId,
        cid: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.store.write(Keep::Now, |transaction| {
            let mut table = transaction.open_table(TEAM_CLAIMS)?;
            // What has ended is of no account any more.
            let over = self.store.past(now).0.saturating_sub(limits::TOKEN_GRACE_MS);
            let all = (team.0, [0; 32], "")..=(team.0, [0xff; 32], "\u{10ffff}");
            table.retain_in(all, |_, ends| ends >= over)?;
            table.insert((team.0, member.0, cid), expires.0)?;
            Ok(())
        })
    }

    /// Tokens that members of a team have by its template, those that have ended left out: all, or those of one member.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn claims(
        &self,
        team: TeamId,
        of: Option<NodeId>,
        now: Timestamp,
    ) -> Result<Vec<(NodeId, String, Timestamp)>, StoreError> {
        let (from, to) = of.map_or(([0; 32], [0xff; 32]), |member| (member.0, member.0));
        self.store.read(|transaction| {
            let table = transaction.open_table(TEAM_CLAIMS)?;
            let mut claims = Vec::new();
            for entry in table.range((team.0, from, "")..=(team.0, to, "\u{10ffff}"))? {
                let (key, ends) = entry?;
                let (_, member, cid) = key.value();
                if ends.value() > now.0 {
                    claims.push((NodeId(member), cid.to_owned(), Timestamp(ends.value())));
                }
            }
            Ok(claims)
        })
    }

    /// Notes that the owner has taken back what is among these (CIDs as text): whoever had it is given no other until the
    /// template is given anew. Holds until [`TeamBook::drop_claim`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn taken_back(&self, cids: &[String]) -> Result<(), StoreError> {
        let among = self.store.read(|transaction| {
            let table = transaction.open_table(TEAM_CLAIMS)?;
            let mut among = Vec::new();
            for entry in table.iter()? {
                let (key, _) = entry?;
                let (team, member, cid) = key.value();
                if cids.iter().any(|one| one == cid) {
                    among.push((team, member, cid.to_owned()));
                }
            }
            Ok(among)
        })?;
        if among.is_empty() {
            return Ok(());
        }
        self.store.write(Keep::Now, |transaction| {
            let mut table = transaction.open_table(TEAM_CLAIMS)?;
            for (team, member, cid) in &among {
                table.insert((*team, *member, cid.as_str()), TAKEN_BACK.0)?;
            }
            Ok(())
        })
    }

    /// Gives no member of any team anything from now on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn give_nothing(&self) -> Result<u64, StoreError> {
        let mut ended = 0;
        for team in self.list()?.into_iter().filter(|team| team.template.is_some()) {
            self.put(&super::KeptTeam { template: None, ..team })?;
            ended += 1;
        }
        Ok(ended)
    }

    /// Forgets a token that was given: it was taken back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn drop_claim(&self, team: TeamId, member: NodeId, cid: &str) -> Result<(), StoreError> {
        self.store.write(Keep::Now, |transaction| {
            transaction.open_table(TEAM_CLAIMS)?.remove((team.0, member.0, cid))?;
            Ok(())
        })
    }
}
