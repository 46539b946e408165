//! What nodes settle when they meet, against peers that keep to the rules and peers that do not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::sync::{Arc, Mutex};

use clankers_auth::{GrantSpec, mint, revoke};
use clankers_client::{
    Client, ClientError, Introduction,
    authority::{Exchanged, Revocations, fingerprint},
};
use clankers_mesh::{Connection, FrameReader, FrameWriter};
use clankers_protocol::{
    CidDigest, Message, NodeId, Timestamp,
    hello::{Hello, PeerKind, PeerLimits, Welcome},
    kind::Kind,
    limits::{FRAME_BYTES, UNAUTHENTICATED_FRAME_BYTES},
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::revocation::{
        RevocationOffer, RevocationSync, RevocationSynced, RevocationTaken, TokenRenew, TokenRenewed,
    },
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DESK: [u8; 32] = [1; 32];
const LAPTOP: [u8; 32] = [2; 32];

fn desk() -> NodeId {
    mint::id_of(&DESK)
}

fn laptop() -> NodeId {
    mint::id_of(&LAPTOP)
}

/// A node that answers as it is told, and remembers what it was given.
#[derive(Default)]
struct Fake {
    /// What it knows: the answers to what is asked.
    knows: Revocations,
    /// It compares with nobody.
    closed: bool,
    /// The token that it answers a renewal with.
    renews: String,
    given: Mutex<Vec<Vec<u8>>>,
    asked: Mutex<Vec<Kind>>,
}

impl Fake {
    async fn serve(self: Arc<Self>, connection: Connection) {
        while let Ok((send, recv)) = connection.accept().await {
            let (mut writer, mut reader) = (FrameWriter::new(send), FrameReader::new(recv));
            writer.set_limit(FRAME_BYTES);
            // Nothing of this needs a valid chain, so all of it fits into a stranger's frames.
            reader.set_limit(UNAUTHENTICATED_FRAME_BYTES);
            let frame = reader.next().await.expect("a frame that fits").expect("a frame");
            self.asked.lock().unwrap().push(frame.kind);
            match frame.kind {
                Hello::KIND => writer.send(&welcome()).await.unwrap(),
                RevocationSync::KIND if self.closed => {
                    let refusal = Refusal::new(RefusalCode::Unauthorized, "no", laptop());
                    writer.send(&refusal).await.unwrap();
                }
                RevocationSync::KIND => {
                    let answer = self.compare(&RevocationSync::decode(&frame.body).unwrap());
                    writer.send(&answer).await.unwrap();
                }
                RevocationOffer::KIND => {
                    let offer = RevocationOffer::decode(&frame.body).unwrap();
                    let stored = offer.revocations.len() as u64;
                    self.given.lock().unwrap().extend(offer.revocations);
                    let taken = RevocationTaken { stored, known: 0, refused: vec![], ext: Ext::default() };
                    writer.send(&taken).await.unwrap();
                }
                TokenRenew::KIND => {
                    let renewed = TokenRenewed { token: self.renews.clone(), ext: Ext::default() };
                    writer.send(&renewed).await.unwrap();
                }
                other => panic!("{other} was not expected"),
            }
            writer.finish().unwrap();
        }
    }

    /// At most one of what is missing at a time: whoever wants all asks again.
    fn compare(&self, asked: &RevocationSync) -> RevocationSynced {
        assert_eq!((asked.count, asked.hash), (asked.have.len() as u64, fingerprint(&asked.have)));
        let missing: Vec<Vec<u8>> =
            self.knows.iter().filter(|(cid, _)| !asked.have.contains(cid)).map(|(_, b)| b.clone()).collect();
        let want: Vec<CidDigest> =
            asked.have.iter().filter(|cid| !self.knows.contains_key(cid)).copied().collect();
        RevocationSynced {
            same: missing.is_empty() && want.is_empty(),
            want,
            missing: missing.into_iter().take(1).collect(),
            ext: Ext::default(),
        }
    }

    fn given(&self) -> Vec<Vec<u8>> {
        self.given.lock().unwrap().clone()
    }
}

fn welcome() -> Welcome {
    Welcome {
        version: 1,
        software: "test".into(),
        label: None,
        features: vec![],
        boot_id: 1,
        now: NOW,
        limits: PeerLimits { frame_bytes: FRAME_BYTES, streams: 16 },
        chains: vec![],
        ext: Ext::default(),
    }
}

async fn client_of(fake: &Arc<Fake>) -> Client {
    let (ours, theirs) = Connection::memory_pair(laptop(), desk());
    tokio::spawn(Arc::clone(fake).serve(theirs));
    let who = Introduction {
        software: "test".into(),
        kind: PeerKind::Cli,
        label: None,
        boot_id: 1,
        now: NOW,
        chains: vec![],
    };
    Client::greet(ours, who).await.unwrap()
}

fn grant(seed: &[u8; 32], audience: NodeId, nonce: u8) -> (Vec<u8>, String) {
    let spec = GrantSpec { renew: true, ..GrantSpec::reviewer() };
    let made = mint::grant(seed, audience, &spec, NOW, 3_600, [nonce; 16]).unwrap();
    (made.to_bytes().unwrap(), made.to_text().unwrap())
}

/// So many grants of the node with this seed, each revoked by it.
fn revoked(seed: &[u8; 32], many: std::ops::Range<u8>) -> Revocations {
    many.map(|nonce| {
        let (chain, _) = grant(seed, mint::id_of(&[99; 32]), nonce);
        let cid = clankers_auth::words::describe(&chain).unwrap().cid;
        let judged = revoke::make(seed, &chain, &cid, NOW, [nonce; 16]).unwrap();
        (judged.cid, judged.bytes)
    })
    .collect()
}

#[tokio::test]
async fn everything_that_is_known_is_asked_for_until_it_is_there_and_only_what_is_good_of_it() {
    let good = revoked(&DESK, 0..5);
    let own = Arc::new(Fake { knows: good.clone(), ..Fake::default() });
    assert_eq!(client_of(&own).await.known_revocations(desk(), NOW).await.unwrap(), good);
    let strange = Arc::new(Fake { knows: revoked(&LAPTOP, 0..3), ..Fake::default() });
    assert_eq!(client_of(&strange).await.known_revocations(desk(), NOW).await.unwrap(), Revocations::new());
    let broken = Arc::new(Fake {
        knows: [(CidDigest([1; 32]), b"nonsense".to_vec())].into_iter().collect(),
        ..Fake::default()
    });
    assert_eq!(client_of(&broken).await.known_revocations(desk(), NOW).await.unwrap(), Revocations::new());
    let none = Arc::new(Fake::default());
    assert_eq!(client_of(&none).await.known_revocations(desk(), NOW).await.unwrap(), Revocations::new());
    let syncs =
        |fake: &Fake| fake.asked.lock().unwrap().iter().filter(|kind| **kind == RevocationSync::KIND).count();
    // Where there is nothing, one question; whoever sends rubbish is not asked for ever.
    assert_eq!((syncs(&none), syncs(&strange), syncs(&broken)), (1, 1, 1));
}

#[tokio::test]
async fn each_is_given_what_it_lacks_and_nothing_else() {
    let (ours, theirs, both) = (revoked(&DESK, 0..2), revoked(&DESK, 2..3), revoked(&DESK, 3..6));
    let known: Revocations = ours.clone().into_iter().chain(both.clone()).collect();
    let there: Revocations = theirs.clone().into_iter().chain(both).collect();
    let own = Arc::new(Fake { knows: known.clone(), ..Fake::default() });
    let peer = Arc::new(Fake { knows: there, ..Fake::default() });
    let (own_client, peer_client) = (client_of(&own).await, client_of(&peer).await);
    let done = peer_client.exchange_revocations(&own_client, desk(), known.clone()).await.unwrap();
    assert_eq!(done, Exchanged { given: 2, taken: 1 });
    assert_eq!(peer.given(), ours.into_values().collect::<Vec<_>>());
    assert_eq!(own.given(), theirs.into_values().collect::<Vec<_>>());

    // The same on both sides: one question and no more.
    let same = Arc::new(Fake { knows: known.clone(), ..Fake::default() });
    let client = client_of(&same).await;
    let done = client.exchange_revocations(&own_client, desk(), known.clone()).await.unwrap();
    assert_eq!((done, same.given().len()), (Exchanged::default(), 0));

    // A peer that compares with nobody we are is told all the same: a revocation needs no token.
    let closed = Arc::new(Fake { closed: true, ..Fake::default() });
    let client = client_of(&closed).await;
    let done = client.exchange_revocations(&own_client, desk(), known.clone()).await.unwrap();
    assert_eq!(done, Exchanged { given: 5, taken: 0 });
    assert_eq!(closed.given(), known.into_values().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_renewal_that_is_something_else_is_not_taken() {
    let (old, _) = grant(&DESK, laptop(), 1);
    let renew = async |token: String| {
        let peer = Arc::new(Fake { renews: token, ..Fake::default() });
        client_of(&peer).await.renew(old.clone(), desk(), laptop()).await
    };
    let (chain, token) = grant(&DESK, laptop(), 2);
    let renewed = renew(token.clone()).await.unwrap();
    assert_eq!((renewed.chain, renewed.token), (chain, token));
    // For somebody else, about somebody else's node, and no token at all.
    let (_, stolen) = grant(&DESK, mint::id_of(&[99; 32]), 3);
    let (_, elsewhere) = grant(&[99; 32], laptop(), 4);
    for bad in [stolen, elsewhere, "Cnonsense".to_owned(), String::new()] {
        let error = renew(bad.clone()).await.unwrap_err();
        assert!(matches!(error, ClientError::Authority(_)), "{bad}: {error:?}");
        assert!(bad.is_empty() || !error.to_string().contains(&bad), "a token is not said: {error}");
    }
}
