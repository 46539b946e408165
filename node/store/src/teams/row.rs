//! A team as it is kept.

use clankers_protocol::{TeamId, Timestamp, request::tokens::Rights};
use serde::{Deserialize, Serialize};

/// What members are given on request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// What for.
    pub rights: Rights,
    /// They may send files into the inbox.
    pub drop: bool,
    /// They may offer files.
    pub offer: bool,
    /// For how long (seconds).
    pub expire_secs: u64,
    /// The same in words.
    pub grants: Vec<String>,
    /// How much they may send in all, each (bytes).
    pub max_total: Option<u64>,
}

/// A team that this node belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTeam {
    /// Its id.
    pub id: TeamId,
    /// What it is called.
    pub name: String,
    /// This node's membership: a container in raw form.
    pub chain: Vec<u8>,
    /// Since when.
    pub joined: Timestamp,
    /// What members are given.
    pub template: Option<Template>,
}

/// The stored form: frozen with the schema's version.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TeamRow {
    name: String,
    chain: Vec<u8>,
    joined: u64,
    template: Option<Template>,
}

impl TeamRow {
    pub(super) fn of(team: &KeptTeam) -> Self {
        Self {
            name: team.name.clone(),
            chain: team.chain.clone(),
            joined: team.joined.0,
            template: team.template.clone(),
        }
    }

    pub(super) fn kept(self, id: TeamId) -> KeptTeam {
        let Self { name, chain, joined, template } = self;
        KeptTeam { id, name, chain, joined: Timestamp(joined), template }
    }
}

/// The stored form up to version 3.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TeamRow3 {
    name: String,
    chain: Vec<u8>,
    joined: u64,
    template: Option<Template3>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Template3 {
    rights: Rights,
    drop: bool,
    offer: bool,
    expire_secs: u64,
    grants: Vec<String>,
}

impl From<TeamRow3> for TeamRow {
    fn from(old: TeamRow3) -> Self {
        let TeamRow3 { name, chain, joined, template } = old;
        let template = template.map(|Template3 { rights, drop, offer, expire_secs, grants }| Template {
            rights,
            drop,
            offer,
            expire_secs,
            grants,
            max_total: None,
        });
        Self { name, chain, joined, template }
    }
}
