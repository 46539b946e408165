//! `rpc get-file --list`: what there is to be got.

use clankers_client::transfer::{Exported, exports};
use clankers_protocol::{request::transfer::EntryKind, text};
use serde_json::{Value, json};

use super::progress::size;
use crate::{
    error::{CliError, Outcome},
    local::Machine,
    output::{self, rfc3339},
    remote::{DIAL_TIMEOUT, Peer},
};

/// Characters of a path in the list.
const PATH_CHARS: usize = 4096;

/// Lists the exports of a peer when the path is empty, else what is at this path.
pub(crate) async fn run(machine: &Machine, peer: &str, path: &str, json: bool) -> Outcome {
    let name = text::line(peer, 64);
    let reached = Peer::reach(machine, peer, DIAL_TIMEOUT).await?;
    let found = exports(&reached.client, None, path).await;
    let fellow = reached.fellow;
    reached.close().await;
    let found = found.map_err(|error| {
        let error = CliError::from(error).about(machine);
        if fellow { error.of_fellow() } else { error }
    })?;
    if json {
        return Ok(output::json(&Value::Array(found.iter().map(as_json).collect()))?);
    }
    let lines: Vec<String> = found.iter().map(line).collect();
    output::lines(lines.iter().map(String::as_str))?;
    if !found.is_empty() {
        anstream::eprintln!("  get one: clankers rpc get-file {name} PATH; look into one: with --list");
    } else if path.is_empty() {
        anstream::eprintln!(
            "! nothing is exported there that you may get: its owner names directories in its settings (files.exports)"
        );
    } else {
        anstream::eprintln!("! there is nothing in it that you may get");
    }
    Ok(())
}

fn line(one: &Exported) -> String {
    let (size, slash) = match one.kind {
        EntryKind::Dir => (String::new(), "/"),
        EntryKind::File => (size(one.bytes), ""),
    };
    format!("{size:>10}  {}{slash}", text::line(&one.path, PATH_CHARS))
}

fn as_json(one: &Exported) -> Value {
    let kind = if one.kind == EntryKind::Dir { "dir" } else { "file" };
    json!({"path": one.path, "kind": kind, "bytes": one.bytes, "changed": one.changed.map(rfc3339)})
}
