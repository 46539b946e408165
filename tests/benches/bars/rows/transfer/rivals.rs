//! sendme and rsync over ssh, as a person would use them on one machine.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use clankers_tests::{
    NodeHome,
    process::{Input, Process},
    wait,
};

use super::corpus::Corpus;
use crate::{
    limits::{PATIENCE, TRANSFER_PATIENCE},
    peers::Lab,
};

/// The path of a sendme.
const SENDME: &str = "CLANKERS_BENCH_SENDME";

/// sendme without relays: both sides begin, and both end.
pub(crate) struct Sendme {
    program: PathBuf,
    homes: [NodeHome; 2],
}

impl Sendme {
    /// The one that the environment names.
    pub(crate) fn find(lab: &Lab) -> Option<Self> {
        let Some(program) = env::var_os(SENDME).map(PathBuf::from) else {
            eprintln!("  (not beside sendme: {SENDME} names none)");
            return None;
        };
        assert!(program.is_file(), "{SENDME}: there is no {}", program.display());
        Some(Self { program, homes: [lab.home(), lab.home()] })
    }

    /// The same with homes whose programs run elsewhere.
    pub(crate) fn on(program: PathBuf, homes: [NodeHome; 2]) -> Self {
        Self { program, homes }
    }

    pub(crate) fn program() -> Option<PathBuf> {
        env::var_os(SENDME).map(PathBuf::from)
    }

    fn command(&self, side: usize, dir: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        self.homes[side].furnish(&mut command);
        command.current_dir(dir).args(arguments);
        command
    }

    /// One transfer, from the sender's spawn to the receiver's end.
    pub(crate) fn send(&self, path: &Path, corpus: &Corpus) -> Duration {
        self.race(path, corpus, |command, _| command)
    }

    /// The same with each command carried to its host.
    pub(crate) fn race(
        &self,
        path: &Path,
        corpus: &Corpus,
        carry: impl Fn(Command, usize) -> Command,
    ) -> Duration {
        let (from, to) = (corpus.dir("sendme-from"), corpus.dir("sendme-to"));
        let path = path.to_str().expect("a path of text");
        let words = ["send", "--relay", "disabled", "--ticket-type", "addresses", "--no-progress", path];
        let began = Instant::now();
        let sender = Process::spawn(carry(self.command(0, &from, &words), 0), Input::Open);
        let ticket = wait::until("sendme's ticket", PATIENCE, || {
            let text = sender.stdout().text();
            let (_, said) = text.split_once("sendme receive ")?;
            said.split_whitespace().next().map(str::to_owned)
        });
        let words = ["receive", "--relay", "disabled", "--no-progress", &ticket];
        let receiver = Process::spawn(carry(self.command(1, &to, &words), 1), Input::Nothing);
        let exit = receiver.wait(TRANSFER_PATIENCE).filter(|exit| exit.code == Some(0));
        let took = began.elapsed();
        assert!(exit.is_some(), "{}\n{}", receiver.story(), sender.story());
        drop(sender);
        for dir in [from, to] {
            fs::remove_dir_all(dir).expect("removed");
        }
        took
    }
}

/// rsync over an sshd of its own on loopback, with keys made for it.
pub(crate) struct Rsync {
    to: PathBuf,
    shell: String,
    _server: Process,
}

impl Rsync {
    /// Starts the sshd; `None`, with the reason on standard error, where that does not work.
    pub(crate) fn start(corpus: &Corpus) -> Option<Self> {
        match Self::try_start(corpus) {
            Ok(rsync) => Some(rsync),
            Err(why) => {
                eprintln!("  (not beside rsync: {why})");
                None
            }
        }
    }

    fn try_start(corpus: &Corpus) -> Result<Self, String> {
        let dir = corpus.dir("ssh");
        for name in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(name));
            let made = keygen.output().map_err(|error| format!("no ssh-keygen: {error}"))?;
            if !made.status.success() {
                return Err(String::from_utf8_lossy(&made.stderr).into_owned());
            }
        }
        fs::copy(dir.join("user.pub"), dir.join("authorized")).map_err(|error| error.to_string())?;
        if rustix::process::geteuid().is_root() {
            // Where sshd wants to lock itself up before anybody has logged in.
            let _there = fs::create_dir("/run/sshd");
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .map_err(|error| error.to_string())?
            .port();
        let shown = dir.display();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {shown}/host\nAuthorizedKeysFile {shown}/authorized\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPidFile none\n"
        );
        fs::write(dir.join("config"), config).map_err(|error| error.to_string())?;
        let sshd = ["/usr/sbin/sshd", "/usr/bin/sshd"].into_iter().find(|path| Path::new(path).exists());
        let mut server = Command::new(sshd.ok_or("no sshd")?);
        server.args(["-D", "-e", "-f"]).arg(dir.join("config"));
        let server = Process::spawn(server, Input::Nothing);
        let listening = wait::try_until(PATIENCE, || {
            let ended = server.exit().map(|_| false);
            ended.or_else(|| server.stderr().text().contains("Server listening").then_some(true))
        });
        if listening != Some(true) {
            return Err(server.story());
        }
        let shell = format!(
            "ssh -p {port} -i {shown}/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
             -o LogLevel=ERROR -o IdentitiesOnly=yes"
        );
        let rsync = Self { to: corpus.dir("rsync"), shell, _server: server };
        let probe = rsync.run(&dir.join("authorized"));
        probe.map(|_| rsync)
    }

    /// One transfer, of the whole process.
    pub(crate) fn send(&self, path: &Path) -> Duration {
        let took = self.run(path).unwrap_or_else(|why| panic!("{why}"));
        fs::remove_dir_all(&self.to).and_then(|()| fs::create_dir(&self.to)).expect("emptied");
        took
    }

    fn run(&self, path: &Path) -> Result<Duration, String> {
        let mut command = Command::new("rsync");
        let to = format!("127.0.0.1:{}/", self.to.display());
        command.args(["-a", "-e", &self.shell]).arg(path).arg(to);
        if Command::new("rsync").arg("--version").output().is_err() {
            return Err("no rsync".to_owned());
        }
        let process = Process::spawn(command, Input::Nothing);
        let exit = process.wait(TRANSFER_PATIENCE).filter(|exit| exit.code == Some(0));
        exit.map(|exit| exit.took).ok_or_else(|| process.story())
    }
}
