//! `trust`: projects whose skills and agents are used.

use std::path::PathBuf;

use clankers_node::{
    clock,
    context_files::{Places, TrustBook, TrustError},
    store::Home,
};
use clankers_protocol::refusal::ExitKind;
use serde_json::{Value, json};

use crate::{
    args::TrustArgs,
    error::{CliError, Outcome},
    output::{self, rfc3339},
};

pub(crate) fn run(home: &Home, args: TrustArgs, json: bool) -> Outcome {
    let book = TrustBook::at(home.root());
    let trouble = |error: TrustError| CliError::machine(error);
    if args.list {
        let list = book.list().map_err(trouble)?;
        if json {
            let rows: Vec<Value> = list
                .iter()
                .map(|entry| json!({"directory": entry.directory, "since": rfc3339(entry.since)}))
                .collect();
            return Ok(output::json(&Value::Array(rows))?);
        }
        if list.is_empty() {
            anstream::eprintln!("no project is trusted: 'clankers trust' in its directory does that");
            return Ok(());
        }
        let rows: Vec<[String; 2]> =
            list.into_iter().map(|entry| [rfc3339(entry.since), entry.directory]).collect();
        return Ok(output::table(["SINCE", "DIRECTORY"], &rows)?);
    }
    let project = project(home, args.directory.clone());
    let directory = if args.remove {
        // A directory that is gone can be forgotten too.
        let directory = match project {
            Ok(project) => project,
            Err(error) => args.directory.ok_or(error)?,
        };
        if !book.remove(&directory).map_err(trouble)? {
            let words = format!("{} is not trusted", directory.display());
            return Err(
                CliError::new(ExitKind::NotFound, words).hint("'clankers trust --list' shows what is")
            );
        }
        directory.display().to_string()
    } else {
        book.add(&project?, clock::now()).map_err(trouble)?.directory
    };
    if json {
        return Ok(output::json(&json!({"directory": directory, "trusted": !args.remove}))?);
    }
    match args.remove {
        true => anstream::eprintln!("✓ {directory} is trusted no more"),
        false => anstream::eprintln!("✓ skills and agents of {directory} are used from now on"),
    }
    Ok(())
}

/// The project that a directory belongs to.
fn project(home: &Home, directory: Option<PathBuf>) -> Result<PathBuf, CliError> {
    let directory = match directory {
        Some(directory) => directory,
        None => std::env::current_dir()
            .map_err(|e| CliError::machine(format!("cannot see the current directory: {e}")))?,
    };
    let places = Places::find(home.root(), &directory).map_err(|error| {
        CliError::new(ExitKind::NotFound, format!("cannot find {}: {error}", directory.display()))
    })?;
    Ok(places.project().to_owned())
}
