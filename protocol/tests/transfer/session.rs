//! One connection between the two machines, with shells that do their work in any order.

use std::collections::{BTreeSet, VecDeque};

use clankers_protocol::{
    Timestamp,
    message::Ext,
    request::transfer::{FileBlock, OnConflict},
    transfer::{
        End, Fault, FromReceiver, FromSender, Root, SourceIdentity, TransferId,
        manifest::ManifestLimits,
        receiver::{self, Receiver},
        sender::{self, OfferDraft, Piece, Sender},
    },
};

use super::world::{self, Dice, Disk, Source};

/// What may go wrong in a session (one in so many steps; 0: never).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Chaos {
    pub(crate) cut: u64,
    pub(crate) change: u64,
    pub(crate) full: u64,
    pub(crate) rot: u64,
}

pub(crate) struct Session<'a> {
    pub(crate) now: Timestamp,
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
    source: &'a mut Source,
    disk: &'a mut Disk,
    to_receiver: VecDeque<FromSender>,
    to_sender: VecDeque<FromReceiver>,
    lanes: Vec<VecDeque<(FileBlock, u32)>>,
    reading: Vec<(Piece, u32)>,
    checks: Vec<u32>,
    storing: Vec<(FileBlock, u32)>,
    placing: Vec<(u32, Root)>,
    /// Blocks that the receiver said that it has.
    told: BTreeSet<(u32, u32)>,
    again: BTreeSet<u32>,
    pub(crate) sent: Option<End>,
    pub(crate) received: Option<End>,
    pub(crate) bytes_sent: u64,
}

