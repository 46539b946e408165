//! Forged, bent, stolen and worn-out chains, shown on real connections: each is refused with the right code.

use clankers_auth::GrantSpec;
use clankers_protocol::{
    NodeId,
    hello::{ChainVerdict, Present, Presented},
    message::Ext,
    refusal::RefusalCode::{self, BadToken, Expired, NotYetValid, WrongAudience, WrongNode},
    request::node::InfoReply,
};
use clankers_tests::{
    NodeHome,
    forge::{self, DAY, Link, id_of},
    hostile::{Guest, Hostile},
};
use ucan::{Command, Delegation, Did, Ipld, Policy, Profile, SigningKey};

use super::{info, raw};
use crate::BIN;

/// The order of the Ed25519 group, little endian (RFC 8032 section 5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
/// Chains shown by one peer: each refusal counts, and at 60 nobody listens any more.
const PER_PEER: usize = 40;

struct Forger {
    node: [u8; 32],
    me: NodeId,
    guest: NodeId,
    guest_seed: [u8; 32],
}

type Vector = (&'static str, Vec<u8>, RefusalCode);

/// A container written by hand: whatever order and number.
fn by_hand(tokens: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"@\xa1\x66ctn-v1".to_vec();
    out.push(0x80 | u8::try_from(tokens.len()).unwrap());
    for token in tokens {
        out.push(0x59);
        out.extend(u16::try_from(token.len()).unwrap().to_be_bytes());
        out.extend(token);
    }
    out
}

fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).position(|window| window == part).expect("the part is in there")
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = find(bytes, from);
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out[at] ^= 1;
    out
}

/// The signature is the envelope's first element: `82 58 40` and 64 bytes.
fn signature(token: &[u8]) -> [u8; 64] {
    assert_eq!(&token[..3], [0x82, 0x58, 0x40]);
    token[3..67].try_into().unwrap()
}

fn signed_with(token: &[u8], signature: &[u8]) -> Vec<u8> {
    let length = u8::try_from(signature.len()).unwrap();
    [&[0x82, 0x58, length][..], signature, &token[67..]].concat()
}

impl Forger {
    fn good(&self) -> Link {
        Link::new(self.node, self.me, self.guest)
    }

    /// What the specification allows and this project does not: without times, at least.
    fn spec(
        &self,
        bend: impl FnOnce(ucan::DelegationBuilder) -> ucan::DelegationBuilder,
        nonce: &[u8],
    ) -> Vec<u8> {
        let build = Delegation::build(Did::from(self.me.0), Did::from(self.guest.0), Command::root(), nonce);
        let signed = bend(build).sign(&SigningKey::from_bytes(&self.node), Profile::Spec).unwrap();
        signed.bytes().to_vec()
    }

    fn containers(&self) -> Vec<Vector> {
        let (token, other) = (self.good().bytes(), self.good().bytes());
        let good = forge::container([&token]);
        let mut pair = [token.clone(), other];
        pair.sort();
        pair.reverse();
        let text = |header: u8| [&[header][..], &good[1..]].concat();
        let long_list = replaced(&good, b"ctn-v1\x81", b"ctn-v1\x98\x01");
        let endless = [replaced(&good, b"ctn-v1\x81", b"ctn-v1\x9f"), vec![0xff]].concat();
        let huge = self.good().meta("note", Ipld::String("x".repeat(4096))).bytes();
        let nine: Vec<_> = (0..9).map(|_| self.good().bytes()).collect();
        vec![
            ("nothing", vec![], BadToken),
            ("a header alone", b"@".to_vec(), BadToken),
            ("noise", vec![0xa5; 1000], BadToken),
            ("cut short", good[..good.len() - 1].to_vec(), BadToken),
            ("one byte more", [&good[..], b"\0"].concat(), BadToken),
            ("gzip", text(b'M'), BadToken),
            ("gzip in base64", text(b'O'), BadToken),
            ("gzip in base64url", text(b'P'), BadToken),
            ("raw bytes under the header of text", text(b'C'), BadToken),
            ("another container", replaced(&good, b"ctn-v1", b"ctn-v2"), BadToken),
            ("a length that is longer than it need be", long_list, BadToken),
            ("a list without a length", endless, BadToken),
            ("no token", by_hand(&[]), BadToken),
            ("the same token twice", by_hand(&[token.clone(), token.clone()]), BadToken),
            ("tokens out of order", by_hand(&pair), BadToken),
            ("nine tokens", by_hand(&nine), BadToken),
            ("a token over 4 KiB", by_hand(&[huge]), BadToken),
            ("a nesting bomb", [b"@".to_vec(), vec![0x81; 8000]].concat(), BadToken),
        ]
    }

