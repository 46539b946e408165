//! What a node says of members besides their records.

use crate::message::Ext;

/// Number of an `ext` value of [`super::TeamMembersReply`], and of the answer to a view of the mesh: a [`MemberNote`] for
/// each of those named, in their order, a byte each.
pub const EXT_NOTES: u16 = 1;

/// What a member's goodbye meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goodbye {
    /// Its node was stopped: it is a member still.
    Stopped,
    /// It has left the team.
    Left,
}

/// What is known of a member besides its record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemberNote {
    /// Its membership renews itself; `None` when the membership is not known.
    pub renews: Option<bool>,
    /// That should have happened long ago, and did not.
    pub overdue: bool,
    /// What its goodbye meant, if that was the last that was heard of it and it said so.
    pub goodbye: Option<Goodbye>,
    /// It was invited here, and has not shown that to this node: it is no member yet.
    pub invited: bool,
}

impl MemberNote {
    const RENEWS: u8 = 1;
    const RENEWS_NOT: u8 = 1 << 1;
    const OVERDUE: u8 = 1 << 2;
    const STOPPED: u8 = 1 << 3;
    const LEFT: u8 = 1 << 4;
    const INVITED: u8 = 1 << 5;

    /// The notes on all, as they travel.
    #[must_use]
    pub fn write(notes: &[Self]) -> Ext {
        let byte = |note: &Self| {
            let renews = match note.renews {
                None => 0,
                Some(true) => Self::RENEWS,
                Some(false) => Self::RENEWS_NOT,
            };
            let goodbye = match note.goodbye {
                None => 0,
                Some(Goodbye::Stopped) => Self::STOPPED,
                Some(Goodbye::Left) => Self::LEFT,
            };
            let set = |is: bool, bit: u8| if is { bit } else { 0 };
            renews | goodbye | set(note.overdue, Self::OVERDUE) | set(note.invited, Self::INVITED)
        };
        Ext(vec![(EXT_NOTES, notes.iter().map(byte).collect())])
    }

    /// The note on the one at this place; an older node writes none.
    #[must_use]
    pub fn read(ext: &Ext, place: usize) -> Self {
        let byte = ext.get(EXT_NOTES).and_then(|notes| notes.get(place)).copied().unwrap_or_default();
        let has = |bit: u8| byte & bit != 0;
        Self {
            renews: (has(Self::RENEWS) || has(Self::RENEWS_NOT)).then_some(has(Self::RENEWS)),
            overdue: has(Self::OVERDUE),
            invited: has(Self::INVITED),
            goodbye: match (has(Self::STOPPED), has(Self::LEFT)) {
                (true, _) => Some(Goodbye::Stopped),
                (false, true) => Some(Goodbye::Left),
                (false, false) => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[test]
    fn notes_on_members_come_as_they_went_and_an_older_node_sends_none() {
        let mut notes = Vec::new();
        for renews in [None, Some(true), Some(false)] {
            for goodbye in [None, Some(Goodbye::Stopped), Some(Goodbye::Left)] {
                for invited in [false, true] {
                    notes.extend([false, true].map(|overdue| MemberNote {
                        renews,
                        overdue,
                        goodbye,
                        invited,
                    }));
                }
            }
        }
        let ext = MemberNote::write(&notes);
        assert!(ext.check().is_ok());
        let read: Vec<_> = (0..notes.len()).map(|place| MemberNote::read(&ext, place)).collect();
        assert_eq!(read, notes);
        assert_eq!(MemberNote::read(&ext, notes.len()), MemberNote::default());
        assert_eq!(MemberNote::read(&Ext::default(), 0), MemberNote::default());
        const { assert!(limits::PAGE_ENTRIES <= limits::EXT_BYTES) };
    }
}
