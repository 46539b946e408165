//! The small words of file transfer: ids, hashes, faults.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// A text is not a word of this kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: that is {digits} lower-case hex digits, this has {got} characters")]
pub struct ParseWordError {
    what: &'static str,
    digits: usize,
    got: usize,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident($bytes:literal) = $what:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub [u8; $bytes]);

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&HEXLOWER.encode(&self.0))
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, "{}({self})", stringify!($name))
                }
            }

            impl FromStr for $name {
                type Err = ParseWordError;

                fn from_str(s: &str) -> Result<Self, Self::Err> {
                    let bytes = HEXLOWER.decode(s.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
                    bytes.map(Self).ok_or_else(|| ParseWordError {
                        what: $what,
                        digits: 2 * $bytes,
                        got: s.chars().count(),
                    })
                }
            }

            // Hex in JSON, plain bytes on the wire.
            impl Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                    if s.is_human_readable() { s.collect_str(self) } else { self.0.serialize(s) }
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                    if d.is_human_readable() {
                        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
                    } else {
                        <[u8; $bytes]>::deserialize(d).map(Self)
                    }
                }
            }
        )*
    };
}

words! {
    /// Names one transfer: 16 random bytes, chosen by whoever asks for it; it stays when the transfer is resumed.
    TransferId(16) = "transfer id";
    /// The BLAKE3 hash of a whole file, which is what `b3sum` prints, or of a directory
    /// ([`crate::transfer::manifest::directory_root`]).
    Root(32) = "root hash";
    /// The BLAKE3 chaining value of one block; the root where the file is that one block
    /// ([`crate::transfer::tree`]).
    Cv(32) = "chaining value";
    /// Says that the source is the same as before: a digest of path, device and inode of its root. A claim, which
    /// only its sender can read.
    SourceIdentity(32) = "source identity";
    /// Says that a file is the same as before: a digest of device, inode, size and mtime. A claim, as above.
    FileIdentity(16) = "file identity";
}

impl TransferId {
    /// The first ten hex digits: what people read.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(10);
        text
    }
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// Why one file of a transfer did not arrive, while the others go on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $($(#[doc = $doc])* $variant,)*
            /// A fault that this version does not know.
            Other(u16),
        }

        impl Fault {
            /// All faults of this version, in order of number.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The number on the wire.
            #[must_use]
            pub fn number(self) -> u16 {
                match self {
                    $(Self::$variant => $number,)*
                    Self::Other(number) => number,
                }
            }

            /// The fault with this number.
            #[must_use]
            pub fn from_number(number: u16) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    other => Self::Other(other),
                }
            }

            /// The name that programs read.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Other(_) => "other",
                }
            }

            /// What it means, in words that follow a file's name.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),*).trim_ascii(),)*
                    Self::Other(_) => "it failed for a reason that only a newer version knows.",
                }
            }
        }
    };
}

faults! {
    /// it changed while it was sent: send it again when it rests.
    SourceChanged = 1, "source_changed";
    /// it vanished while the others were sent.
    Vanished = 2, "vanished";
    /// its sender may not read it.
    Unreadable = 3, "unreadable";
    /// the receiver's disk is full.
    NoSpace = 4, "no_space";
    /// something else has its name there.
    Conflict = 5, "conflict";
    /// what came is not what its hash says.
    Mismatch = 6, "mismatch";
    /// it is over a quota of the receiver.
    Quota = 7, "quota";
    /// its name is not fit to be sent.
    Name = 8, "name";
    /// a disk failed.
    Disk = 9, "disk";
    /// the receiver may not write it.
    Unwritable = 10, "unwritable";
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_round() {
        let id = TransferId([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.short(), "ababababab");
        assert_eq!(postcard::to_stdvec(&id).map(|bytes| bytes.len()), Ok(16));
        assert!("AB".repeat(16).parse::<TransferId>().is_err());
        assert!("ab".repeat(15).parse::<TransferId>().is_err());
        assert!("ab".repeat(16).parse::<Root>().is_err());
        for fault in Fault::ALL {
            assert_eq!(Fault::from_number(fault.number()), *fault);
        }
        assert_eq!(Fault::from_number(999), Fault::Other(999));
        assert!(Fault::ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
    }
}