    fn envelopes(&self) -> Vec<Vector> {
        let token = self.good().bytes();
        let one = |bytes: Vec<u8>| by_hand(&[bytes]);
        let third = [&[0x83][..], &token[1..], &[0][..]].concat();
        let varsig = find(&token, b"\x61h") + 3;
        let time = find(&token, b"\x63exp\x1a") + 4;
        let exp_as = |kind: u8| [&token[..time], &[kind][..], &token[time + 1..]].concat();
        let wide = [&token[..time], &[0x1b, 0, 0, 0, 0][..], &token[time + 1..]].concat();
        vec![
            ("a third element", one(third), BadToken),
            ("an invocation's tag", one(replaced(&token, b"ucan/dlg@1.0.0", b"ucan/inv@1.0.0")), BadToken),
            (
                "an earlier tag",
                one(replaced(&token, b"\x6eucan/dlg@1.0.0", b"\x73ucan/dlg@1.0.0-rc.1")),
                BadToken,
            ),
            ("another signature scheme", one(flipped(&token, varsig)), BadToken),
            ("an unknown key", one(replaced(&token, b"\x63pol", b"\x63poq")), BadToken),
            ("a float for a time", one(exp_as(0xfa)), BadToken),
            ("a negative time", one(exp_as(0x3a)), BadToken),
            ("a time in eight bytes", one(wide), BadToken),
            ("another spelling of did", one(replaced(&token, b"did:key:z6Mk", b"did:key:Z6Mk")), BadToken),
            ("another method of did", one(replaced(&token, b"did:key:", b"did:web:")), BadToken),
            ("a short nonce", one(self.spec(|b| b, &[7; 11])), BadToken),
            ("without end", one(self.spec(|b| b, &[7; 16])), BadToken),
            ("for any subject", one(self.spec(ucan::DelegationBuilder::any_subject, &[7; 16])), BadToken),
        ]
    }

