//! The one binary: words in, requests out. The command line is just another peer of a node.
//!
//! - [`args`]: the words and flags; others script against them
//! - [`local`] and [`remote`]: whoever answers, here or elsewhere
//! - [`commands`]: one file for each family
//! - [`demo`]: the main job, shown with real commands
//! - [`error`]: the one error, whose kind is the exit code

mod args;
mod commands;
mod demo;
mod error;
mod local;
mod log;
mod output;
mod pools;
mod remote;
mod signals;
mod skew;
mod when;

use std::process::ExitCode;

use clankers_node::store::Home;
use clap::Parser;

use crate::{
    args::{Cli, Command, DaemonCommand, Mode, RpcCommand, StartArgs},
    error::{CliError, Outcome},
};

fn main() -> ExitCode {
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    if cli.json {
        // For a prompt, answers as JSON are its events.
        cli.prompting.mode = Mode::Json;
        if let Some(Command::Attach(attach)) = &mut cli.command {
            attach.mode = Mode::Json;
        }
        if let Some(Command::Rpc(RpcCommand::Prompt { prompting, .. })) = &mut cli.command {
            prompting.mode = Mode::Json;
        }
    }
    let prompting = match &cli.command {
        Some(Command::Rpc(RpcCommand::Prompt { prompting, .. })) => Some(&**prompting),
        None => Some(&cli.prompting),
        _ => None,
    };
    let attaching = match &cli.command {
        Some(Command::Attach(attach)) => Some(attach.mode),
        _ => None,
    };
    let shows = cli.command.as_ref().is_some_and(Command::only_shows);
    let json = cli.json || prompting.map(|p| p.mode).or(attaching) == Some(Mode::Json);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads a list may stop when they have seen enough of it.
        Err(error) if error.unread && shows => ExitCode::SUCCESS,
        // The reader of our output is gone, or has read the answer there.
        Err(error) if error.silent => ExitCode::from(exit(&error)),
        Err(error) => {
            error.print(json);
            ExitCode::from(exit(&error))
        }
    }
}

fn exit(error: &CliError) -> u8 {
    u8::try_from(error.kind as i32).unwrap_or(1)
}

