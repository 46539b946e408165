//! Where a token comes from: a file, standard input, or those that the node keeps. Never an argument, which
//! everybody on the machine can read.

use std::{io::Read, path::Path};

use clankers_protocol::{limits::CHAIN_BYTES, refusal::ExitKind, request::tokens::TokenChoice, text};

use crate::error::CliError;

/// Bytes of a token's text that are read: the limit, and room for white space around it.
const TOKEN_READ_BYTES: u64 = 2 * CHAIN_BYTES as u64;
/// Characters of an argument that an error says back; what is longer may be a token, and is not said at all.
const NAME_CHARS: usize = 80;
/// Characters that name a kept token at the least: shorter beginnings are those of all of them.
const CID_MIN_CHARS: usize = 10;

/// The token that `CID|FILE|-` means. A file is meant before a CID of the same name.
pub(super) fn choice(argument: &str) -> Result<TokenChoice, CliError> {
    let path = Path::new(argument);
    if argument != "-" && !path.exists() && is_cid(argument) {
        return Ok(TokenChoice::Kept(argument.to_owned()));
    }
    read(path).map(TokenChoice::Text)
}

/// Whether it can be a CID, or its beginning: base32, lower case, version 1.
fn is_cid(text: &str) -> bool {
    let base32 = |byte: u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte);
    text.starts_with("baf")
        && text.len() >= CID_MIN_CHARS
        && text.len() <= NAME_CHARS
        && text.bytes().all(base32)
}

/// The text of a token in a file or, with `-`, on standard input.
pub(super) fn read(file: &Path) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(TOKEN_READ_BYTES).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(TOKEN_READ_BYTES).read_to_end(&mut bytes))
    };
    read.map_err(|error| match error.kind() {
        // A token's text is too long for a file's name.
        std::io::ErrorKind::NotFound | std::io::ErrorKind::InvalidFilename => {
            CliError::new(ExitKind::NotFound, format!("there is no file {}", name(file)))
                .hint("a token comes from a file or, with '-', from standard input; never as an argument")
                .hint("one that is kept is named by its CID: 'clankers token list'")
        }
        _ => CliError::usage(format!("cannot read a token from {}: {error}", name(file))),
    })?;
    // Its bytes are not said back, whatever they are.
    let text = String::from_utf8(bytes).map_err(|_| {
        CliError::usage("what was given is not text, so it is no token")
            .hint("a token is the one line that 'clankers token create' prints")
    })?;
    let token = text.trim();
    if token.is_empty() {
        return Err(CliError::usage("there is no token in what was given")
            .hint("'clankers token create', run by the other node's owner, prints one"));
    }
    Ok(token.to_owned())
}

fn name(file: &Path) -> String {
    let name = file.display().to_string();
    match name.chars().count() {
        0 => "without a name".to_owned(),
        1..=NAME_CHARS => text::line(&name, NAME_CHARS),
        chars => format!("of that name ({chars} characters)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_meant_before_a_cid() {
        let kept = choice("bafyreiabcdefgh2").unwrap();
        assert_eq!(kept, TokenChoice::Kept("bafyreiabcdefgh2".into()));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.token");
        std::fs::write(&file, " Cabc\n").unwrap();
        let text = choice(file.to_str().unwrap()).unwrap();
        assert_eq!(text, TokenChoice::Text("Cabc".into()));
        // Too short for a CID, or no CID at all: a file that is not there.
        for missing in ["bafy", "desk.token", "bafyreiABCDEFGH", "bafyrei/bcdefgh2", ""] {
            assert_eq!(choice(missing).unwrap_err().kind, ExitKind::NotFound, "{missing}");
        }
    }

    #[test]
    fn a_tokens_text_is_never_said_back() {
        let token = format!("C{}", "oWZjdG4tdjGB".repeat(40));
        for argument in [token.clone(), token.chars().take(120).collect()] {
            let error = choice(&argument).unwrap_err();
            let said = format!("{error:?}");
            assert!(!said.contains("oWZjdG4tdjGB") && said.contains("standard input"), "{said}");
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("binary");
        std::fs::write(&file, [0xff, 0xfe, b'C']).unwrap();
        assert_eq!(read(&file).unwrap_err().kind, ExitKind::Usage);
        assert_eq!(read(dir.path()).unwrap_err().kind, ExitKind::Usage);
    }
}
