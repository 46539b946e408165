//! The demo's step on files: refused, offered, killed halfway, resumed, verified.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clankers_protocol::refusal::ExitKind;
use serde_json::Value;

use super::{
    machine::{Machine, Stage, Watching},
    steps::{check, exits, ok, say, step, text},
};
use crate::error::{CliError, Outcome};

/// The large file of the directory that is sent (MiB).
const LARGE_MIB: usize = 96;
/// How fast it is sent when it is to be killed: it takes six seconds, however quick the machine is.
const SLOWLY: &str = "16MiB";
/// How much of it has arrived when the sender is killed (MiB).
const KILL_AT_MIB: u64 = 24;
/// A record in the receiver's journal for each MiB that it has (bytes).
const JOURNAL_RECORD: u64 = 64;
/// How often the receiver's directory is looked at (time).
const POLL: Duration = Duration::from_millis(1);
/// How long something may take to be seen (time).
const SEEN: Duration = Duration::from_secs(15);

/// Plays it.
pub(super) async fn play(stage: &mut Stage) -> Outcome {
    step(9, "Files: the laptop sends a directory to the desk. Without a right to that, nothing is written")?;
    let photos = stage.laptop.project.join("photos");
    make(&photos)?;
    let ran = stage.laptop.clankers(&["rpc", "send-file", "desk", "photos"]).await?;
    exits(&ran, ExitKind::Denied, "a directory without a token is refused")?;
    check(received(&stage.desk)?.is_empty(), "nothing was written")?;
    say("With a token to offer, the desk's owner is asked, and takes it:")?;
    allow(stage, "--offer").await?;
    let notes = stage.laptop.project.join("notes.txt");
    fs::write(&notes, "milk, bread, a longer cable\n")?;
    let waiting = stage.laptop.begin(&["rpc", "send-file", "desk", "notes.txt"], "it waits").await?;
    let offers = stage.desk.ask(&["inbox", "list", "--json"]).await?;
    ok(stage.desk.clankers(&["inbox", "list"]).await?, "the offer waits")?;
    let offer = text(offers.get(0).unwrap_or(&Value::Null), "id")?;
    ok(stage.desk.clankers(&["inbox", "accept", offer.as_str()]).await?, "the offer is taken")?;
    ok(waiting.finish().await?, "what was offered arrives")?;
    say("With a token to send, it goes at once. It is killed halfway, and begun again:")?;
    allow(stage, "--drop").await?;
    let slowly = ["rpc", "send-file", "desk", "photos", "--limit-rate", SLOWLY];
    let sending = stage.laptop.begin(&slowly, "photos").await?;
    killed_halfway(stage, sending).await?;
    let ran = ok(
        stage.laptop.clankers(&["rpc", "send-file", "desk", "photos", "--json"]).await?,
        "the rest is sent",
    )?;
    let last = ran.stdout.lines().last().unwrap_or_default();
    let receipt: Value = serde_json::from_str(last).unwrap_or_default();
    let number = |key: &str| receipt.get(key).and_then(Value::as_u64).unwrap_or(u64::MAX);
    check(number("sent_bytes") < number("bytes") - KILL_AT_MIB / 2 * 1024 * 1024, "only the rest was sent")?;
    let arrived = received(&stage.desk)?.into_iter().find(|path| path.ends_with("photos"));
    let arrived = arrived.ok_or_else(|| super::steps::failed("the directory is in the inbox"))?;
    check(same(&photos, &arrived)?, "what arrived is what was sent, byte for byte")?;
    check(
        text(&receipt, "root")? == listing_root(&arrived)?,
        "its BLAKE3, worked out anew, is the receipt's",
    )?;
    say("(the same bytes; the receipt's BLAKE3 is that of what lies in the inbox)")
}

async fn allow(stage: &mut Stage, what: &str) -> Outcome {
    let laptop = text(&stage.laptop.ask(&["rpc", "id", "--json"]).await?, "id")?;
    let ran = stage.desk.clankers(&["token", "create", "--for", laptop.as_str(), what]).await?;
    fs::write(stage.laptop.project.join("files.token"), ok(ran, "a token is made")?.stdout)?;
    ok(stage.laptop.clankers(&["token", "import", "files.token"]).await?, "the laptop keeps it").map(drop)
}

/// Kills the sender once a part has arrived, and waits until the desk has noticed.
async fn killed_halfway(stage: &Stage, sending: Watching) -> Outcome {
    let begun = Instant::now();
    while journal_bytes(&stage.desk)? < KILL_AT_MIB * JOURNAL_RECORD {
        check(begun.elapsed() < SEEN, "a part arrives")?;
        tokio::time::sleep(POLL).await;
    }
    sending.kill().await?;
    say("(killed with SIGKILL)")?;
    check(
        !received(&stage.desk)?.iter().any(|path| path.ends_with("photos")),
        "what is not whole has no name yet",
    )
}

/// What has a name in the desk's inbox.
fn received(desk: &Machine) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for peer in entries(&desk.home().join("inbox"))? {
        all.extend(entries(&peer)?.into_iter().filter(|path| !hidden(path)));
    }
    Ok(all)
}

/// The longest journal among what is under way to the desk (bytes).
fn journal_bytes(desk: &Machine) -> io::Result<u64> {
    let mut longest = 0;
    for peer in entries(&desk.home().join("inbox"))? {
        for hidden in entries(&peer)?.into_iter().filter(|path| hidden(path)) {
            for part in entries(&hidden)? {
                longest = longest.max(fs::metadata(part.join("journal")).map_or(0, |meta| meta.len()));
            }
        }
    }
    Ok(longest)
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// What is in a directory, in order; nothing when it is not there, or not one.
fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let Ok(listed) = fs::read_dir(dir) else { return Ok(Vec::new()) };
    let mut paths = listed.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// A directory as people have them: one large file, some small ones beneath it.
fn make(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir.join("small"))?;
    let mut large = fs::File::create(dir.join("film.raw"))?;
    let mut bytes = blake3::Hasher::new().update(b"the demo's film").finalize_xof();
    let mut piece = vec![0; 1024 * 1024];
    for _ in 0..LARGE_MIB {
        bytes.fill(&mut piece);
        large.write_all(&piece)?;
    }
    for number in 0..20 {
        fs::write(dir.join(format!("small/{number}.txt")), format!("picture {number}\n"))?;
    }
    Ok(())
}

/// All files beneath a directory by their paths in it, in the order of those.
fn files(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let (mut found, mut open) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(next) = open.pop() {
        for path in entries(&next)? {
            if path.is_dir() {
                open.push(path);
            } else if let Ok(below) = path.strip_prefix(dir) {
                found.push((below.to_string_lossy().into_owned(), path));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn same(sent: &Path, arrived: &Path) -> io::Result<bool> {
    let (sent, arrived) = (files(sent)?, files(arrived)?);
    if !sent.iter().map(|(name, _)| name).eq(arrived.iter().map(|(name, _)| name)) {
        return Ok(false);
    }
    for ((_, a), (_, b)) in sent.iter().zip(&arrived) {
        if fs::read(a)? != fs::read(b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What `b3sum` of all files, in order, hashed once more gives: the root of a directory.
fn listing_root(dir: &Path) -> Result<String, CliError> {
    let mut list = String::new();
    for (name, path) in files(dir)? {
        writeln!(list, "{}  {name}", blake3::hash(&fs::read(path)?).to_hex())
            .map_err(|error| CliError::machine(error.to_string()))?;
    }
    Ok(blake3::hash(list.as_bytes()).to_hex().to_string())
}
