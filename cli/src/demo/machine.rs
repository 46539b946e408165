//! The stage: three machines in temporary directories, and commands run on them for real.

use std::{
    io::Write,
    net::{Ipv4Addr, UdpSocket},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use clankers_protocol::text::Clean;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::unix::pipe,
    process::{Child, Command},
};

use crate::{
    error::{CliError, Outcome},
    output,
};

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
    pub(super) friend: Machine,
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
        let (desk, laptop) = (machine("desk")?, machine("laptop")?);
        Ok(Self { desk, laptop, friend: machine("friend")?, dir })
    }

    /// Stops what runs, whatever state it is in, and clears up; says where the homes are when they are kept.
    pub(super) async fn strike(self, keep: bool) -> Option<PathBuf> {
        for machine in [&self.friend, &self.laptop, &self.desk] {
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
    /// Where its node keeps everything.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

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

    /// Begins `clankers ARGS` here, shown as a person would type it, and waits until it has said `ready`.
    pub(super) async fn begin(&mut self, args: &[&str], ready: &str) -> Result<Watching, CliError> {
        let words: Vec<String> = args.iter().map(|word| quoted(word)).collect();
        let words = words.join(" ");
        output::lines([format!("{}$ clankers {words}", self.name).as_str()])?;
        // One pipe for both: what it says and what it prints is shown in the order in which it came.
        let (said, all) = std::io::pipe()?;
        let mut command = self.command(args);
        let child = command.stdout(all.try_clone()?).stderr(all).spawn()?;
        drop(command);
        let said = pipe::Receiver::from_owned_fd(said.into())?;
        let mut watching = Watching { child, said, words };
        let _before_its_end = watching.until(ready).await?;
        Ok(watching)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(&self.project).kill_on_drop(true);
        for name in CLEARED {
            command.env_remove(name);
        }
        command.env("HOME", &self.user_home).env("CLANKERS_HOME", &self.home);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn run(&self, args: &[&str], shown: bool) -> Result<Ran, CliError> {
        let mut child = self.command(args).spawn()?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let (stdout, stderr, status) = tokio::join!(
                tee(out, shown.then_some(Show::AsItComes)),
                tee(err, shown.then_some(Show::WholeLines)),
                child.wait()
            );
            Ok::<_, CliError>(Ran { stdout: stdout?, stderr: stderr?, status: status? })
        };
        tokio::time::timeout(COMMAND_TIMEOUT, work).await.unwrap_or_else(|_| Err(late(&args.join(" "))))
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
        if let Some(pid) =
            holder().and_then(|h| h.pid).and_then(|p| i32::try_from(p).ok()).and_then(Pid::from_raw)
        {
            // It may have ended meanwhile, which is what is wanted.
            let _killed = kill_process(pid, Signal::KILL);
        }
    }
}

fn late(words: &str) -> CliError {
    let words = format!("'clankers {words}' took more than {} s", COMMAND_TIMEOUT.as_secs());
    CliError::new(clankers_protocol::refusal::ExitKind::Timeout, words)
}

/// A command that goes on while others run. What it says meanwhile is shown at its end: not amid their words.
pub(super) struct Watching {
    child: Child,
    said: pipe::Receiver,
    words: String,
}

impl Watching {
    /// Shows what comes until a whole line with `wanted` is among it. Whether that came before its end.
    pub(super) async fn until(&mut self, wanted: &str) -> Result<bool, CliError> {
        let from = &mut self.said;
        let work = async {
            let mut said = Vec::new();
            let mut piece = vec![0; PIECE_BYTES];
            let is_there = |said: &[u8]| {
                let text = String::from_utf8_lossy(said);
                text.split_inclusive('\n').any(|line| line.ends_with('\n') && line.contains(wanted))
            };
            while !is_there(&said) && said.len() < KEPT_BYTES {
                let read = from.read(&mut piece).await?;
                let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
                said.extend_from_slice(bytes);
            }
            let (there, all) = (is_there(&said), said.len());
            show(&mut said, all).map(|()| there)
        };
        Ok(tokio::time::timeout(COMMAND_TIMEOUT, work).await.map_err(|_| late(&self.words))??)
    }

    /// `kill -9`; waits until it is gone.
    pub(super) async fn kill(mut self) -> Outcome {
        Ok(self.child.kill().await?)
    }

    /// Ctrl-C at its terminal.
    pub(super) fn interrupt(&self) -> Outcome {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| late(&self.words))?;
        Ok(kill_process(pid, Signal::INT).map_err(std::io::Error::from)?)
    }

    /// Waits for its end, and shows the rest; all of that is `stdout`.
    pub(super) async fn finish(mut self) -> Result<Ran, CliError> {
        let work = async {
            let said = tee(Some(self.said), Some(Show::WholeLines));
            let (said, status) = tokio::join!(said, self.child.wait());
            Ok::<_, CliError>(Ran { stdout: said?, stderr: String::new(), status: status? })
        };
        tokio::time::timeout(COMMAND_TIMEOUT, work).await.unwrap_or_else(|_| Err(late(&self.words)))
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
