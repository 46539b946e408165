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
mod remote;
mod signals;

use std::process::ExitCode;

use clankers_node::store::Home;
use clap::Parser;

use crate::{
    args::{Cli, Command, DaemonCommand, Mode, RpcCommand},
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
        if let Some(Command::Rpc(RpcCommand::Prompt { prompting, .. })) = &mut cli.command {
            prompting.mode = Mode::Json;
        }
    }
    let prompting = match &cli.command {
        Some(Command::Rpc(RpcCommand::Prompt { prompting, .. })) => Some(prompting),
        None => Some(&cli.prompting),
        _ => None,
    };
    let json = cli.json || prompting.is_some_and(|p| p.mode == Mode::Json);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output is gone: there is nobody to tell.
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
    // One thread serves a command; a node gets the machine's cores.
    let serves = matches!(
        cli.command,
        Some(Command::Daemon(DaemonCommand::Start(_)) | Command::Rpc(RpcCommand::Start(_)))
    );
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
        Some(Command::Ps(args)) => commands::ps::run(home()?, args, cli.json).await,
        Some(Command::Session(command)) => commands::ps::session(home()?, command, cli.json).await,
        Some(Command::Token(command)) => commands::token::run(home()?, command, cli.json).await,
        None => match cli.prompt {
            Some(text) => commands::prompt::here(home()?, &text, &cli.prompting).await,
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
