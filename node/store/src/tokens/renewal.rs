//! Tokens that are issued again: which, from which, and the end of it.

use clankers_protocol::{CidDigest, NodeId, Timestamp, request::tokens::TokenRecord};

use super::{
    KeptToken, ReadTables, TokenNote, TokenRow, TokenStore, bounded,
    cid::text_of,
    insert, load, prune,
    table::{KEYS_END, keys_of},
};
use crate::{
    StoreError,
    store::{
        AuthLog, Keep,
        rows::Record,
        tables::{LINES, RENEWALS},
    },
};

impl TokenStore<'_> {
    /// Notes that an issued token is to be issued again for its audience, for `lifetime_secs` each time; `None`: not any
    /// more. Gives whether there is such a token; a line that was ended stays so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_renew(
        &self,
        cid: &str,
        lifetime_secs: Option<u64>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut auth = self.store.auth();
        let Some(mut row) = self.by_cid(cid, Some(true))? else { return Ok(false) };
        let lifetime_secs = lifetime_secs.filter(|secs| *secs > 0);
        if row.is_stopped() {
            return Ok(lifetime_secs.is_none());
        }
        if row.note.renew_secs == lifetime_secs {
            return Ok(true);
        }
        // A line does not end with the renewal: what is left of it can still be revoked together.
        row.note.line.get_or_insert_with(|| row.record.cid.clone());
        row.note.renew_secs = lifetime_secs;
        auth.append(&[Record::Token(row.clone())], now, Keep::Now)?;
        self.store.write(Keep::Now, |transaction| insert(transaction, &row))?;
        self.store.tidy(&mut auth, now);
        Ok(true)
    }

    /// For how long an issued token is to be issued again (seconds); `None`: it is not, or its line was ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn renewable(&self, cid: &str, now: Timestamp) -> Result<Option<u64>, StoreError> {
        let row = self.by_cid(cid, Some(true))?.filter(|row| !row.is_gone(now));
        Ok(row.and_then(|row| row.note.renew_secs).filter(|secs| *secs > 0))
    }

    /// The issued tokens that are to be issued again for this peer; also those that expired within the last 30 days.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn renewals(&self, audience: NodeId, now: Timestamp) -> Result<Vec<KeptToken>, StoreError> {
        self.store.read(|transaction| {
            let tables = ReadTables::open(transaction)?;
            let mut kept = Vec::new();
            for key in keys_of(&transaction.open_table(RENEWALS)?, audience)? {
                let row = load(&tables, &key)?.filter(|row| !row.is_gone(now));
                kept.extend(row.map(KeptToken::from));
            }
            Ok(kept)
        })
    }

    /// Keeps the token that `old_cid` was renewed by: from now on the new one is to be renewed, and the old one is not.
    /// `false`: the old one is not there or not to be renewed (any more, or yet: more than half of its life is left), and
    /// nothing was kept; do not hand out the new one then. Each issue has its own budget, so how often there is one counts.
    ///
    /// # Errors
    /// [`StoreError::Full`], disk.
    pub fn put_renewed(
        &self,
        old_cid: &str,
        record: &TokenRecord,
        container: &[u8],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        bounded(record, container)?;
        let mut auth = self.store.auth();
        let Some(mut old) = self.by_cid(old_cid, Some(true))?.filter(|row| !row.is_gone(now)) else {
            return Ok(false);
        };
        let Some(lifetime) = old.note.renew_secs.filter(|secs| *secs > 0 && record.cid != old_cid) else {
            return Ok(false);
        };
        let left_ms = old.record.expires.since(now);
        if left_ms > lifetime.saturating_mul(1000) / 2 {
            return Ok(false);
        }
        self.room(true, now)?;
        let line = old.line().to_owned();
        let note = TokenNote { renew_secs: Some(lifetime), line: Some(line.clone()), delivered_by: None };
        let record = TokenRecord { issued: true, ..record.clone() };
        let new = TokenRow { record, container: container.to_vec(), note };
        old.note = TokenNote { renew_secs: None, line: Some(line), delivered_by: None };
        let records = [Record::Token(new.clone()), Record::Token(old.clone())];
        auth.append(&records, now, Keep::Now)?;
        self.store.write(Keep::Now, |transaction| {
            insert(transaction, &new)?;
            insert(transaction, &old)?;
            prune(transaction, self.store.past(now))
        })?;
        self.store.tidy(&mut auth, now);
        Ok(true)
    }

    /// All kept tokens of the line that this issued token belongs to by renewals, itself included; empty: there is no such
    /// token.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn lineage(&self, cid: &str, now: Timestamp) -> Result<Vec<KeptToken>, StoreError> {
        Ok(self.line_rows(cid, now)?.into_iter().map(KeptToken::from).collect())
    }

    fn line_rows(&self, cid: &str, now: Timestamp) -> Result<Vec<TokenRow>, StoreError> {
        let Some(row) = self.by_cid(cid, Some(true))?.filter(|row| !row.is_gone(now)) else {
            return Ok(Vec::new());
        };
        let line = row.line();
        let rows = self.store.read(|transaction| {
            let tables = ReadTables::open(transaction)?;
            let mut rows = Vec::new();
            for entry in transaction.open_table(LINES)?.range((line, "")..=(line, KEYS_END))? {
                let row = load(&tables, entry?.0.value().1)?;
                rows.extend(row.filter(|row| !row.is_gone(now)));
            }
            Ok(rows)
        })?;
        // One that was never renewed stands in no line.
        Ok(if rows.is_empty() { vec![row] } else { rows })
    }

    /// Ends the renewal of a token's whole line, for good. Before its tokens are revoked: whoever renews at the same moment
    /// then finds that he may not. Gives whether there is such a token.
    ///
    /// # Errors
    /// [`StoreError`]: perhaps for some of the line only; call it again.
    pub fn stop_renewal(&self, cid: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.stop_line(&mut self.store.auth(), cid, now)
    }

    /// The same for a token that is being revoked, whichever way that came: its revocation is forgotten at its end, a line
    /// may go on for longer.
    pub(crate) fn stop_line_of(
        &self,
        auth: &mut AuthLog,
        cid: &CidDigest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.stop_line(auth, &text_of(cid), now).map(drop)
    }

    fn stop_line(&self, auth: &mut AuthLog, cid: &str, now: Timestamp) -> Result<bool, StoreError> {
        let rows = self.line_rows(cid, now)?;
        let is_of_line = |row: &&TokenRow| row.note.renew_secs.is_some() || row.note.line.is_some();
        let going = rows.iter().filter(is_of_line).filter(|row| !row.is_stopped());
        let ended: Vec<TokenRow> = going
            .map(|row| TokenRow {
                note: TokenNote {
                    renew_secs: Some(0),
                    line: Some(row.line().to_owned()),
                    ..row.note.clone()
                },
                ..row.clone()
            })
            .collect();
        if !ended.is_empty() {
            let records: Vec<Record> = ended.iter().cloned().map(Record::Token).collect();
            auth.append(&records, now, Keep::Now)?;
            self.store
                .write(Keep::Now, |transaction| ended.iter().try_for_each(|row| insert(transaction, row)))?;
            self.store.tidy(auth, now);
        }
        Ok(!rows.is_empty())
    }
}
