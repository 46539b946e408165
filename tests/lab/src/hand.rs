//! The commands of the program `lab`.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, ExitCode, ExitStatus},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use clankers_lab::{
    Lab, LabError, Setting,
    control::{Socket, ask, lines, serve},
    lab::Control,
    space, words,
};
use clap::{Args, Parser, Subcommand};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// Hosts in network namespaces, and links between them that misbehave as told.
#[derive(Debug, Parser)]
#[command(name = "lab", version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make hosts and links, and keep them while a command runs, or until Ctrl-C.
    Up(Box<Up>),
    /// Run a command on a host: `lab exec a -- ping b`.
    Exec {
        /// The host: a, b, c, ...
        host: String,
        /// Which lab, when several run.
        #[arg(long, env = "LAB")]
        lab: Option<String>,
        /// The command.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Change a running lab: `lab ctl set 'a->b' delay 50ms`, `lab ctl cut 5s`, `lab ctl move a 10.0.0.9`.
    Ctl {
        /// Which lab, when several run.
        #[arg(long, env = "LAB")]
        lab: Option<String>,
        /// set, clear, cut, heal, move, sleep, show, quit.
        #[arg(required = true, trailing_var_arg = true)]
        words: Vec<String>,
    },
    /// Running labs and their hosts.
    List,
    /// Remove what labs that were killed have left.
    Sweep,
}

#[derive(Debug, Args)]
struct Up {
    /// How many hosts: a, b, c, ... with 10.0.0.1, 10.0.0.2, ...
    #[arg(long, default_value_t = 2)]
    hosts: usize,
    /// What chance does: the same frames, the same decisions.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// IPv6 as well.
    #[arg(long)]
    ipv6: bool,
    /// MTU of the devices, bytes.
    #[arg(long, default_value_t = clankers_lab::limits::MTU_BYTES)]
    mtu: u16,
    /// Delay of each link, one way: 50ms.
    #[arg(long)]
    delay: Option<String>,
    /// The delay varies by so much: 5ms.
    #[arg(long)]
    jitter: Option<String>,
    /// Share of frames that are lost, each for itself: 1%.
    #[arg(long, conflicts_with = "bursts")]
    loss: Option<String>,
    /// Loss in bursts: chance to enter/leave one[/loss inside[/loss outside]]: 1%/25%.
    #[arg(long)]
    bursts: Option<String>,
    /// Bits a second: 100mbit.
    #[arg(long)]
    rate: Option<String>,
    /// What may wait for the rate: 64KiB.
    #[arg(long)]
    queue: Option<String>,
    /// Share of frames that are held back for so long, and overtaken: 5%/30ms.
    #[arg(long)]
    reorder: Option<String>,
    /// Share of frames that arrive twice: 1%.
    #[arg(long)]
    duplicate: Option<String>,
    /// Share of frames that arrive with a flipped bit: 0.1%.
    #[arg(long)]
    corrupt: Option<String>,
    /// A command to begin with, as for `lab ctl`; may be repeated: --with 'set a->b rate 1mbit'.
    #[arg(long)]
    with: Vec<String>,
    /// Commands to carry out meanwhile, one a line.
    #[arg(long)]
    script: Option<PathBuf>,
    /// Run the command on this host; else it runs outside, with LAB set, and calls `lab exec`.
    #[arg(long)]
    on: Option<String>,
    /// The command. Without one, commands are read from standard input, until `quit` or Ctrl-C.
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// Why a lab ends.
enum End {
    Signal(i32),
    Quit,
    Child(io::Result<ExitStatus>),
}

type Answer = Result<ExitCode, LabError>;

pub(crate) fn main() -> ExitCode {
    let done = match Arguments::parse().what {
        What::Up(up) => run(&up),
        What::Exec { host, lab, command } => exec(lab, &host, &command),
        What::Ctl { lab, words } => ctl(lab, &words),
        What::List => {
            space::living().iter().for_each(|(lab, host)| println!("{lab} {host}"));
            Ok(ExitCode::SUCCESS)
        }
        What::Sweep => {
            space::sweep().iter().for_each(|left| println!("removed {left}"));
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("✗ {error}");
        ExitCode::from(2)
    })
}

/// The lab that is meant: the named one, or the only one.
fn which(lab: Option<String>) -> Result<String, LabError> {
    let mut names: Vec<String> = space::living().into_iter().map(|(lab, _)| lab).collect();
    names.dedup();
    match (lab, &names[..]) {
        (Some(lab), names) if names.contains(&lab) => Ok(lab),
        (Some(lab), _) => {
            Err(io::Error::other(format!("no lab {lab} runs; `lab list` tells which do")).into())
        }
        (None, [one]) => Ok(one.clone()),
        (None, []) => Err(io::Error::other("no lab runs; start one with `lab up`").into()),
        (None, _) => Err(io::Error::other("several labs run; say which: --lab NAME (`lab list`)").into()),
    }
}

fn exec(lab: Option<String>, host: &str, command: &[OsString]) -> Answer {
    let lab = which(lab)?;
    let host = words::host_name(words::host(host, clankers_lab::limits::HOSTS)?);
    if !space::living().contains(&(lab.clone(), host.clone())) {
        return Err(io::Error::other(format!("{lab} has no host {host}; `lab list` tells")).into());
    }
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::Error::other("no command was given").into());
    };
    Err(space::on(&lab, &host, program).args(arguments).exec().into())
}

