//! Who is meant by a name.

use clankers_protocol::{NodeId, request::peers::PeerRecord};

use super::{PeerBook, PeerError, label, row::Row};
use crate::{
    limits,
    store::tables::{LABELS, PEERS},
};

/// One of whom the book knows nothing.
fn bare(id: NodeId) -> PeerRecord {
    Row::default().record(id)
}

impl PeerBook<'_> {
    /// Who is meant: a node id, a `did:key`, a label of the owner's, the beginning of an id (at least four digits), or a label
    /// that exactly one trusted peer claims. In this order: nobody can claim their way in front of the owner's names.
    ///
    /// # Errors
    /// [`PeerError`]: not found, ambiguous, too short.
    pub fn resolve(&self, name: &str) -> Result<PeerRecord, PeerError> {
        self.resolve_among(name, &[])
    }

    /// The same among more than the book has: `others` are trusted as far as names go, each with the label that it claims.
    ///
    /// # Errors
    /// As [`PeerBook::resolve`].
    pub fn resolve_among(
        &self,
        name: &str,
        others: &[(NodeId, Option<String>)],
    ) -> Result<PeerRecord, PeerError> {
        let other = |id: NodeId| others.iter().find(|(other, _)| *other == id);
        let of = |id: NodeId| Ok::<_, PeerError>(self.get(id)?.or_else(|| other(id).map(|_| bare(id))));
        let unknown = || PeerError::NotFound(name.to_owned());
        if let Ok(id) = name.parse::<NodeId>() {
            return of(id)?.ok_or_else(unknown);
        }
        if name.starts_with("did:") {
            let known = self.list()?.into_iter().find(|peer| peer.id.did() == name);
            let more = || others.iter().find(|(id, _)| id.did() == name).map(|(id, _)| bare(*id));
            return known.or_else(more).ok_or_else(unknown);
        }
        if name.is_empty() || name.len() > limits::LABEL_BYTES {
            return Err(unknown());
        }
        if let Some(id) = self.labelled(name)? {
            return self.get(id)?.ok_or_else(unknown);
        }
        let hex = name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if hex && name.len() >= limits::PREFIX_DIGITS {
            let mut found = self.beginning_with(name)?;
            found.extend(others.iter().map(|(id, _)| *id).filter(|id| id.to_string().starts_with(name)));
            found.sort();
            found.dedup();
            match (found.pop(), found.len()) {
                (Some(id), 0) => return of(id)?.ok_or_else(unknown),
                (Some(_), more) => {
                    return Err(PeerError::Ambiguous {
                        name: name.to_owned(),
                        count: more.saturating_add(1),
                    });
                }
                (None, _) => {}
            }
        }
        let mut claiming = self.claiming(name)?;
        let says =
            |label: &Option<String>| label.as_ref().is_some_and(|it| label::key(it) == label::key(name));
        for (id, _) in others.iter().filter(|(_, claimed)| says(claimed)) {
            // Whom the owner calls otherwise is meant by that name only.
            let peer = self.get(*id)?.unwrap_or_else(|| bare(*id));
            if peer.label.is_none() && !claiming.iter().any(|known| known.id == *id) {
                claiming.push(peer);
            }
        }
        match (claiming.pop(), claiming.len()) {
            (Some(peer), 0) => Ok(peer),
            (Some(_), more) => {
                Err(PeerError::Ambiguous { name: name.to_owned(), count: more.saturating_add(1) })
            }
            (None, _) if hex && name.len() < limits::PREFIX_DIGITS => {
                Err(PeerError::TooShort(name.to_owned()))
            }
            (None, _) => Err(unknown()),
        }
    }

    fn labelled(&self, name: &str) -> Result<Option<NodeId>, PeerError> {
        let key = label::key(name);
        Ok(self.store.read(|transaction| {
            Ok(transaction.open_table(LABELS)?.get(key.as_str())?.map(|id| NodeId(id.value())))
        })?)
    }

    fn beginning_with(&self, digits: &str) -> Result<Vec<NodeId>, PeerError> {
        let from = format!("{digits:0<64}").parse::<NodeId>().ok();
        let to = format!("{digits:f<64}").parse::<NodeId>().ok();
        let (Some(from), Some(to)) = (from, to) else { return Ok(Vec::new()) };
        Ok(self.store.read(|transaction| {
            let table = transaction.open_table(PEERS)?;
            table.range(from.0..=to.0)?.map(|entry| Ok(NodeId(entry?.0.value()))).collect()
        })?)
    }

    /// Trusted peers without a label of the owner's that call themselves so.
    fn claiming(&self, name: &str) -> Result<Vec<PeerRecord>, PeerError> {
        let key = label::key(name);
        let says =
            |peer: &PeerRecord| peer.claimed.as_ref().is_some_and(|claimed| label::key(claimed) == key);
        let peers = self.list()?.into_iter();
        Ok(peers.filter(|peer| peer.trusted && peer.label.is_none() && says(peer)).collect())
    }
}
