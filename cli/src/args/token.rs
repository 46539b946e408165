//! The words of `token`: rights, and what narrows them.

use std::{path::PathBuf, time::Duration};

use clankers_protocol::{
    NanoUsd,
    message::Ext,
    money::NANO_PER_USD,
    request::{
        inspect::Question,
        tokens::{CostLimit, Preset, Rights, with_file_rights, with_max_total},
    },
    text,
};
use clap::{Args, Subcommand};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::duration;

/// Characters of a bad value that an error says back.
const SAID_CHARS: usize = 40;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Let a peer do something on this node; prints the token to hand over
    Create(CreateArgs),
    /// Pass a part of a token that this node holds on to another peer; works without a network
    Delegate(DelegateArgs),
    /// Keep a token that another node's owner made for this node
    Import {
        /// A file, or '-' for standard input
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
    },
    /// Tokens issued and held
    List,
    /// Say what a token allows, link by link, and whether it would be taken; works without a network
    Inspect(InspectArgs),
    /// Take a token back for good; what runs under it ends at once
    Revoke(RevokeArgs),
    /// Drop a token that another node's owner made for this node
    Forget {
        /// The CID (or its beginning) of a token held here
        #[arg(value_name = "CID")]
        cid: String,
    },
    /// Say which token would be used at a node for something, or why none
    Why(WhyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// For whom: a node id, a unique prefix, a label, or a ticket
    #[arg(long = "for", value_name = "PEER")]
    pub(crate) audience: String,
    #[command(flatten)]
    pub(crate) rights: RightsArgs,
    /// How long it lasts, such as 90m, 24h or 30days
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub(crate) expire: Duration,
    /// Issue it again, for as long, when its holder connects, until it is revoked
    #[arg(long)]
    pub(crate) renew: bool,
    /// Hand it to the peer's node at once, which keeps it
    #[arg(long)]
    pub(crate) deliver: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DelegateArgs {
    /// What is passed on: a CID (or its beginning) of a token held here, a file, or '-' for standard input
    #[arg(long, value_name = "CID|FILE|-")]
    pub(crate) from: String,
    /// For whom: a node id, a unique prefix, a label, or a ticket
    #[arg(long = "for", value_name = "PEER")]
    pub(crate) audience: String,
    #[command(flatten)]
    pub(crate) rights: RightsArgs,
    /// How long it lasts, such as 90m or 24h; without it, and at most, as long as what is passed on
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) expire: Option<Duration>,
    /// Hand it to the peer's node at once, which keeps it
    #[arg(long)]
    pub(crate) deliver: bool,
}

/// What is allowed. What is not given narrows nothing.
#[derive(Debug, Default, Args)]
#[command(group(clap::ArgGroup::new("preset").args(["read_only", "reviewer", "operator", "root"])))]
pub(crate) struct RightsArgs {
    /// See the node's state, files and the holder's own sessions; not prompt
    #[arg(long)]
    read_only: bool,
    /// Read-only, and prompt with the tools read, grep, find, ls
    #[arg(long)]
    reviewer: bool,
    /// Prompt and drive with all tools but the shell
    #[arg(long)]
    operator: bool,
    /// Everything
    #[arg(long)]
    root: bool,
    /// Prompt with just these tools
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    tools: Option<Vec<String>>,
    /// Send files into the inbox
    #[arg(long)]
    drop: bool,
    /// Offer files, which the owner then takes or not
    #[arg(long)]
    offer: bool,
    /// Only beneath this path of the node's workspace, for files sent of the inbox (may be repeated); never with the
    /// shell
    #[arg(long, value_name = "PATH", value_parser = scope)]
    path: Vec<String>,
    /// Only this session, or all, whoever made them (may be repeated); without it, the holder's own
    #[arg(long, value_name = "ID|all")]
    session: Vec<String>,
    /// Only this model (may be repeated)
    #[arg(long, value_name = "MODEL")]
    model: Vec<String>,
    /// What its model calls may cost in all, in US dollars, such as 1.50; 'none' for no limit
    #[arg(long, value_name = "USD|none", value_parser = cost)]
    max_cost: Option<CostLimit>,
    /// How many tokens its model calls may use in all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_tokens: Option<u64>,
    /// How often it may be passed on: 0 is not at all
    #[arg(long, value_name = "N")]
    max_depth: Option<u32>,
    /// How many prompts a minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    per_minute: Option<u32>,
    /// How many prompts at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    concurrent: Option<u32>,
    /// The most it may read, write or send at a time, such as 10MB or 64KiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,
    /// The most that may be sent in all, such as 5GB: over the token's whole life, by its holder and all to whom it is
    /// passed on; what is read or got from the node does not count. One that renews itself begins anew each time
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_total: Option<u64>,
}

impl RightsArgs {
    /// The rights to send files, and how much in all, which travel beside the others.
    pub(crate) fn files(&self) -> Ext {
        with_max_total(with_file_rights(self.drop, self.offer), self.max_total)
    }

