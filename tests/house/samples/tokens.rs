//! Frames of tokens: making, reading, passing on, taking back.

use clankers_protocol::{
    CidDigest, NanoUsd, NodeId, Timestamp,
    request::{
        inspect::{
            Considered, LinkWords, Question, TokenInspect, TokenInspected, TokenWhy, TokenWhyReply, Verdict,
        },
        revocation::{
            RevocationOffer, RevocationSync, RevocationSynced, RevocationTaken, RevokeWhat, RevokedLink,
            TokenForget, TokenForgotten, TokenOffer, TokenOffered, TokenRenew, TokenRenewed, TokenRevoke,
            TokenRevoked,
        },
        tokens::{
            CostLimit, Preset, Rights, TokenChoice, TokenCreate, TokenCreated, TokenDelegate, TokenEntry,
            TokenImport, TokenImported, TokenList, TokenListReply, TokenRecord, TokenState,
        },
    },
};

use super::{AT, LEAF, NODE, Sample, ext, message};

const UNTIL: Timestamp = Timestamp(1_763_769_600_000);

fn record() -> TokenRecord {
    TokenRecord {
        cid: "bafyreia".into(),
        subject: NODE,
        issuer: NODE,
        audience: NodeId([0xa0; 32]),
        not_before: AT,
        expires: UNTIL,
        grants: vec!["prompt".into(), "use the tools read, grep".into()],
        issued: true,
    }
}

fn preset(preset: Preset) -> Rights {
    Rights { preset: Some(preset), ..Rights::default() }
}

/// Everything that narrows, at once.
fn narrow(cost: CostLimit) -> Rights {
    Rights {
        preset: None,
        tools: Some(vec!["read".into(), "grep".into()]),
        paths: vec!["src".into(), "docs/guide".into()],
        sessions: vec!["all".into()],
        models: vec!["openai/gpt".into()],
        cost,
        max_tokens: Some(200_000),
        max_depth: Some(0),
        per_minute: Some(6),
        concurrent: Some(1),
        max_size: Some(10_000_000),
    }
}

fn question() -> Question {
    Question {
        command: "tool/use".into(),
        tool: Some("grep".into()),
        path: Some("src/main.rs".into()),
        session: Some("5e5e".into()),
        model: Some("openai/gpt".into()),
        workspace: Some("w1".into()),
        size: Some(300),
    }
}

fn yes() -> Verdict {
    Verdict { allowed: true, code: None, reason: None }
}

fn no() -> Verdict {
    Verdict { allowed: false, code: Some("unauthorized".into()), reason: Some("not beneath src".into()) }
}

fn entry(state: TokenState) -> TokenEntry {
    TokenEntry { record: record(), state, renew: true, spent: Some(NanoUsd(12_345)) }
}

/// All of them.
pub(super) fn all() -> Vec<Sample> {
    [making(), keeping(), reading(), taking_back(), exchanging()].into_iter().flatten().collect()
}

fn making() -> Vec<Sample> {
    let create = |rights| TokenCreate {
        leaf: LEAF,
        audience: "desk".into(),
        rights,
        expire_secs: 86_400,
        renew: true,
        ext: ext(),
    };
    let tools = Rights { tools: Some(vec!["grep".into()]), ..Rights::default() };
    let delegate = |from, expire_secs| TokenDelegate {
        leaf: LEAF,
        from,
        audience: "desk".into(),
        rights: preset(Preset::ReadOnly),
        expire_secs,
        ext: ext(),
    };
    let created =
        TokenCreated { record: record(), token: "Cabc".into(), warnings: vec!["careful".into()], ext: ext() };
    vec![
        message("read-only", create(preset(Preset::ReadOnly))),
        message("reviewer", create(preset(Preset::Reviewer))),
        message("operator", create(preset(Preset::Operator))),
        message("root", create(preset(Preset::Root))),
        message("tools", create(tools)),
        message("narrow", create(narrow(CostLimit::AtMost(NanoUsd(1_500_000_000))))),
        message("unlimited", create(narrow(CostLimit::Unlimited))),
        message("", created),
        message("kept", delegate(TokenChoice::Kept("bafyreia".into()), None)),
        message("text", delegate(TokenChoice::Text("Cabc".into()), Some(3_600))),
    ]
}

