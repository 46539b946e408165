//! `rpc send-file`: files and directories into a peer's inbox.

use std::path::{Path, PathBuf};

use clankers_client::transfer::{Job, Looked, Selection, SendWish, look};
use clankers_protocol::{
    refusal::ExitKind,
    request::transfer::{
        EntryKind,
        keeping::{FileSend, FileSent, NotBegun, SendOptions, not_begun},
        with_limit_rate,
    },
    text,
    transfer::{SafePath, TransferId},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    carry::{Carrier, records, report_skipped, skipped_json},
    progress::size,
};
use crate::{
    args::SendFileArgs,
    error::{CliError, Outcome},
    local::{Machine, random},
    output,
};

/// Characters of a path in a list.
const PATH_CHARS: usize = 4096;

pub(crate) async fn run(machine: &Machine, args: SendFileArgs, json: bool) -> Outcome {
    let paths: Vec<PathBuf> = args.paths.iter().map(|path| absolute(path)).collect::<Result<_, _>>()?;
    let to = args.to.as_deref().map(directory).transpose()?.flatten();
    if args.dry_run {
        return dry_run(machine, &paths, &args, json).await;
    }
    if args.detach {
        return detach(machine, &paths, &args, to, json).await;
    }
    let mut carrier = Carrier::to(machine, &args.peer, json).await?;
    let mut done = Ok(());
    for path in paths {
        let wish = SendWish {
            peer: args.peer.clone(),
            path,
            to: to.clone(),
            on_conflict: args.on_conflict.into(),
            follow_links: args.follow_links,
            exclude: args.exclude.clone(),
            detached: false,
        };
        let one = send_one(&mut carrier, wish, args.limit_rate).await;
        let goes_on = one.as_ref().err().is_none_or(|error| error.kind == ExitKind::Failed);
        done = done.and(one);
        if !goes_on {
            break;
        }
    }
    carrier.close().await;
    done
}

async fn send_one(carrier: &mut Carrier<'_>, wish: SendWish, limit: Option<u64>) -> Outcome {
    let Some(subject) = carrier.subject() else {
        return Err(CliError::new(ExitKind::Unreachable, "the peer is not reached any more"));
    };
    let now = clankers_node::clock::now();
    let records = records(carrier.machine);
    let mut job = Job::send(&records, subject, wish, TransferId(random()?), now)?;
    job.limit(limit)?;
    carrier.carry(&mut job).await
}

/// The path as the record names it. What has no name of its own (`.`, `..`, `/a/..`) gets that of its directory.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    let shown = text::line(&path.to_string_lossy(), 200);
    let meta = std::fs::symlink_metadata(path).and_then(|_| std::fs::metadata(path));
    if let Err(error) = meta {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => ExitKind::NotFound,
            _ => ExitKind::Machine,
        };
        let error = CliError::new(kind, format!("cannot send {shown}: {error}"));
        return Err(if kind == ExitKind::NotFound {
            error.hint("see with 'ls' what there is")
        } else {
            error
        });
    }
    let named =
        path.components().next_back().is_some_and(|last| matches!(last, std::path::Component::Normal(_)));
    let absolute = if named { std::path::absolute(path) } else { std::fs::canonicalize(path) };
    absolute.map_err(|error| CliError::machine(format!("cannot send {shown}: {error}")))
}

/// A directory in the peer's inbox; `.` is the inbox itself.
fn directory(to: &str) -> Result<Option<String>, CliError> {
    let plain = to.trim_end_matches('/').trim_start_matches("./");
    if plain.is_empty() || plain == "." {
        return if to.starts_with('/') { Err(not_inside(to, "it is absolute")) } else { Ok(None) };
    }
    match SafePath::from_source(plain) {
        Ok(path) => Ok(Some(path.to_string())),
        Err(error) => Err(not_inside(to, &error.to_string())),
    }
}

fn not_inside(to: &str, why: &str) -> CliError {
    CliError::usage(format!("--to {}: {why}", text::line(to, 100)))
        .hint("--to names a directory inside your inbox there, such as photos/2026")
}

async fn dry_run(machine: &Machine, paths: &[PathBuf], args: &SendFileArgs, json: bool) -> Outcome {
    let (mut missed, mut left_out, mut bytes, mut files, mut dirs) = (false, 0_u64, 0_u64, 0_u32, 0_u32);
    for path in paths {
        let selection = Selection {
            excludes: args.exclude.clone(),
            follow_links: args.follow_links,
            never: Some(machine.home.root().to_owned()),
        };
        let looked = look(path.clone(), selection, &CancellationToken::new()).await?;
        missed |= looked.source().skipped().missed() > 0;
        left_out = left_out.saturating_add(looked.source().skipped().count());
        let totals = looked.manifest().totals();
        bytes = bytes.saturating_add(totals.bytes);
        (files, dirs) = (files.saturating_add(totals.files), dirs.saturating_add(totals.dirs));
        list(&looked, json)?;
    }
    if json {
        let total = json!({
            "type": "total", "files": files, "dirs": dirs, "bytes": bytes, "left_out": left_out,
        });
        output::json(&total)?;
    } else {
        let counted =
            |count: u32, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        let (files, dirs) = (counted(files, "file", "files"), counted(dirs, "directory", "directories"));
        let left = if left_out > 0 { format!("; {left_out} left out") } else { String::new() };
        let line = format!("{files} and {dirs}, {} in all{left}; nothing was sent", size(bytes));
        output::lines([line.as_str()])?;
    }
    if missed { Err(CliError::said(ExitKind::Failed)) } else { Ok(()) }
}