    /// As the node is told.
    pub(crate) fn rights(self) -> Rights {
        let presets = [
            (self.read_only, Preset::ReadOnly),
            (self.reviewer, Preset::Reviewer),
            (self.operator, Preset::Operator),
            (self.root, Preset::Root),
        ];
        Rights {
            preset: presets.into_iter().find(|(given, _)| *given).map(|(_, preset)| preset),
            tools: self.tools,
            paths: self.path,
            sessions: self.session,
            models: self.model,
            cost: self.max_cost.unwrap_or_default(),
            max_tokens: self.max_tokens,
            max_depth: self.max_depth,
            per_minute: self.per_minute,
            concurrent: self.concurrent,
            max_size: self.max_size,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "With --command, the exit code is the answer: 0 allowed, 4 denied.")]
pub(crate) struct InspectArgs {
    /// A CID (or its beginning) of a token issued or held here, a file, or '-' for standard input
    #[arg(value_name = "CID|FILE|-")]
    pub(crate) token: String,
    /// Judge it as this node would; without it, as the node that it is about
    #[arg(long, value_name = "PEER")]
    pub(crate) node: Option<String>,
    /// Would it allow this? Such as prompt/send or tool/use
    #[arg(long, value_name = "COMMAND")]
    pub(crate) command: Option<String>,
    #[command(flatten)]
    pub(crate) question: QuestionArgs,
}

impl InspectArgs {
    /// The question, if one is asked.
    ///
    /// # Errors
    /// An argument of no command.
    pub(crate) fn asked(&self) -> Result<Option<Question>, &'static str> {
        match &self.command {
            Some(command) => Ok(Some(self.question.question(command))),
            None if self.question.is_empty() => Ok(None),
            None => Err("say what it would be used for with --command, such as tool/use"),
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "The exit code is the answer: 0 some token allows it, 4 none does.")]
pub(crate) struct WhyArgs {
    /// The node: an id, a unique prefix, a label, or a ticket
    pub(crate) peer: String,
    /// For what, such as prompt/send or tool/use
    pub(crate) command: String,
    #[command(flatten)]
    pub(crate) question: QuestionArgs,
}

/// The arguments of a question.
#[derive(Debug, Default, Args)]
pub(crate) struct QuestionArgs {
    /// With this tool
    #[arg(long, value_name = "TOOL")]
    tool: Option<String>,
    /// On this path of the node's workspace
    #[arg(long, value_name = "PATH", value_parser = scope)]
    path: Option<String>,
    /// In this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// With this model
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// With a file of this size
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<u64>,
}

impl QuestionArgs {
    fn is_empty(&self) -> bool {
        self.tool.is_none()
            && self.path.is_none()
            && self.session.is_none()
            && self.model.is_none()
            && self.size.is_none()
    }

    /// The question about a command.
    pub(crate) fn question(&self, command: &str) -> Question {
        Question {
            command: command.to_owned(),
            tool: self.tool.clone(),
            path: self.path.clone(),
            session: self.session.clone(),
            model: self.model.clone(),
            workspace: None,
            size: self.size,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// A CID (or its beginning) of a token issued or held here, a file, or '-' for standard input
    #[arg(value_name = "CID|FILE|-", required_unless_present = "all")]
    pub(crate) token: Option<String>,
    /// A link above the last one, and with it all that was made from that
    #[arg(long, value_name = "CID", requires = "token", conflicts_with = "all")]
    pub(crate) link: Option<String>,
    /// Everything that this node has ever issued
    #[arg(long, conflicts_with = "token")]
    pub(crate) all: bool,
    /// Do not ask
    #[arg(long, requires = "all")]
    pub(crate) yes: bool,
}

/// A path as a shell completes it (`./src/`), as tokens write it (`src`).
fn scope(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("the path is empty; '.' is the whole workspace".into());
    }
    let mut path = text;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.trim_start_matches('/');
    }
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    Ok(if path.is_empty() { ".".to_owned() } else { path.to_owned() })
}

/// Dollars, exactly.
fn cost(text: &str) -> Result<CostLimit, String> {
    if text == "none" {
        return Ok(CostLimit::Unlimited);
    }
    money(text).map(CostLimit::AtMost).ok_or_else(|| {
        format!(
            "'{}' is not an amount in dollars: write it like 1.50 (at most nine decimals), or none",
            text::line(text, SAID_CHARS)
        )
    })
}

fn money(text: &str) -> Option<NanoUsd> {
    let digits = text.strip_prefix('$').unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let dollars = Decimal::from_str_exact(digits).ok()?;
    let nano = dollars.checked_mul(Decimal::from(NANO_PER_USD))?;
    // What is finer than a nano-dollar is not rounded: it would not be what was written.
    if nano.is_integer() { nano.to_u64().map(NanoUsd) } else { None }
}

fn size(text: &str) -> Result<u64, String> {
    parse_size::parse_size(text).map_err(|error| {
        format!("'{}' is not a size: {error}; write it like 10MB or 64KiB", text::line(text, SAID_CHARS))
    })
}

#[cfg(test)]
mod tests;
