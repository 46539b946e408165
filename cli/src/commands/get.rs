//! `rpc get-file`: what a peer exports, listed and got.

use std::path::{Path, PathBuf};

use clankers_client::transfer::{GetWish, Job};
use clankers_protocol::{
    text,
    transfer::{SafePath, TransferId},
};

use super::{
    carry::{Carrier, records},
    exports,
};
use crate::{
    args::GetFileArgs,
    error::{CliError, Outcome},
    local::{Machine, random},
};

pub(crate) async fn run(machine: &Machine, args: GetFileArgs, json: bool) -> Outcome {
    let path = args.path.as_deref().map(remote_path).transpose()?;
    let Some(path) = path.clone().filter(|_| !args.list) else {
        return exports::run(machine, &args.peer, path.as_deref().unwrap_or_default(), json).await;
    };
    let (into, name) = place(args.output.as_deref())?;
    let mut carrier = Carrier::to(machine, &args.peer, json).await?;
    let done = match carrier.subject() {
        Some(subject) => {
            let on_conflict = args.on_conflict.into();
            let wish = GetWish { peer: args.peer, path, into, name, on_conflict };
            let now = clankers_node::clock::now();
            match Job::get(&records(machine), subject, wish, TransferId(random()?), now) {
                Ok(mut job) => match job.limit(args.limit_rate) {
                    Ok(()) => carrier.carry(&mut job).await,
                    Err(error) => Err(error.into()),
                },
                Err(error) => Err(error.into()),
            }
        }
        None => Ok(()),
    };
    carrier.close().await;
    done
}

fn remote_path(path: &str) -> Result<String, CliError> {
    match SafePath::from_source(path.trim_end_matches('/')) {
        Ok(path) => Ok(path.to_string()),
        Err(error) => {
            Err(CliError::usage(format!("the path '{}' cannot be got: {error}", text::line(path, 200)))
                .hint("name an export of that node and a path in it, such as music/album"))
        }
    }
}

/// The directory in which it lands, and the name that it gets there, if it is not to keep its own.
fn place(output: Option<&Path>) -> Result<(PathBuf, Option<String>), CliError> {
    let asked = output.unwrap_or(Path::new("."));
    if asked == Path::new("-") {
        return Err(CliError::usage(
            "-o - is not standard output here: what is got is a file or a directory",
        )
        .hint("name a file or a directory; './-' is a file of that name"));
    }
    let shown = text::line(&asked.to_string_lossy(), 200);
    let bad = |error: std::io::Error| CliError::machine(format!("cannot write to {shown}: {error}"));
    if asked.is_dir() {
        return Ok((std::fs::canonicalize(asked).map_err(bad)?, None));
    }
    if std::fs::metadata(asked).is_ok_and(|meta| !meta.is_file()) {
        return Err(CliError::usage(format!(
            "{shown} is neither a file nor a directory: nothing can land there"
        ))
        .hint("name a file or a directory with -o"));
    }
    let is_directory = asked.as_os_str().as_encoded_bytes().ends_with(b"/");
    let (parent, name) = (asked.parent(), asked.file_name());
    let (Some(parent), Some(name), false) = (parent, name, is_directory) else {
        return Err(CliError::usage(format!("there is no directory {shown}")).hint("make it first: mkdir -p"));
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let Ok(into) = std::fs::canonicalize(parent) else {
        let shown = text::line(&parent.to_string_lossy(), 200);
        return Err(CliError::usage(format!("there is no directory {shown}")).hint("make it first: mkdir -p"));
    };
    let name = name.to_str().ok_or_else(|| CliError::usage(format!("the name {shown} is not UTF-8")))?;
    clankers_protocol::transfer::name::check_part(name)
        .map_err(|error| CliError::usage(format!("the name {}: {error}", text::line(name, 200))))?;
    Ok((into, Some(name.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_lands() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        assert_eq!(place(Some(dir.path())).unwrap(), (real.clone(), None));
        assert_eq!(place(Some(&dir.path().join("new.iso"))).unwrap(), (real.clone(), Some("new.iso".into())));
        let file = dir.path().join("there");
        std::fs::write(&file, "x").unwrap();
        assert_eq!(
            place(Some(&file)).unwrap(),
            (real, Some("there".into())),
            "what to do about it is asked later"
        );
        assert!(place(Some(&dir.path().join("no/such/place"))).is_err());
        assert!(place(Some(Path::new(&format!("{}/nowhere/", dir.path().display())))).is_err());
        assert!(place(Some(&dir.path().join("a\nb"))).is_err());
        assert!(place(None).unwrap().1.is_none());
        for bad in ["-", "/dev/null", "/dev/zero"] {
            let error = place(Some(Path::new(bad))).unwrap_err();
            assert_eq!(
                (error.kind, error.hints.len()),
                (clankers_protocol::refusal::ExitKind::Usage, 1),
                "{bad}"
            );
        }
        let dash = place(Some(Path::new("./-"))).unwrap();
        assert_eq!(dash.1.as_deref(), Some("-"));
    }

    #[test]
    fn remote_paths_are_safe_ones() {
        assert_eq!(remote_path("music/a b/").unwrap(), "music/a b");
        for bad in ["", "/etc/passwd", "music/../..", "music//a"] {
            assert!(remote_path(bad).is_err(), "{bad:?}");
        }
    }
}