    fn signatures(&self) -> Vec<Vector> {
        let (token, other) = (self.good().bytes(), self.good().bytes());
        let (a, b) = (forge::random(), forge::random());
        let links = [
            Link::new(self.node, self.me, id_of(&a)).bytes(),
            Link::new(a, self.me, id_of(&b)).bytes(),
            Link::new(b, self.me, self.guest).bytes(),
        ];
        let broken = |n: usize| {
            let mut links = links.clone();
            links[n] = flipped(&links[n], 40);
            forge::container(links)
        };
        let one = |signature: &[u8]| by_hand(&[signed_with(&token, signature)]);
        let own = signature(&token);
        let mut carry = 0_u16;
        let mut unreduced = own;
        for (byte, order) in unreduced[32..].iter_mut().zip(ORDER) {
            carry += u16::from(*byte) + u16::from(order);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        // The neutral element as a key: without strictness everything is signed by it.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let (weak, seed) = (NodeId(neutral), forge::random());
        let mut anything = [0; 64];
        anything[0] = 1;
        let by_weak = replaced(
            &Link::new(seed, self.me, self.guest).bytes(),
            id_of(&seed).did().as_bytes(),
            weak.did().as_bytes(),
        );
        let weak_chain = [Link::new(self.node, self.me, weak).bytes(), signed_with(&by_weak, &anything)];
        vec![
            ("a bit of the root's signature", broken(0), BadToken),
            ("a bit of the middle's signature", broken(1), BadToken),
            ("a bit of the leaf's signature", broken(2), BadToken),
            ("another token's signature", one(&signature(&other)), BadToken),
            ("no signature", one(&[0; 64]), BadToken),
            ("63 bytes of signature", one(&own[..63]), BadToken),
            ("65 bytes of signature", one(&[&own[..], &[0]].concat()), BadToken),
            ("S not reduced", one(&unreduced), BadToken),
            ("a key of small order", forge::container(weak_chain), BadToken),
            ("a changed word", by_hand(&[replaced(&token, b"\x63cmd\x61/", b"\x63cmd\x61\\")]), BadToken),
        ]
    }

    fn shapes(&self) -> Vec<Vector> {
        let [a, b, c]: [[u8; 32]; 3] = [forge::random(), forge::random(), forge::random()];
        let (me, guest, node) = (self.me, self.guest, self.node);
        let link = |from: [u8; 32], to: NodeId| Link::new(from, me, to).bytes();
        let box_up = |links: Vec<Vec<u8>>| forge::container(links);
        let (na, ab) = (link(node, id_of(&a)), link(a, id_of(&b)));
        vec![
            ("signed by the guest itself", box_up(vec![link(self.guest_seed, guest)]), BadToken),
            ("signed by a stranger", box_up(vec![link(a, guest)]), BadToken),
            ("another node's", forge::chain(a, &[b], guest), WrongNode),
            ("the guest's own node's", forge::grant(&a, guest, &GrantSpec::root()), WrongNode),
            ("made for another", box_up(vec![na.clone()]), WrongAudience),
            ("one link short", box_up(vec![na.clone(), ab.clone()]), WrongAudience),
            (
                "seen, and extended by the guest",
                box_up(vec![na.clone(), link(self.guest_seed, guest)]),
                BadToken,
            ),
            ("seen, and extended by a stranger", box_up(vec![na.clone(), link(c, guest)]), BadToken),
            ("without its middle", box_up(vec![na.clone(), link(b, guest)]), BadToken),
            ("without its root", box_up(vec![ab.clone(), link(b, guest)]), BadToken),
            ("with a link too many", box_up(vec![link(node, guest), link(b, id_of(&c))]), BadToken),
            ("two roots", box_up(vec![link(node, guest), link(node, guest)]), BadToken),
            ("a loop", box_up(vec![na.clone(), ab.clone(), link(b, id_of(&a)), link(a, guest)]), BadToken),
            ("a loop without a root", box_up(vec![ab, link(b, id_of(&a))]), BadToken),
            (
                "the subject switched midway",
                box_up(vec![na.clone(), Link::new(a, id_of(&a), guest).bytes()]),
                BadToken,
            ),
            ("a run link of nobody", forge::owner_run(&a, guest), WrongNode),
        ]
    }

    fn times_and_policies(&self) -> Vec<Vector> {
        let now = forge::now().as_secs();
        let a = forge::random();
        let strict_forbids = |policy: Policy| forge::container([self.good().policy(policy).bytes()]);
        let spec = |draft| Policy::build([draft], Profile::Spec).unwrap();
        let root = Link::new(self.node, self.me, id_of(&a)).valid(now - 7200, now - 3600).bytes();
        let leaf = Link::new(a, self.me, self.guest).bytes();
        let many: Vec<String> = (0..70).map(|n| format!("t{n}")).collect();
        let timed = |from, to| forge::container([self.good().valid(from, to).bytes()]);
        vec![
            ("expired", timed(now - 7200, now - 1), Expired),
            ("expired long ago", timed(1000, 2000), Expired),
            ("an expired root under a fresh leaf", forge::container([root, leaf]), Expired),
            ("from tomorrow", timed(now + DAY, now + 2 * DAY), NotYetValid),
            ("from beyond the leeway", timed(now + 120, now + DAY), NotYetValid),
            ("for more than 400 days", timed(now - 60, now + 401 * DAY), BadToken),
            ("from before it began to its end", timed(now + DAY, now - DAY), BadToken),
            (
                "a policy with not",
                strict_forbids(spec(Policy::negate(Policy::eq(".tool", "bash")))),
                BadToken,
            ),
            ("a policy with !=", strict_forbids(spec(Policy::ne(".tool", "bash"))), BadToken),
            ("a policy of nothing", strict_forbids(spec(Policy::or([]))), BadToken),
            ("an optional selector", strict_forbids(spec(Policy::eq(".tool?", "ls"))), BadToken),
            (
                "a policy of too many parts",
                strict_forbids(spec(Policy::one_of(".tool", many.iter().map(String::as_str)))),
                BadToken,
            ),
        ]
    }

    fn all(&self) -> Vec<Vector> {
        [self.containers(), self.envelopes(), self.signatures(), self.shapes(), self.times_and_policies()]
            .concat()
    }
}

async fn shown(guest: &Guest, chain: &[u8]) -> ChainVerdict {
    let present = Present { chains: vec![chain.to_vec()], ext: Ext::default() };
    let presented: Presented = guest.ask(&present).await.message();
    presented.chains.into_iter().next().expect("a verdict")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_chains_are_refused_for_the_right_reason() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let mut done = 0;
    loop {
        let peer = Hostile::start().await;
        let forger = Forger { node: home.seed(), me: node.id(), guest: peer.id(), guest_seed: peer.seed() };
        let (guest, _) = peer.welcomed(node.address(), vec![]).await;
        let vectors: Vec<Vector> = forger.all().into_iter().skip(done).take(PER_PEER).collect();
        if vectors.is_empty() {
            break;
        }
        for (what, chain, code) in &vectors {
            let verdict = shown(&guest, chain).await;
            assert_eq!(verdict, ChainVerdict::Refused(code.number()), "{what}");
        }
        done += vectors.len();
        // Nothing of all that was kept, and a good chain is still a good chain.
        let _code = raw::refused(&guest, &info()).await;
        let good = forge::container([forger.good().bytes()]);
        assert!(matches!(shown(&guest, &good).await, ChainVerdict::Held(_)));
        let _info: InfoReply = guest.ask(&info()).await.message();
        // In a Hello it is judged no other way.
        let bad = vectors.iter().take(8).map(|(_, chain, _)| chain.clone()).collect();
        let (again, welcome) = peer.welcomed(node.address(), bad).await;
        let codes = vectors.iter().take(8).map(|(_, _, code)| ChainVerdict::Refused(code.number()));
        assert_eq!(welcome.chains, codes.collect::<Vec<_>>());
        let _code = raw::refused(&again, &info()).await;
        peer.close().await;
    }
    assert!(done >= 60, "{done} vectors");
    assert!(!home.node_log().contains("panicked"));

    // Too many, or too much: refused before any of it is looked at.
    let peer = Hostile::start().await;
    let (guest, _) = peer.welcomed(node.address(), vec![]).await;
    for chains in [vec![vec![b'@']; 9], vec![vec![b'@'; 16 * 1024 + 1]]] {
        let present = Present { chains, ext: Ext::default() };
        assert_eq!(raw::refused(&guest, &present).await, RefusalCode::TooLarge);
    }
    peer.close().await;
}
