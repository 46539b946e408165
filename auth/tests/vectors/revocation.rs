//! Revocations that revoke nothing, and what a revocation ends.

use clankers_auth::{Command, step::Step};
use ipld_core::cid::Cid as AnyCid;
use ucan::Ipld;

use crate::{
    forge::{
        DAY, Fields, NOW_SECS, cid, container, delegation, did, fields, flipped, int, invocation, link,
        links, map, text, with,
    },
    time::run,
    vector::{Judge, Vector},
};

/// The fields of a revocation of `target`, whose witness is `witness`.
pub(crate) fn revoking(by: u8, witness: &[Vec<u8>], target: &[u8]) -> Fields {
    let Ipld::Map(fields) = map(&[
        ("iss", text(did(by))),
        ("sub", text(did(1))),
        ("cmd", text("/ucan/revoke")),
        ("args", map(&[("ucan", cid(target))])),
        ("prf", Ipld::List(witness.iter().map(|link| cid(link)).collect())),
        ("nonce", Ipld::Bytes(vec![5; 16])),
        ("exp", Ipld::Null),
        ("iat", int(NOW_SECS)),
    ]) else {
        unreachable!("a map was made")
    };
    fields
}

pub(crate) fn sent(by: u8, fields: Fields, witness: &[Vec<u8>]) -> Vec<u8> {
    container(&[witness, &[invocation(by, fields)]].concat())
}

/// A revocation, with the witness that it names.
pub(crate) fn revocation(by: u8, witness: &[Vec<u8>], target: &[u8]) -> Vec<u8> {
    sent(by, revoking(by, witness, target), witness)
}

fn told(name: &str, bytes: Vec<u8>) -> Vector {
    Vector::new(Judge::Revocation, format!("revocation: {name}"), bytes)
}

pub(crate) fn all() -> Vec<Vector> {
    [who(), form(), signed(), revoked()].concat()
}

fn who() -> Vec<Vector> {
    let three = links(3);
    let (witness, target) = (&three[..2], &three[1]);
    let stranger = |vector: Vector| vector.refused(Step::Revoker, "Revocation.NotAnIssuer", "bad_token");
    let witnessed = |vector: Vector, denial: &str| {
        vector.refused(Step::Revoker, &format!("Revocation.{denial}"), "bad_token")
    };
    let about = |subject: u8, by: u8| with(revoking(by, witness, target), "sub", text(did(subject)));
    let foreign = delegation(5, fields(5, 6));
    vec![
        stranger(told("by the audience", revocation(3, witness, target))),
        stranger(told("by somebody below", revocation(4, witness, target))),
        stranger(told("by a stranger", revocation(9, witness, target))),
        stranger(told("of the root, by its audience", revocation(2, &three[..1], &three[0]))),
        witnessed(
            told("a witness that reaches further", revocation(2, &three, target)),
            "TargetNotInWitness",
        ),
        witnessed(told("another target", revocation(2, witness, b"another")), "TargetNotInWitness"),
        witnessed(
            told("the witness is not the one named", sent(2, revoking(2, &three[..1], target), witness)),
            "OtherWitness",
        ),
        witnessed(told("no witness is named", sent(2, revoking(2, &[], target), witness)), "OtherWitness"),
        witnessed(told("about another subject", sent(2, about(7, 2), witness)), "Witness.WrongSubject"),
        witnessed(
            told("of a stranger's own tree", revocation(5, std::slice::from_ref(&foreign), &foreign)),
            "Witness.RootNotBySubject",
        ),
        told("no witness is brought", sent(2, revoking(2, witness, target), &[])).refused(
            Step::Order,
            "Chain.Empty",
            "bad_token",
        ),
        told("a witness with a gap", revocation(1, &[link(1, 2), link(3, 4)], &link(3, 4))).refused(
            Step::Order,
            "Chain.Disconnected",
            "bad_token",
        ),
    ]
}