fn keeping() -> Vec<Sample> {
    let states = [TokenState::Valid, TokenState::NotYetValid, TokenState::Expired, TokenState::Revoked];
    vec![
        message("", TokenImport { leaf: LEAF, token: "Cabc".into(), ext: ext() }),
        message("", TokenImported { record: record(), known: true, ext: ext() }),
        message("", TokenList { leaf: LEAF, skip: 200, ext: ext() }),
        message("", TokenListReply { tokens: states.map(entry).to_vec(), more: 3, ext: ext() }),
    ]
}

fn reading() -> Vec<Sample> {
    let inspect = |token, node: Option<&str>, question| TokenInspect {
        leaf: LEAF,
        token,
        node: node.map(str::to_owned),
        question,
        ext: ext(),
    };
    let link = LinkWords {
        cid: "bafyreia".into(),
        issuer: NODE,
        audience: NodeId([0xa0; 32]),
        not_before: AT,
        expires: UNTIL,
        says: vec!["prompt".into()],
        state: TokenState::Valid,
    };
    let inspected = |verdict| TokenInspected {
        record: record(),
        links: vec![link.clone()],
        shown: yes(),
        verdict,
        ext: ext(),
    };
    let considered = vec![
        Considered { token: entry(TokenState::Valid), verdict: yes() },
        Considered { token: entry(TokenState::Expired), verdict: no() },
    ];
    vec![
        message("kept", inspect(TokenChoice::Kept("bafyreia".into()), Some("desk"), Some(question()))),
        message("text", inspect(TokenChoice::Text("Cabc".into()), None, None)),
        message("", inspected(None)),
        message("asked", inspected(Some(no()))),
        message("", TokenWhy { leaf: LEAF, node: "desk".into(), question: question(), ext: ext() }),
        message("", TokenWhyReply { node: NODE, own: false, considered, ext: ext() }),
    ]
}

fn taking_back() -> Vec<Sample> {
    let revoke = |what| TokenRevoke { leaf: LEAF, what, ext: ext() };
    let chain = |cid: Option<&str>| RevokeWhat::Chain { token: "Cabc".into(), cid: cid.map(str::to_owned) };
    let links = vec![RevokedLink {
        cid: "bafyreia".into(),
        subject: NODE,
        audience: NodeId([0xa0; 32]),
        expires: UNTIL,
        revocation: vec![1, 2, 3],
    }];
    vec![
        message("kept", revoke(RevokeWhat::Kept("bafyreia".into()))),
        message("chain", revoke(chain(None))),
        message("link", revoke(chain(Some("bafyreia")))),
        message("everything", revoke(RevokeWhat::Everything)),
        message("", TokenRevoked { links, known: false, ended: 2, epoch: None, ext: ext() }),
        message(
            "everything",
            TokenRevoked { links: Vec::new(), known: true, ended: 300, epoch: Some(AT), ext: ext() },
        ),
    ]
}

fn exchanging() -> Vec<Sample> {
    let digests = || vec![CidDigest([0xc1; 32]), CidDigest([0xc2; 32])];
    let sync = RevocationSync { subject: NODE, count: 2, hash: [0xab; 32], have: digests(), ext: ext() };
    let synced =
        RevocationSynced { same: false, want: digests(), missing: vec![vec![1, 2], Vec::new()], ext: ext() };
    vec![
        message("", RevocationOffer { revocations: vec![vec![1, 2], vec![3]], ext: ext() }),
        message("", RevocationTaken { stored: 1, known: 2, refused: vec![9, 300], ext: ext() }),
        message("", sync),
        message("", synced),
        message("", TokenOffer { token: "Cabc".into(), ext: ext() }),
        message("", TokenOffered { known: true, ext: ext() }),
        message("", TokenRenew { chain: vec![1, 2, 3], ext: ext() }),
        message("", TokenRenewed { token: "Cabc".into(), ext: ext() }),
        message("", TokenForget { leaf: LEAF, cid: "bafyreia".into(), ext: ext() }),
        message("", TokenForgotten { record: record(), ext: ext() }),
    ]
}
