//! Targets of file transfer: names from elsewhere, manifests, and a receiver's whole conversation with a sender who says
//! anything.

use clankers_protocol::{
    Message, Timestamp,
    message::Ext,
    request::transfer::{Entry, EntryKind, FileBlock, FileManifest, FileOffer, OnConflict},
    transfer::{
        End, FileIdentity, FromSender, SafePath, SourceIdentity, TransferId,
        manifest::{Builder, ManifestLimits, Totals},
        name,
        receiver::{Input, Output, Receiver},
    },
};

/// A path that a peer says: what passes stays beneath a directory, on any system, and shows as it is.
pub fn names(data: &[u8]) {
    let Ok(dirty) = std::str::from_utf8(data) else { return };
    if let Ok(own) = SafePath::from_source(dirty) {
        assert_eq!(
            SafePath::parse(own.as_str()).as_ref(),
            Ok(&own),
            "a name of one's own is refused elsewhere"
        );
    }
    let Ok(path) = SafePath::parse(dirty) else { return };
    let mut parts = 0;
    for part in std::path::Path::new(path.as_str()).components() {
        assert!(matches!(part, std::path::Component::Normal(_)), "{path} leads elsewhere");
        parts += 1;
    }
    assert_eq!(parts, path.depth());
    assert!(!dirty.contains(['\\', '\0']) && !dirty.chars().any(char::is_control));
    for part in path.parts() {
        assert!(part.len() <= 255 && name::check_part(part).is_ok());
        assert_eq!(name::fold(&name::fold(part)), name::fold(part), "folding does not settle");
    }
}

/// The pages of a manifest, one after the other: what is taken in is a tree whose paths are safe and all different.
pub fn manifest(data: &[u8]) {
    let mut builder = Builder::new(ManifestLimits { entries: 1_000, bytes: 1 << 40, depth: 16 });
    for body in data.split(|byte| *byte == 0xff) {
        let Ok(page) = FileManifest::decode(body) else { continue };
        for entry in &page.entries {
            if builder.push(entry).is_err() {
                return;
            }
        }
    }
    let Ok(manifest) = builder.finish() else { return };
    let mut folded = std::collections::BTreeSet::new();
    let mut bytes = 0_u64;
    for (index, entry) in manifest.iter() {
        let path = SafePath::parse(&manifest.path(index).unwrap()).unwrap();
        assert!(path.depth() <= 16);
        let fold: Vec<String> = path.parts().map(name::fold).collect();
        assert!(folded.insert(fold), "{path} comes twice");
        bytes += entry.size;
    }
    assert_eq!(bytes, manifest.totals().bytes);
    let files: Vec<String> = manifest.files().filter_map(|(index, _)| manifest.path(index)).collect();
    assert!(files.windows(2).all(|pair| pair[0] < pair[1]), "files are not in order of their paths");
    let again: Vec<Entry> = manifest.pages().flatten().collect();
    let mut builder = Builder::announced(ManifestLimits::default(), manifest.totals()).unwrap();
    assert!(again.iter().all(|entry| builder.push(entry).is_ok()));
    assert_eq!(builder.finish().unwrap().len(), manifest.len());
}

/// What a sender says, in frames of any kind, to a receiver that accepts whatever is sound. Two bytes of kind, two
/// of length, the body; a kind of 0 is the shell's turn.
pub fn receiver(data: &[u8]) {
    let mut receiver =
        Receiver::new(Timestamp(0), ManifestLimits { entries: 1_000, bytes: 1 << 40, depth: 16 });
    let mut stored = std::collections::BTreeSet::new();
    let mut waiting: Vec<FileBlock> = Vec::new();
    let mut rest = data;
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let kind = clankers_protocol::kind::Kind(u16::from_le_bytes([head[0], head[1]]));
        let (body, after) =
            after.split_at(usize::from(u16::from_le_bytes([head[2], head[3]])).min(after.len()));
        rest = after;
        let input = match FromSender::decode(kind, body) {
            Ok(Some(frame)) => Input::Frame(frame),
            _ if kind == FileBlock::KIND => match FileBlock::decode(body) {
                Ok(block) => Input::Block(block),
                Err(_) => continue,
            },
            _ => match waiting.pop() {
                Some(block) => {
                    stored.insert((block.file, block.block));
                    Input::Stored { file: block.file, block: block.block }
                }
                None => Input::Tick,
            },
        };
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            receiver.handle(Timestamp(1), input, &mut out);
            for output in out {
                match output {
                    Output::Judge => inputs.push(Input::Accept { name: "root".into(), lanes: 1 }),
                    Output::Take(block) => waiting.push(block),
                    Output::Over(End::Done(_)) => panic!("a receipt that nobody signed"),
                    _ => {}
                }
            }
        }
        while let Some((file, _)) = receiver.next_ready() {
            let size = receiver.manifest().unwrap().file(file).unwrap().size;
            for block in 0..clankers_protocol::transfer::tree::blocks(size) {
                assert!(stored.contains(&(file, block)), "named before it is whole");
            }
            receiver.handle(Timestamp(1), Input::Placed { file }, &mut Vec::new());
        }
    }
}

fn entries() -> Vec<Entry> {
    let entry = |parent, name: &str, kind, size| Entry {
        parent,
        name: name.into(),
        kind,
        size,
        mode: 0o644,
        mtime_ns: 1,
        id: FileIdentity([1; 16]),
    };
    vec![
        entry(0, "root", EntryKind::Dir, 0),
        entry(0, "a.txt", EntryKind::File, 5),
        entry(0, "a", EntryKind::Dir, 0),
        entry(2, "ü", EntryKind::File, (1 << 20) + 1),
        entry(0, "b", EntryKind::File, 0),
    ]
}

/// Pages that are sound.
#[must_use]
pub fn manifests() -> Vec<Vec<u8>> {
    let page = |entries: &[Entry]| FileManifest { entries: entries.to_vec(), ext: Ext::default() }.encode();
    let entries = entries();
    let two = entries.split_at(2);
    vec![page(&entries), [page(two.0), vec![0xff], page(two.1)].concat()]
}

/// A conversation that begins well.
#[must_use]
pub fn conversations() -> Vec<Vec<u8>> {
    let totals = Totals { bytes: (1 << 20) + 6, files: 3, dirs: 2 };
    let offer = FileOffer {
        leaf: None,
        transfer: TransferId([1; 16]),
        name: "root".into(),
        source: SourceIdentity([2; 32]),
        bytes: totals.bytes,
        files: totals.files,
        dirs: totals.dirs,
        to: None,
        on_conflict: OnConflict::Rename,
        lanes: 1,
        entries: entries(),
        ext: Ext::default(),
    };
    let block = FileBlock { file: 1, block: 0, len: 5, cv: clankers_protocol::transfer::Cv([1; 32]) };
    let said = |kind: clankers_protocol::kind::Kind, body: Vec<u8>| {
        let len = u16::try_from(body.len()).unwrap();
        [&kind.0.to_le_bytes()[..], &len.to_le_bytes(), &body].concat()
    };
    let offered = said(FileOffer::KIND, offer.encode());
    vec![[offered, said(FileBlock::KIND, block.encode()), vec![0; 4]].concat()]
}