fn ctl(lab: Option<String>, words: &[String]) -> Answer {
    print!("{}", ask(&which(lab)?, &words.join(" "))?);
    Ok(ExitCode::SUCCESS)
}

impl Up {
    fn setting(&self) -> Result<Setting, LabError> {
        let mut setting = Setting::default();
        for (key, value) in [
            ("delay", &self.delay),
            ("jitter", &self.jitter),
            ("loss", &self.loss),
            ("bursts", &self.bursts),
            ("rate", &self.rate),
            ("queue", &self.queue),
            ("reorder", &self.reorder),
            ("duplicate", &self.duplicate),
            ("corrupt", &self.corrupt),
        ] {
            if let Some(value) = value {
                words::change(&mut setting, key, value)?;
            }
        }
        Ok(setting)
    }

    /// The command, on its host or outside.
    fn child(&self, lab: &Lab) -> Result<Option<Command>, LabError> {
        let Some((program, arguments)) = self.command.split_first() else { return Ok(None) };
        let mut command = match &self.on {
            Some(host) => lab.host(words::host(host, self.hosts)?).command(program),
            None => Command::new(program),
        };
        command.args(arguments).env("LAB", lab.name());
        Ok(Some(command))
    }
}

/// Both ends of a lab's story: who makes it end, and who waits for it.
fn ends() -> io::Result<(SyncSender<End>, Receiver<End>)> {
    let (tell, wait) = sync_channel(16);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let caught = tell.clone();
    thread::spawn(move || signals.forever().try_for_each(|signal| caught.send(End::Signal(signal))));
    Ok((tell, wait))
}

fn run(up: &Up) -> Answer {
    // Before there is anything to clean up.
    let (tell, wait) = ends()?;
    let lab = Lab::builder().hosts(up.hosts).seed(up.seed).setting(up.setting()?).ipv6(up.ipv6).mtu(up.mtu);
    let lab = lab.try_start()?;
    let control = lab.control();
    for line in &up.with {
        control.run(line)?;
    }
    let _socket = listen(&lab, &tell)?;
    eprintln!("✓ {}: {}", lab.name(), people(&lab));
    if let Some(script) = &up.script {
        let text = fs::read_to_string(script)?;
        text.lines().try_for_each(|line| words::command(line, up.hosts).map(drop))?;
        let (control, tell) = (control.clone(), tell.clone());
        thread::spawn(move || obey(io::Cursor::new(text), &control, &tell));
    }
    let child = match up.child(&lab)? {
        Some(mut command) => Some(command.spawn()?),
        None => {
            let tell = tell.clone();
            thread::spawn(move || obey(io::stdin().lock(), &control, &tell));
            None
        }
    };
    Ok(watch(child, &tell, &wait))
}

fn people(lab: &Lab) -> String {
    let name = |index| format!("{} {}", lab.host(index).name(), lab.host(index).address());
    (0..lab.hosts()).map(name).collect::<Vec<_>>().join(", ")
}

fn listen(lab: &Lab, tell: &SyncSender<End>) -> io::Result<Socket> {
    let tell = tell.clone();
    serve(lab.name(), lab.control(), move || {
        // The main thread may have other reasons already.
        let _ended = tell.send(End::Quit);
    })
}

/// Carries out line by line what a script or a person says. The end of it is not the end of the lab.
fn obey(from: impl io::BufRead, control: &Control, tell: &SyncSender<End>) {
    let done = lines(from, |line| {
        match control.run(line) {
            Ok(words) => print!("{words}"),
            Err(error) => eprintln!("! {error}"),
        }
        if line.trim() == "quit" {
            let _ended = tell.send(End::Quit);
        }
        Ok(())
    });
    if let Err(error) = done {
        eprintln!("! {error}");
    }
}

/// Waits until the command has ended, or somebody wants the end.
fn watch(child: Option<Child>, tell: &SyncSender<End>, wait: &Receiver<End>) -> ExitCode {
    let id = child.as_ref().map(Child::id);
    if let Some(mut child) = child {
        let tell = tell.clone();
        thread::spawn(move || tell.send(End::Child(child.wait())));
    }
    while let Ok(end) = wait.recv() {
        match end {
            End::Child(Ok(status)) => {
                let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
                return u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from);
            }
            End::Child(Err(_)) => return ExitCode::FAILURE,
            // Ctrl-C reaches the command as well: what it makes of it decides.
            End::Signal(SIGINT) if id.is_some() => {}
            End::Signal(signal) => {
                terminate(id);
                return u8::try_from(128 + signal).map_or(ExitCode::FAILURE, ExitCode::from);
            }
            End::Quit => {
                terminate(id);
                return ExitCode::SUCCESS;
            }
        }
    }
    ExitCode::FAILURE
}

fn terminate(id: Option<u32>) {
    if let Some(pid) = id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        let _gone = kill_process(pid, Signal::TERM);
    }
}