fn form() -> Vec<Vector> {
    let witness = links(1);
    let good = || revoking(1, &witness, &witness[0]);
    let of = |name: &str, fields: Fields, step: Step, denial: &str| {
        told(name, sent(1, fields, &witness)).refused(step, denial, "bad_token")
    };
    let args =
        |name: &str, args: Ipld| of(name, with(good(), "args", args), Step::Decode, "Revocation.Arguments");
    let raw = AnyCid::new_v1(0x55, *ucan::Cid::of(b"x").to_link().hash());
    let (command, decode) = ("Revocation.Command", Step::Decode);
    let ends = with(good(), "exp", int(NOW_SECS + 60));
    let other = |path: &str| with(with(good(), "cmd", text(path)), "exp", int(NOW_SECS + 60));
    let two = [&witness[..], &[invocation(1, good()), invocation(1, with(good(), "iat", int(NOW_SECS + 1)))]]
        .concat();
    vec![
        of("it ends", ends, decode, "Revocation.Expires"),
        of("another command", other("/ucan/revoked"), decode, command),
        of("all of ucan", other("/ucan"), decode, command),
        of("everything", other("/"), decode, command),
        args("no argument", map(&[])),
        args("an argument more", map(&[("ucan", cid(&witness[0])), ("why", text("spite"))])),
        args("a target that is a text", map(&[("ucan", text("bafy"))])),
        args("a target that is null", map(&[("ucan", Ipld::Null)])),
        args("a target that is no token", map(&[("ucan", Ipld::Link(raw))])),
        of("an iat of a text", with(good(), "iat", text("now")), decode, "Malformed.Token.Time(iat)"),
        told("a chain alone", container(&witness)).refused(decode, command, "bad_token"),
        told("two at once", container(&two)).refused(decode, command, "bad_token"),
        told("nothing", vec![]).refused(decode, "Malformed.Empty", "bad_token"),
        told("ten tokens", container(&links(10))).refused(
            Step::Sizes,
            "Malformed.TooManyTokens",
            "bad_token",
        ),
    ]
}

fn signed() -> Vec<Vector> {
    let three = links(3);
    let token = invocation(1, revoking(1, &three, &three[2]));
    let with_token = |token: Vec<u8>| container(&[&three[..], &[token]].concat());
    let bad = |vector: Vector, step: Step| vector.refused(step, "Signature", "bad_token");
    // The witness is named by its hashes, so a bent link is named as it is.
    let bent = [three[0].clone(), flipped(&three[1], 20), three[2].clone()];
    let late = told("an hour after the end", revocation(1, &three[..1], &three[0]));
    let endless = delegation(1, with(fields(1, 2), "exp", int(NOW_SECS + 401 * DAY)));
    vec![
        bad(told("its signature is bent", with_token(flipped(&token, 20))), Step::RevocationSignature),
        bad(
            told("signed by another", with_token(invocation(9, revoking(1, &three, &three[2])))),
            Step::RevocationSignature,
        ),
        bad(told("a link of the witness is bent", revocation(1, &bent, &bent[2])), Step::Signatures),
        late.after_ms(86_400_000 + 3_601_000).refused(Step::Time, "Chain.Expired", "expired"),
        told("of a link for ever", revocation(1, std::slice::from_ref(&endless), &endless)).refused(
            Step::Lifetime,
            "Chain.LivesTooLong",
            "bad_token",
        ),
    ]
}

fn revoked() -> Vec<Vector> {
    let three = links(3);
    let mut all = Vec::new();
    for (judge, when) in
        [(Judge::Chain, "shown"), (Judge::Request, "a request"), (Judge::Effect, "what runs already")]
    {
        let vector = |name: &str| {
            let name = format!("revoked: {name}, {when}");
            Vector::new(judge, name, container(&three)).by(4).asks(Command::NodeInfo, &[])
        };
        for (place, name) in ["the root", "the middle", "the leaf"].iter().enumerate() {
            let vector = vector(name).revoked(&three[place]);
            all.push(vector.refused(Step::Revocations, "Revoked", "revoked"));
        }
        let full = vector("an issuer's revocations overflow").overflowed(2);
        all.push(full.refused(Step::Revocations, "Revoked", "revoked"));
        let unread = vector("the store cannot be read").unreadable("revocations");
        all.push(unread.refused(Step::Revocations, "Unreadable", "node_trouble"));
    }
    let runs = Vector::new(Judge::Request, "revoked: the run, a request", container(&[link(1, 2), run()]));
    let runs = runs.by(40).asks(Command::NodeInfo, &[]).revoked(&run());
    all.push(runs.refused(Step::Revocations, "Revoked", "revoked"));
    all
}
