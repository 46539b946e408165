//! One run of a command line: a fresh key, and a delegation to it from the node's key.
//!
//! Who can read the node's key file is the owner; the run's own key never touches the disk. Towards this
//! machine's node the chain is node -> run, towards another one owner -> my node -> run.

use clankers_auth::mint::{self, Nonce};
use clankers_protocol::{NodeId, Timestamp};
use zeroize::Zeroizing;

use crate::error::ClientError;

/// The identity of one run.
pub struct RunIdentity {
    node_seed: Zeroizing<[u8; 32]>,
    seed: Zeroizing<[u8; 32]>,
    node: NodeId,
    id: NodeId,
}

impl std::fmt::Debug for RunIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunIdentity").field("node", &self.node).field("id", &self.id).finish_non_exhaustive()
    }
}

impl RunIdentity {
    /// A run of the node with `node_seed`, whose own key is made from 32 fresh random bytes.
    #[must_use]
    pub fn new(node_seed: [u8; 32], fresh: [u8; 32]) -> Self {
        Self {
            node: mint::id_of(&node_seed),
            id: mint::id_of(&fresh),
            node_seed: Zeroizing::new(node_seed),
            seed: Zeroizing::new(fresh),
        }
    }

    /// The node that it is a run of.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The run's own id: what peers see as the other end.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The seed of the run's key, for its endpoint.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        self.seed.clone()
    }

    /// What to show to `subject`: for the run's own node the link alone, else each chain that the node holds
    /// there with the link appended. `nonce` is fresh random bytes; the links of one call count on from it, so that
    /// no two chains end in the same leaf: requests name a chain by it.
    ///
    /// # Errors
    /// [`ClientError::Authority`] when a held chain is malformed or has no room for a link.
    pub fn chains(
        &self,
        subject: NodeId,
        held: &[Vec<u8>],
        now: Timestamp,
        nonce: Nonce,
    ) -> Result<Vec<Vec<u8>>, ClientError> {
        let one = |place: usize, above: Option<&[u8]>| {
            let mut nonce = nonce;
            let [.., last] = &mut nonce;
            *last = last.wrapping_add(place.to_le_bytes()[0]);
            mint::for_run(&self.node_seed, above, subject, self.id, now, nonce)
                .and_then(|container| Ok(container.to_bytes()?))
                .map_err(|error| ClientError::Authority(error.to_string()))
        };
        if subject == self.node {
            return Ok(vec![one(0, None)?]);
        }
        held.iter().enumerate().map(|(place, chain)| one(place, Some(chain))).collect()
    }
}
