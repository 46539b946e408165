//! `inbox`: what others offer to send, and the owner's answer.

use clankers_node::store::Home;
use clankers_protocol::{
    Timestamp,
    message::Ext,
    request::transfer::{
        EntryKind,
        keeping::{InboxAnswer, InboxAnswered, InboxList, InboxListReply, OfferInfo},
        shown::{EXT_SHOW, ShownEntry, ShownOffer},
    },
    text,
    transfer::SafePath,
};
use serde_json::{Value, json};

use super::progress::size;
use crate::{
    args::InboxCommand,
    error::{CliError, Outcome},
    local::Machine,
    output::{self, ago, rfc3339},
    when,
};

/// Characters of a name in a list.
const NAME_CHARS: usize = 48;
/// Characters of a path in an offer.
const PATH_CHARS: usize = 4096;

pub(crate) async fn run(home: Home, command: InboxCommand, json: bool) -> Outcome {
    let machine = Machine::open(&home)?;
    match command {
        InboxCommand::List => list(&machine, json).await,
        InboxCommand::Show { id } => show(&machine, &id, json).await,
        InboxCommand::Accept { id, only } => answer(&machine, id, true, only, json).await,
        InboxCommand::Reject { id } => answer(&machine, id, false, Vec::new(), json).await,
    }
}

async fn list(machine: &Machine, json: bool) -> Outcome {
    let local = machine.node_or_hall().await?;
    let mut offers: Vec<OfferInfo> = Vec::new();
    let done: Outcome = loop {
        let skip = u32::try_from(offers.len()).unwrap_or(u32::MAX);
        let page: Result<InboxListReply, _> =
            local.client.ask(&InboxList { leaf: None, skip, ext: Ext::default() }).await;
        match page {
            Ok(page) => {
                let is_last = page.more == 0 || page.offers.is_empty();
                offers.extend(page.offers);
                if is_last {
                    break Ok(());
                }
            }
            Err(error) => break Err(error.into()),
        }
    };
    local.close().await;
    done?;
    if json {
        return Ok(output::json(&Value::Array(offers.iter().map(as_json).collect()))?);
    }
    let now = clankers_node::clock::now();
    let rows: Vec<[String; 7]> = offers.iter().map(|offer| row(offer, now)).collect();
    output::table(["ID", "PEER", "NAME", "SIZE", "FILES", "ASKED", "STANDS UNTIL"], &rows)?;
    if !offers.is_empty() {
        anstream::eprintln!(
            "  see all of one: clankers inbox show ID; then: clankers inbox accept ID [--only PATH], or reject ID"
        );
    }
    Ok(())
}

/// All that is in an offer, as far as the node knows it.
struct Whole {
    offer: OfferInfo,
    entries: Vec<ShownEntry>,
    /// Entries that nobody has kept (count).
    lost: u32,
}

async fn show(machine: &Machine, id: &str, json: bool) -> Outcome {
    let local = machine.node_or_hall().await?;
    let whole = whole(&local.client, id).await;
    local.close().await;
    let Whole { offer, entries, lost } = whole?;
    if json {
        let named: Vec<Value> = entries.iter().map(entry_json).collect();
        let mut all = as_json(&offer);
        if let Some(fields) = all.as_object_mut() {
            fields.insert("entries".to_owned(), Value::Array(named));
            fields.insert("lost".to_owned(), lost.into());
        }
        return Ok(output::json(&all)?);
    }
    let lines: Vec<String> = entries.iter().map(line).collect();
    output::lines(lines.iter().map(String::as_str))?;
    let until = row(&offer, clankers_node::clock::now()).into_iter().next_back().unwrap_or_default();
    let total = format!(
        "files: {}, directories: {}, {} in all; from {}, as {}: {until}",
        offer.files,
        offer.dirs,
        size(offer.bytes),
        text::line(&peer(&offer), NAME_CHARS),
        text::line(&place(&offer), PATH_CHARS),
    );
    output::lines([total.as_str()])?;
    if lost > 0 {
        anstream::eprintln!(
            "! {lost} more are not shown: the list is too long to be kept while its sender is away"
        );
    }
    Ok(())
}

