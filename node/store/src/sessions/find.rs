//! Which session is meant.

use clankers_protocol::{NodeId, SessionId};

use super::{Sessions, SessionsError, index};

/// Which session a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// This one.
    Session(SessionId),
    /// One of so many: more digits are needed.
    Ambiguous(usize),
    /// None.
    NotFound,
}

impl Sessions {
    /// Which session is meant: an id, the unique beginning of one, or `last`: the most recently active that is not
    /// archived. With `only`, just the sessions that this principal created are there.
    ///
    /// # Errors
    /// [`SessionsError`].
    pub fn find(&self, name: &str, only: Option<NodeId>) -> Result<Found, SessionsError> {
        let mut files = index::files(&self.home)?;
        let visible = |file: &&index::LogFile| {
            only.is_none() || index::header(file).map(|header| header.principal) == only
        };
        if name == "last" {
            files.retain(|file| !file.archived);
            files.sort_by_key(|file| std::cmp::Reverse((file.stamp.modified(), file.id)));
            let last = files.iter().find(visible);
            return Ok(last.map_or(Found::NotFound, |file| Found::Session(file.id)));
        }
        if name.is_empty() {
            return Ok(Found::NotFound);
        }
        let meant: Vec<_> =
            files.iter().filter(|f| f.id.to_string().starts_with(name)).filter(visible).collect();
        Ok(match meant.as_slice() {
            [] => Found::NotFound,
            [one] => Found::Session(one.id),
            more => Found::Ambiguous(more.len()),
        })
    }
}