/// What a transfer would send.
fn list(looked: &Looked, json: bool) -> Outcome {
    let manifest = looked.manifest();
    for (index, entry) in manifest.iter() {
        let path = manifest.path(index).unwrap_or_default();
        if json {
            let kind = if entry.kind == EntryKind::Dir { "dir" } else { "file" };
            output::json(&json!({"type": "entry", "path": path, "kind": kind, "bytes": entry.size}))?;
        } else {
            let (size, slash) = match entry.kind {
                EntryKind::Dir => (String::new(), "/"),
                EntryKind::File => (size(entry.size), ""),
            };
            let line = format!("{size:>10}  {}{slash}", text::line(&path, PATH_CHARS));
            output::lines([line.as_str()])?;
        }
    }
    let skipped = looked.source().skipped();
    if json {
        return skipped_json(skipped);
    }
    report_skipped(skipped);
    Ok(())
}

/// Hands it to this machine's node.
async fn detach(
    machine: &Machine,
    paths: &[PathBuf],
    args: &SendFileArgs,
    to: Option<String>,
    json: bool,
) -> Outcome {
    let text = |path: &PathBuf| {
        path.to_str().map(str::to_owned).ok_or_else(|| {
            let shown = text::line(&path.to_string_lossy(), 200);
            CliError::usage(format!("cannot send {shown}: its name is not UTF-8"))
        })
    };
    let options = SendOptions {
        to,
        on_conflict: args.on_conflict.into(),
        follow_links: args.follow_links,
        exclude: args.exclude.clone(),
    };
    let paths = paths.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    hand_over(machine, &args.peer, paths, (options, args.limit_rate), json).await
}

/// Asks this machine's node to send, and says what it calls it.
async fn hand_over(
    machine: &Machine,
    peer: &str,
    paths: Vec<String>,
    (options, limit): (SendOptions, Option<u64>),
    json: bool,
) -> Outcome {
    let (local, asked) = (machine.node().await?, paths.len());
    let request = FileSend { leaf: None, peer: peer.to_owned(), paths, options, ext: with_limit_rate(limit) };
    let sent: Result<FileSent, _> = local.client.ask(&request).await;
    local.close().await;
    let sent = sent?;
    for transfer in &sent.transfers {
        told(transfer, json)?;
    }
    let left = asked.saturating_sub(sent.transfers.len());
    if left == 0 {
        return Ok(());
    }
    let words = match not_begun(&sent.ext) {
        Some(NotBegun { path, why }) => format!("{}: {}", text::line(&path, 200), text::line(&why, 300)),
        None => "the node does not say why".to_owned(),
    };
    Err(CliError::new(ExitKind::Failed, format!("{left} of {asked} were not begun: {words}"))
        .hint("the others are sent: see them with 'clankers rpc transfers'"))
}

/// The node is at it.
pub(crate) fn told(transfer: &TransferId, json: bool) -> Outcome {
    if json {
        return Ok(output::json(&json!({"type": "detached", "transfer": transfer}))?);
    }
    let line =
        format!("✓ the node sends it as {}: 'clankers rpc transfers' shows how far it is", transfer.short());
    Ok(output::lines([line.as_str()])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_the_inbox() {
        for (given, wanted) in [("a", "a"), ("a/b/", "a/b"), ("./a", "a"), ("e\u{301}", "é")] {
            assert_eq!(directory(given).unwrap().as_deref(), Some(wanted));
        }
        assert_eq!(directory(".").unwrap(), None);
        for bad in ["/etc", "..", "a/../..", "a//b", "/", "C:\\x", "\u{1b}[2J"] {
            let error = directory(bad).unwrap_err();
            assert_eq!((error.kind, error.hints.len()), (ExitKind::Usage, 1), "{bad:?}");
            assert!(!error.message.contains('\u{1b}'));
        }
    }

    #[test]
    fn paths_have_names() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        assert_eq!(absolute(&inner.join(".")).unwrap().file_name(), inner.file_name());
        assert_eq!(absolute(&inner.join("..")).unwrap(), dir.path().canonicalize().unwrap());
        let missing = absolute(&dir.path().join("x\u{1b}[2J")).unwrap_err();
        assert_eq!(missing.kind, ExitKind::NotFound);
        assert!(!missing.message.contains('\u{1b}'));
    }
}
