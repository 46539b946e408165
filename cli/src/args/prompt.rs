//! The words that go with any prompt.

use std::{path::PathBuf, time::Duration};

use clankers_protocol::{NanoUsd, PromptId, request::prompt::Ask};
use clap::{Args, ValueEnum};

use super::duration;

/// What goes with any prompt.
#[derive(Debug, Default, Args)]
pub(crate) struct PromptArgs {
    /// Go on in this session: an id, a unique prefix, or 'last' (yours that was used last)
    #[arg(long, value_name = "ID|last", conflicts_with_all = ["new", "go_on", "resume"])]
    pub(crate) session: Option<String>,
    /// Go on in the last session of this directory; at another node, in your last one there
    #[arg(long = "continue", conflicts_with_all = ["new", "resume"])]
    pub(crate) go_on: bool,
    /// Go on in this session (as --session)
    #[arg(long, value_name = "ID", conflicts_with = "new")]
    pub(crate) resume: Option<String>,
    /// Make a new session (what happens without --session, --continue or --resume)
    #[arg(long)]
    pub(crate) new: bool,
    /// Say it to the prompt that runs in that session, at its next step; when none runs, it is a prompt of its own
    #[arg(long, conflicts_with_all = ["new", "tools", "no_tools", "max_turns", "max_cost", "agent"])]
    pub(crate) steer: bool,
    /// Model to use, as provider/name
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Ask the OpenAI-compatible server at this address, with its version, such as http://127.0.0.1:8080/v1; for -p
    #[arg(long, value_name = "URL")]
    pub(crate) api_base: Option<String>,
    /// Answer as this agent: a file NAME.md in ~/.clankers/agent/agents or .clankers/agents
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Where that agent is looked for
    #[arg(long, value_name = "user|project|both", value_parser = ["user", "project", "both"], requires = "agent")]
    pub(crate) agent_scope: Option<String>,
    /// Print text for people, or JSON lines for programs
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mode: Mode,
    /// Write the answer to this file when the prompt has completed, whole or not at all, instead of printing it
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Read standard input to its end: it is the prompt, or comes after it. (A pipe that speaks within a second is read without this too)
    #[arg(long)]
    pub(crate) stdin: bool,
    /// Cancel after this long, such as 90s or 10m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Cancel the prompt when this command ends before it; otherwise it goes on
    #[arg(long)]
    pub(crate) cancel_on_exit: bool,
    /// The prompt's id: the same id never runs twice
    #[arg(long, value_name = "ID")]
    pub(crate) prompt_id: Option<PromptId>,
    /// Only these tools may be used
    #[arg(long, value_name = "A,B", value_delimiter = ',', conflicts_with = "no_tools")]
    pub(crate) tools: Option<Vec<String>>,
    /// No tools
    #[arg(long)]
    pub(crate) no_tools: bool,
    /// At most this many calls of the model
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_turns: Option<u32>,
    /// No further call of the model once so many dollars are spent, such as 0.50
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub(crate) max_cost: Option<NanoUsd>,
    /// Which tool calls wait until somebody who is attached allows them; without anybody there they are denied
    #[arg(long, value_name = "never|shell|writes")]
    pub(crate) ask: Option<Ask>,
}

/// How a prompt's events are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

fn dollars(text: &str) -> Result<NanoUsd, String> {
    clankers_node::settings::dollars(text).ok_or_else(|| "write dollars like 0.50".to_owned())
}