/// Asks for it page by page.
async fn whole(client: &clankers_client::Client, id: &str) -> Result<Whole, CliError> {
    let mut entries = Vec::new();
    loop {
        let skip = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let ext = Ext(vec![(EXT_SHOW, id.as_bytes().to_vec())]);
        let page: InboxListReply = client.ask(&InboxList { leaf: None, skip, ext }).await?;
        let (Some(shown), Some(offer)) = (ShownOffer::read(&page.ext), page.offers.into_iter().next()) else {
            return Err(CliError::machine(
                "this machine's node cannot show an offer: it is older than this command",
            )
            .hint("restart it: clankers daemon stop, then clankers daemon start -d"));
        };
        let is_last = page.more == 0 || shown.entries.is_empty();
        entries.extend(shown.entries);
        if is_last {
            return Ok(Whole { offer, entries, lost: shown.lost });
        }
    }
}

fn line(entry: &ShownEntry) -> String {
    let (size, slash) = match entry.kind {
        EntryKind::Dir => (String::new(), "/"),
        EntryKind::File => (size(entry.bytes), ""),
    };
    format!("{size:>10}  {}{slash}", text::line(&entry.path, PATH_CHARS))
}

fn entry_json(entry: &ShownEntry) -> Value {
    let kind = if entry.kind == EntryKind::Dir { "dir" } else { "file" };
    json!({"path": entry.path, "kind": kind, "bytes": entry.bytes})
}

fn peer(offer: &OfferInfo) -> String {
    offer.label.clone().unwrap_or_else(|| offer.peer.short())
}

fn place(offer: &OfferInfo) -> String {
    match &offer.to {
        Some(to) => format!("{to}/{}", offer.name),
        None => offer.name.clone(),
    }
}

fn row(offer: &OfferInfo, now: Timestamp) -> [String; 7] {
    let until = if offer.accepted { "accepted, not here yet".to_owned() } else { when::when(offer.until) };
    [
        offer.transfer.short(),
        peer(offer),
        text::line(&place(offer), NAME_CHARS),
        size(offer.bytes),
        offer.files.to_string(),
        ago(offer.asked, now),
        until,
    ]
}

fn as_json(offer: &OfferInfo) -> Value {
    let sample: Vec<Value> =
        offer.sample.iter().map(|(path, size)| json!({"path": path, "bytes": size})).collect();
    json!({
        "id": offer.transfer, "peer": offer.peer, "label": offer.label, "name": offer.name, "to": offer.to,
        "bytes": offer.bytes, "files": offer.files, "dirs": offer.dirs, "sample": sample,
        "asked": rfc3339(offer.asked), "until": rfc3339(offer.until), "accepted": offer.accepted,
    })
}

async fn answer(machine: &Machine, offer: String, accept: bool, only: Vec<String>, json: bool) -> Outcome {
    let only = only.iter().map(|path| safe(path)).collect::<Result<Vec<_>, _>>()?;
    let named = only.len();
    let local = machine.node_or_hall().await?;
    let request = InboxAnswer { leaf: None, offer, accept, only, ext: Ext::default() };
    let answered: Result<InboxAnswered, _> = local.client.ask(&request).await;
    local.close().await;
    let offer = answered?.offer;
    if json {
        let word = if accept { "accepted" } else { "rejected" };
        return Ok(output::json(&json!({"answer": word, "offer": as_json(&offer)}))?);
    }
    let (name, from) = (text::line(&place(&offer), NAME_CHARS), text::line(&peer(&offer), NAME_CHARS));
    let line = if accept && named > 0 {
        let size = size(offer.bytes);
        format!(
            "✓ of {name} ({size}) from {from} is accepted what you named: it comes when its sender is there"
        )
    } else if accept {
        format!("✓ {name} ({}) from {from} is accepted: it comes when its sender is there", size(offer.bytes))
    } else {
        format!("✓ {name} from {from} is rejected")
    };
    Ok(output::lines([line.as_str()])?)
}

fn safe(path: &str) -> Result<String, CliError> {
    SafePath::from_source(path.trim_end_matches('/'))
        .map(|path| path.to_string())
        .map_err(|error| CliError::usage(format!("{}: {error}", text::line(path, 200))))
}
