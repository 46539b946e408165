//! `auth`: keys of model providers, in a file that only its owner reads. A key is read from standard input and never
//! shown.

use std::io::{IsTerminal, Write};

use clankers_node::store::{Credentials, CredentialsError, Home};
use clankers_protocol::refusal::ExitKind;
use serde_json::{Value, json};

use super::piped;
use crate::{
    args::AuthCommand,
    error::{CliError, Outcome},
    local, output,
};

/// Providers that take a key, and the variable that has it before the file does.
const PROVIDERS: &[(&str, &str)] = &[("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY")];

pub(crate) fn run(home: &Home, command: AuthCommand, json: bool) -> Outcome {
    let kept = Credentials::of(home);
    match command {
        AuthCommand::SetKey { provider } => set(home, &kept, &provider),
        AuthCommand::Status => status(&kept, json),
        AuthCommand::Remove { provider } => remove(home, &kept, &provider),
    }
}

fn known(provider: &str) -> Result<(), CliError> {
    if PROVIDERS.iter().any(|(name, _)| *name == provider) {
        return Ok(());
    }
    let names: Vec<&str> = PROVIDERS.iter().map(|(name, _)| *name).collect();
    Err(CliError::usage(format!("there is no provider '{provider}' that takes a key"))
        .hint(format!("the providers are: {}", names.join(", "))))
}

fn trouble(error: CredentialsError) -> CliError {
    CliError::machine(error)
}

fn set(home: &Home, kept: &Credentials, provider: &str) -> Outcome {
    known(provider)?;
    let key = if std::io::stdin().is_terminal() { typed(provider)? } else { piped::all(None)? };
    let key = key.trim();
    if key.is_empty() {
        return Err(CliError::usage("standard input has no key")
            .hint(format!("clankers auth set-key {provider} < FILE")));
    }
    kept.set(provider, key).map_err(|error| match error {
        error @ CredentialsError::Disk(_) => trouble(error),
        error => CliError::usage(error),
    })?;
    anstream::eprintln!("✓ kept in {}", kept.path().display());
    restart(home);
    Ok(())
}

/// A line from the terminal, which does not show it.
fn typed(provider: &str) -> Result<String, CliError> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = std::io::stdin();
    let before =
        tcgetattr(&stdin).map_err(|e| CliError::machine(format!("cannot quiet the terminal: {e}")))?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    quiet.local_modes.insert(LocalModes::ECHONL);
    tcsetattr(&stdin, OptionalActions::Flush, &quiet)
        .map_err(|e| CliError::machine(format!("cannot quiet the terminal: {e}")))?;
    anstream::eprint!("key for {provider} (not shown): ");
    let _shown = std::io::stderr().flush();
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    let _restored = tcsetattr(&stdin, OptionalActions::Flush, &before);
    read.map_err(|e| CliError::machine(format!("cannot read the key: {e}")))?;
    Ok(line)
}

/// A node reads its keys when it starts.
fn restart(home: &Home) {
    if matches!(local::running(home), Ok(Some(_))) {
        anstream::eprintln!(
            "! the running node knows it when it is started again: clankers daemon stop; clankers daemon start -d"
        );
    }
}

fn status(kept: &Credentials, json: bool) -> Outcome {
    let list = kept.list().map_err(trouble)?;
    let mut rows = Vec::new();
    for (provider, variable) in PROVIDERS {
        let set = std::env::var(variable).is_ok_and(|value| !value.trim().is_empty());
        let file = list.iter().find(|entry| entry.provider == *provider).map(|entry| entry.key.clone());
        let source = match (set, &file) {
            (true, _) => "environment",
            (false, Some(_)) => "file",
            (false, None) => "none",
        };
        rows.push((*provider, *variable, source, file));
    }
    if json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(provider, variable, source, file)| {
                json!({"provider": provider, "source": source, "variable": variable, "kept": file})
            })
            .collect();
        return Ok(output::json(&Value::Array(rows))?);
    }
    let rows: Vec<[String; 3]> = rows
        .into_iter()
        .map(|(provider, variable, source, file)| {
            let from = match source {
                "environment" => format!("from {variable}"),
                "file" => "kept".to_owned(),
                _ => "no key".to_owned(),
            };
            [provider.to_owned(), from, file.unwrap_or_default()]
        })
        .collect();
    output::table(["PROVIDER", "KEY", "KEPT"], &rows)?;
    Ok(())
}

fn remove(home: &Home, kept: &Credentials, provider: &str) -> Outcome {
    known(provider)?;
    if !kept.remove(provider).map_err(trouble)? {
        return Err(CliError::new(ExitKind::NotFound, format!("no key of {provider} is kept here"))
            .hint("'clankers auth status' shows where a key comes from"));
    }
    anstream::eprintln!("✓ forgotten");
    restart(home);
    Ok(())
}
