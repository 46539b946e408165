//! The stage: two machines in temporary directories, and commands run on them for real.

use std::{
    io::Write,
    net::{Ipv4Addr, UdpSocket},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use clankers_protocol::text::Clean;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

use crate::{error::CliError, output};

/// How long one command of the demo may take (time).
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes read from a command at a time.
const PIECE_BYTES: usize = 8 * 1024;
/// Bytes of a command's output that are kept to be looked at; all of it is shown.
const KEPT_BYTES: usize = 256 * 1024;
/// Variables of the caller's environment that would change what the demo does.
const CLEARED: &[&str] = &[
    "CLANKERS_HOME",
    "CLANKERS_MODEL",
    "CLANKERS_SCRIPT",
    "CLANKERS_LOG",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
];

/// Everything the demo makes.
pub(super) struct Stage {
    dir: TempDir,
    pub(super) desk: Machine,
    pub(super) laptop: Machine,
}

/// One machine: a home, and a directory to stand in.
pub(super) struct Machine {
    pub(super) name: &'static str,
    home: PathBuf,
    user_home: PathBuf,
    pub(super) project: PathBuf,
    program: PathBuf,
}

/// What a command did.
pub(super) struct Ran {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Stage {
    /// Makes both machines.
    pub(super) fn set() -> Result<Self, CliError> {
        let dir = tempfile::Builder::new().prefix("clankers-demo-").tempdir()?;
        let program = std::env::current_exe()?;
        // A port of its own keeps the demo's mDNS apart from the network's.
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let machine = |name: &'static str| -> Result<Machine, CliError> {
            let user_home = dir.path().join(name);
            let project = user_home.join("project");
            let home = user_home.join(".clankers");
            std::fs::create_dir_all(&project)?;
            std::fs::create_dir_all(&home)?;
            write_settings(&home, name, port)?;
            Ok(Machine { name, home, user_home, project, program: program.clone() })
        };
        Ok(Self { desk: machine("desk")?, laptop: machine("laptop")?, dir })
    }

    /// Stops what runs, whatever state it is in, and clears up; says where the homes are when they are kept.
    pub(super) async fn strike(self, keep: bool) -> Option<PathBuf> {
        for machine in [&self.laptop, &self.desk] {
            machine.put_out().await;
        }
        keep.then(|| self.dir.keep())
    }
}

fn write_settings(home: &Path, label: &str, mdns_port: u16) -> std::io::Result<()> {
    let script = home.join("script.toml");
    let settings = format!(
        "label = \"{label}\"\nmodel = \"scripted\"\n\n[network]\nmdns_port = {mdns_port}\n\n\
         [models.scripted]\npath = {:?}\n",
        script.display().to_string()
    );
    std::fs::write(home.join("settings.toml"), settings)?;
    std::fs::write(script, include_str!("script.toml"))
}

impl Machine {
    /// Runs `clankers ARGS` here, shown as a person would type it, with its output as it comes.
    pub(super) async fn clankers(&mut self, args: &[&str]) -> Result<Ran, CliError> {
        let words: Vec<String> = args.iter().map(|word| quoted(word)).collect();
        output::lines([format!("{}$ clankers {}", self.name, words.join(" ")).as_str()])?;
        self.run(args, true).await
    }

    /// Runs `clankers ARGS` here without showing it: only to look at something.
    pub(super) async fn ask(&self, args: &[&str]) -> Result<Value, CliError> {
        let ran = self.run(args, false).await?;
        serde_json::from_str(ran.stdout.trim()).map_err(|_| {
            CliError::new(
                clankers_protocol::refusal::ExitKind::Failed,
                format!("{} said: {}", args.join(" "), ran.stderr),
            )
        })
    }

    async fn run(&self, args: &[&str], shown: bool) -> Result<Ran, CliError> {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(&self.project).kill_on_drop(true);
        for name in CLEARED {
            command.env_remove(name);
        }
        command.env("HOME", &self.user_home).env("CLANKERS_HOME", &self.home);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let (stdout, stderr, status) = tokio::join!(
                tee(out, shown.then_some(Show::AsItComes)),
                tee(err, shown.then_some(Show::WholeLines)),
                child.wait()
            );
            Ok::<_, CliError>(Ran { stdout: stdout?, stderr: stderr?, status: status? })
        };
        tokio::time::timeout(COMMAND_TIMEOUT, work).await.unwrap_or_else(|_| {
            let words =
                format!("'clankers {}' took more than {} s", args.join(" "), COMMAND_TIMEOUT.as_secs());
            Err(CliError::new(clankers_protocol::refusal::ExitKind::Timeout, words))
        })
    }

    /// Ends this machine's node, politely or not.
    async fn put_out(&self) {
        let Ok(home) = clankers_node::store::Home::open(&self.home) else { return };
        let holder = || clankers_node::store::holder(&home).ok().flatten();
        if holder().is_none() {
            return;
        }
        let stopped = self.run(&["daemon", "stop"], false).await;
        if stopped.is_ok_and(|ran| ran.status.success()) {
            return;
        }
        if let Some(pid) = holder()
            .and_then(|h| h.pid)
            .and_then(|p| i32::try_from(p).ok())
            .and_then(rustix::process::Pid::from_raw)
        {
            // It may have ended meanwhile, which is what is wanted.
            let _killed = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// How what comes is shown. Two streams of one command share the terminal: talk must not run into a line of data.
#[derive(Clone, Copy)]
enum Show {
    AsItComes,
    WholeLines,
}

/// Shows what comes and keeps it.
async fn tee(from: Option<impl AsyncRead + Unpin>, shown: Option<Show>) -> std::io::Result<String> {
    let Some(mut from) = from else { return Ok(String::new()) };
    let mut kept = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut waiting: Vec<u8> = Vec::new();
    loop {
        let read = from.read(&mut piece).await?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        kept.extend(bytes.iter().take(KEPT_BYTES.saturating_sub(kept.len())));
        if let Some(how) = shown {
            waiting.extend_from_slice(bytes);
            let ready = match how {
                Show::AsItComes => waiting.len(),
                Show::WholeLines => waiting.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1),
            };
            show(&mut waiting, ready)?;
        }
    }
    let rest = waiting.len();
    show(&mut waiting, rest)?;
    Ok(String::from_utf8_lossy(&kept).into_owned())
}

/// Shows the whole characters among the first `ready` bytes of what has come.
fn show(waiting: &mut Vec<u8>, ready: usize) -> std::io::Result<()> {
    let whole = match std::str::from_utf8(waiting.get(..ready).unwrap_or_default()) {
        Ok(_) => ready,
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => ready,
    };
    let text: Vec<u8> = waiting.drain(..whole).collect();
    let mut out = std::io::stdout().lock();
    out.write_all(Clean::block(&String::from_utf8_lossy(&text)).as_str().as_bytes())?;
    out.flush()
}

/// A word as a shell wants it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("--for"), "--for");
        assert_eq!(quoted("Which TODOs?"), "'Which TODOs?'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
