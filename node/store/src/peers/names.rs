//! Who is meant by a name.

use clankers_protocol::{NodeId, request::peers::PeerRecord};

use super::{PeerBook, PeerError, label};
use crate::{
    limits,
    store::tables::{LABELS, PEERS},
};

impl PeerBook<'_> {
    /// Who is meant: a node id, a `did:key`, a label of the owner's, the beginning of an id (at least four digits), or a label
    /// that exactly one trusted peer claims. In this order: nobody can claim their way in front of the owner's names.
    ///
    /// # Errors
    /// [`PeerError`]: not found, ambiguous, too short.
    pub fn resolve(&self, name: &str) -> Result<PeerRecord, PeerError> {
        let unknown = || PeerError::NotFound(name.to_owned());
        if let Ok(id) = name.parse::<NodeId>() {
            return self.get(id)?.ok_or_else(unknown);
        }
        if name.starts_with("did:") {
            return self.list()?.into_iter().find(|peer| peer.id.did() == name).ok_or_else(unknown);
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
            match (found.pop(), found.len()) {
                (Some(id), 0) => return self.get(id)?.ok_or_else(unknown),
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