/// What clap has to say; with `--json` among the words, as JSON.
fn usage(error: &clap::Error) -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if words.iter().any(|word| word == "set-key") && error.kind() == clap::error::ErrorKind::UnknownArgument {
        // What it does not know may be the key: it is not said again.
        let refused =
            CliError::usage("'auth set-key PROVIDER' takes nothing else: the key comes on standard input")
                .hint("for example: clankers auth set-key openai < key.txt")
                .hint("a key that stood in a command is in the shell's history now: make a new one");
        refused.print(words.iter().any(|word| word == "--json"));
        return ExitCode::from(2);
    }
    let mode_json = words.windows(2).any(|pair| pair == ["--mode", "json"]);
    let asked_json = mode_json || words.iter().any(|word| word == "--json" || word == "--mode=json");
    if error.use_stderr() && asked_json {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        CliError::usage(message).hint("see --help").print(true);
    } else {
        // Nothing can be done when the terminal is gone.
        let _printed = error.print();
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

fn run(cli: Cli) -> Outcome {
    // One thread serves a command; a node, and files on their way, get the machine's cores.
    let serves = matches!(
        cli.command,
        Some(
            Command::Daemon(DaemonCommand::Start(_))
                | Command::Rpc(RpcCommand::Start(_) | RpcCommand::SendFile(_) | RpcCommand::GetFile(_))
        )
    );
    if let Some(
        Command::Daemon(DaemonCommand::Start(StartArgs { detach: false, .. }))
        | Command::Rpc(RpcCommand::Start(_)),
    ) = &cli.command
    {
        pools::share_one();
    }
    let mut builder = if serves {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = builder.enable_all().build().map_err(CliError::machine)?;
    let done = runtime.block_on(dispatch(cli));
    // What still blocks (a DNS look-up, a read from the terminal) must not hold the prompt up.
    runtime.shutdown_background();
    done
}

/// Whether a prompt is really the next option: `-p --json`.
fn is_option(text: &str) -> bool {
    let Some(name) = text.strip_prefix("--") else { return false };
    matches!(name, "help" | "version")
        || <Cli as clap::CommandFactory>::command().get_arguments().any(|arg| arg.get_long() == Some(name))
}

/// A flag of a prompt that stands in the command line.
fn given_without_a_prompt() -> Option<String> {
    use clap::{Args as _, CommandFactory as _, parser::ValueSource};
    let matches = Cli::command().try_get_matches().ok()?;
    let prompting = crate::args::PromptArgs::augment_args(clap::Command::new("prompt"));
    let given =
        |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let given = prompting.get_arguments().find(given)?;
    Some(format!("--{}", given.get_long().unwrap_or_default()))
}

async fn dispatch(cli: Cli) -> Outcome {
    if cli.command.is_some() && cli.prompt.is_some() {
        return Err(CliError::usage("give a command, or a prompt with -p, not both"));
    }
    let home = || open_home(cli.home.as_deref());
    match cli.command {
        Some(Command::Demo(args)) => demo::run(args).await,
        Some(Command::Daemon(command)) => commands::daemon::run(home()?, command, cli.json).await,
        Some(Command::Rpc(RpcCommand::Start(network))) => {
            commands::daemon::foreground(home()?, network, cli.json).await
        }
        Some(Command::Rpc(command)) => commands::rpc::run(home()?, command, cli.json).await,
        Some(Command::Attach(args)) => Box::pin(commands::attach::run(home()?, args)).await,
        Some(Command::Wait(args)) => commands::wait::run(home()?, args, cli.json).await,
        Some(Command::Ps(args)) => commands::ps::run(home()?, args, cli.json).await,
        Some(Command::Session(command)) => commands::session::run(home()?, command, cli.json).await,
        Some(Command::Token(command)) => Box::pin(commands::token::run(home()?, command, cli.json)).await,
        Some(Command::Team(command)) => Box::pin(commands::team::run(home()?, command, cli.json)).await,
        Some(Command::Mesh(args)) => Box::pin(commands::mesh::run(home()?, args, cli.json)).await,
        Some(Command::Inbox(command)) => Box::pin(commands::inbox::run(home()?, command, cli.json)).await,
        Some(Command::Audit(args)) => commands::audit::run(home()?, args, cli.json).await,
        Some(Command::Models) => commands::models::run(&home()?, cli.json).await,
        Some(Command::Auth(command)) => commands::auth::run(&home()?, command, cli.json),
        Some(Command::Trust(args)) => commands::trust::run(&home()?, args, cli.json),
        None => match cli.prompt {
            Some(text) if is_option(&text) => {
                Err(CliError::usage(format!("-p needs a prompt before {text}"))
                    .hint("say what to do, in quotes"))
            }
            Some(text) => commands::prompt::here(home()?, &text, &cli.prompting).await,
            None if cli.prompting.stdin => commands::prompt::here(home()?, "-", &cli.prompting).await,
            None if !cli.json && commands::attach::at_a_terminal() => {
                if let Some(flag) = given_without_a_prompt() {
                    return Err(CliError::usage(format!("{flag} goes with a prompt, and there is none"))
                        .hint(format!("clankers -p 'what to do' {flag} ..."))
                        .hint("a new session with a model of its own: clankers attach --new --model MODEL"));
                }
                Box::pin(commands::attach::bare(home()?)).await
            }
            None => {
                Err(CliError::usage("nothing to do: give a command, or a prompt with -p").hint("see --help"))
            }
        },
    }
}

fn open_home(given: Option<&std::path::Path>) -> Result<Home, CliError> {
    let path = match given {
        Some(path) if path.as_os_str().is_empty() => return Err(CliError::usage("the home's path is empty")),
        Some(path) => path.to_owned(),
        None => clankers_node::daemon::default_home().ok_or_else(|| {
            CliError::machine("no home directory: HOME is not set").hint("give one with --home DIR")
        })?,
    };
    Home::open(&path).map_err(|error| {
        CliError::machine(error).hint("choose another directory with --home DIR or CLANKERS_HOME")
    })
}