pub(crate) fn draft() -> OfferDraft {
    OfferDraft {
        leaf: None,
        transfer: TransferId([1; 16]),
        source: SourceIdentity([2; 32]),
        to: None,
        on_conflict: OnConflict::Rename,
        lanes: 4,
        ext: Ext::default(),
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(now: Timestamp, source: &'a mut Source, disk: &'a mut Disk) -> Self {
        let sender = Sender::new(now, draft(), source.manifest());
        let mut session = Self {
            now,
            sender,
            receiver: Receiver::new(now, ManifestLimits::default()),
            source,
            disk,
            to_receiver: VecDeque::new(),
            to_sender: VecDeque::new(),
            lanes: vec![VecDeque::new(); 4],
            reading: Vec::new(),
            checks: Vec::new(),
            storing: Vec::new(),
            placing: Vec::new(),
            told: BTreeSet::new(),
            again: BTreeSet::new(),
            sent: None,
            received: None,
            bytes_sent: 0,
        };
        session.sender_takes(sender::Input::Start);
        session
    }

    fn sender_takes(&mut self, input: sender::Input) {
        let mut out = Vec::new();
        self.sender.handle(self.now, input, &mut out);
        for output in out {
            match output {
                sender::Output::Send(frame) => self.to_receiver.push_back(through_wire_s(&frame)),
                sender::Output::Pages => {
                    while let Some(page) = self.sender.next_page() {
                        self.to_receiver.push_back(through_wire_s(&page.into()));
                    }
                }
                sender::Output::Check(file) => self.checks.push(file),
                sender::Output::Over(end) => self.sent = Some(end),
                _ => {}
            }
        }
    }

    fn receiver_takes(&mut self, input: receiver::Input) {
        let mut out = Vec::new();
        self.receiver.handle(self.now, input, &mut out);
        for output in out {
            match output {
                receiver::Output::Judge => self.judge(),
                receiver::Output::Send(frame) => self.to_sender.push_back(through_wire_r(&frame)),
                receiver::Output::Take(head) => self.storing.push((head, u32::MAX)),
                receiver::Output::Forget(file) => drop(self.disk.parts.remove(&file)),
                receiver::Output::Seal(_) => {
                    self.receiver_takes(receiver::Input::Sealed { signature: vec![1; 64] })
                }
                receiver::Output::Over(end) => self.received = Some(end),
                _ => {}
            }
        }
    }

    /// What a shell does: it looks at what is there from before, and accepts.
    fn judge(&mut self) {
        let manifest = self.receiver.manifest().unwrap().clone();
        let mut inputs = Vec::new();
        for (file, entry) in manifest.files() {
            if self.disk.declined.contains(&file) {
                inputs.push(receiver::Input::Decline { file });
                continue;
            }
            if let Some((id, _, root)) = self.disk.named.get(&file).filter(|named| named.0 == entry.id) {
                assert_eq!(*id, entry.id);
                inputs.push(receiver::Input::Whole { file, root: *root });
                self.told.extend((0..64).map(|block| (file, block)));
                continue;
            }
            self.disk.named.remove(&file);
            if let Some(version) = self.disk.others.get(&file) {
                let root = world::root(file, entry.size, *version);
                inputs.push(receiver::Input::Same { file, root });
                continue;
            }
            let part = self.disk.parts.entry(file).or_default();
            if part.id != Some(entry.id) {
                *part = world::PartFile { id: Some(entry.id), ..Default::default() };
            }
            let blocks: Vec<_> = part
                .blocks
                .iter()
                .map(|(block, (version, _))| (*block, world::cv(file, *block, *version)))
                .collect();
            self.told.extend(blocks.iter().map(|(block, _)| (file, *block)));
            if !blocks.is_empty() {
                inputs.push(receiver::Input::Held { file, blocks });
            }
        }
        inputs.push(receiver::Input::Accept { name: "root (1)".into(), lanes: 4 });
        inputs.into_iter().for_each(|input| self.receiver_takes(input));
    }

    /// Goes on until both are over, or the connection is cut; whether it ended by itself.
    pub(crate) fn run(&mut self, dice: &mut Dice, chaos: Chaos, steps: usize) -> bool {
        for _ in 0..steps {
            if self.sent.is_some() && (self.received.is_some() || self.to_receiver.is_empty()) {
                return true;
            }
            if self.received.is_some() && self.to_sender.is_empty() {
                return true;
            }
            if chaos.cut > 0 && dice.one_in(chaos.cut) {
                return false;
            }
            if chaos.change > 0 && dice.one_in(chaos.change) && !self.source.files.is_empty() {
                let entry = 1 + dice.roll(self.source.files.len() as u64) as u32;
                let file = self.source.file_mut(entry);
                (file.version, file.stamp) = (file.version + 1, file.stamp + 1);
            }
            self.now = self.now.plus_ms(dice.roll(40));
            self.step(dice, chaos);
        }
        panic!("no end after {steps} steps: {:?} {:?}", self.sender.progress(), self.receiver.progress());
    }

    fn step(&mut self, dice: &mut Dice, chaos: Chaos) {
        match dice.roll(10) {
            0 => {
                if let Some(frame) = self.to_receiver.pop_front() {
                    self.receiver_takes(receiver::Input::Frame(frame));
                }
            }
            1 => {
                if let Some(frame) = self.to_sender.pop_front() {
                    if let FromReceiver::Again(again) = &frame {
                        self.again.extend(&again.files);
                    }
                    self.sender_takes(sender::Input::Frame(frame));
                }
            }
            2 | 3 => self.read(dice),
            4 => self.check(dice),
            5 | 6 => self.store(dice, chaos),
            7 => self.place(dice),
            8 => {
                self.sender_takes(sender::Input::Tick);
                self.receiver_takes(receiver::Input::Tick);
            }
            _ => {
                let lane = dice.roll(4) as usize;
                if let Some((head, version)) = self.lanes[lane].pop_front() {
                    self.receiver_takes(receiver::Input::Block(head));
                    if let Some((taken, place)) = self.storing.last_mut()
                        && *place == u32::MAX
                    {
                        assert_eq!(*taken, head);
                        *place = version;
                    }
                }
            }
        }
    }

    fn read(&mut self, dice: &mut Dice) {
        if self.reading.len() < 6
            && let Some(piece) = self.sender.next_piece()
        {
            let told = self.told.contains(&(piece.file, piece.block));
            assert!(!piece.send || !told || self.again.contains(&piece.file), "it has this: {piece:?}");
            self.reading.push((piece, self.source.file(piece.file).version));
        }
        if self.reading.is_empty() || dice.one_in(3) {
            return;
        }
        let (piece, version) = self.reading.swap_remove(dice.roll(self.reading.len() as u64) as usize);
        let (file, block) = (piece.file, piece.block);
        let stamp = u128::from(self.source.file(file).stamp).to_le_bytes();
        if piece.check && stamp != piece.id.0 {
            return self.sender_takes(sender::Input::Failed { file, fault: Fault::SourceChanged });
        }
        let cv = world::cv(file, block, version);
        self.sender_takes(sender::Input::Hashed { file, block, cv });
        if piece.send {
            let lane = dice.roll(4) as usize;
            self.lanes[lane].push_back((FileBlock { file, block, len: piece.len, cv }, version));
            self.bytes_sent += u64::from(piece.len);
            self.sender_takes(sender::Input::Written { bytes: piece.len });
        }
    }

    fn check(&mut self, dice: &mut Dice) {
        if self.checks.is_empty() {
            return;
        }
        let file = self.checks.swap_remove(dice.roll(self.checks.len() as u64) as usize);
        let id = self.sender.manifest().get(file).unwrap().id;
        let is_same = id.0 == u128::from(self.source.file(file).stamp).to_le_bytes();
        self.sender_takes(if is_same {
            sender::Input::Checked { file }
        } else {
            sender::Input::Failed { file, fault: Fault::SourceChanged }
        });
    }

    fn store(&mut self, dice: &mut Dice, chaos: Chaos) {
        if self.storing.is_empty() {
            return;
        }
        let (head, version) = self.storing.swap_remove(dice.roll(self.storing.len() as u64) as usize);
        let (file, block) = (head.file, head.block);
        if chaos.full > 0 && dice.one_in(chaos.full) {
            return self.receiver_takes(receiver::Input::StoreFailed { file, block, fault: Fault::NoSpace });
        }
        if chaos.rot > 0 && dice.one_in(chaos.rot) {
            return self.receiver_takes(receiver::Input::Damaged { file, block });
        }
        assert_eq!(world::cv(file, block, version), head.cv);
        let id = self.receiver.manifest().unwrap().get(file).unwrap().id;
        let part = self.disk.parts.entry(file).or_default();
        part.id = Some(id);
        part.blocks.insert(block, (version, false));
        if dice.one_in(5) {
            self.disk.sync();
        }
        self.receiver_takes(receiver::Input::Stored { file, block });
    }

    fn place(&mut self, dice: &mut Dice) {
        if let Some(ready) = self.receiver.next_ready() {
            self.placing.push(ready);
        }
        if self.placing.is_empty() || dice.one_in(2) {
            return;
        }
        let (file, root) = self.placing.swap_remove(dice.roll(self.placing.len() as u64) as usize);
        let entry = self.receiver.manifest().unwrap().get(file).unwrap();
        let (size, id) = (entry.size, entry.id);
        self.disk.parts.entry(file).or_default().id = Some(id);
        self.disk.name(file, size, root);
        self.receiver_takes(receiver::Input::Placed { file });
    }
}

fn through_wire_s(frame: &FromSender) -> FromSender {
    let (kind, body) = frame.encode();
    FromSender::decode(kind, &body).unwrap().unwrap()
}

fn through_wire_r(frame: &FromReceiver) -> FromReceiver {
    let (kind, body) = frame.encode();
    FromReceiver::decode(kind, &body).unwrap().unwrap()
}
