//! `-p` and `rpc prompt`: one prompt, its events printed as they come.

use std::{pin::Pin, time::Duration};

use clankers_client::{Client, PromptStream};
use clankers_node::store::{Home, Sessions};
use clankers_protocol::{
    NodeId, PromptId,
    event::{Durable, Event, Outcome as Settlement, SettledEvent, StreamItem},
    jsonl,
    limits::PROMPT_BYTES,
    message::Ext,
    refusal::ExitKind,
    request::prompt::{
        EXT_AGENT, EXT_AGENT_SCOPE, EXT_ASK, EXT_FRESH_ID, Prompt, PromptCancel, PromptCancelled,
        PromptLimits, SessionChoice, When,
    },
};

use super::{output_file::Out, piped, transcript::Printer};
use crate::{
    args::{Mode, PromptArgs},
    error::{CliError, Outcome},
    local::{Machine, random},
};

/// How long a cancelled prompt may take to settle (time).
const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// A timeout cancels at the node; the client waits this much longer for it to say so (time).
const TIMEOUT_GRACE: Duration = Duration::from_secs(5);

/// The words of a prompt: the argument, `-` for standard input, and what is piped in after it. Refuses what is empty or
/// too large.
pub(crate) fn text(argument: &str, args: &PromptArgs) -> Result<String, CliError> {
    // A tool that is named has its words; what comes on standard input is for whoever calls this in a loop.
    let direct = argument.starts_with('/');
    let text = if argument == "-" {
        piped::all(args.timeout)?
    } else if args.stdin || (!direct && piped::is_there()) {
        let more = piped::all(args.timeout)?;
        match more.trim().is_empty() {
            true => argument.to_owned(),
            false => {
                if !args.stdin {
                    // Whoever calls this in a loop over a pipe finds out where the rest of it went.
                    anstream::eprintln!("! standard input ({} bytes) is part of the prompt", more.len());
                }
                format!("{argument}\n\n{more}")
            }
        }
    } else {
        argument.to_owned()
    };
    if text.trim().is_empty() {
        return Err(CliError::usage("the prompt is empty").hint("say what the agent should do, in quotes"));
    }
    if text.len() > PROMPT_BYTES {
        return Err(too_long());
    }
    Ok(text)
}

pub(super) fn too_long() -> CliError {
    CliError::usage(format!("the prompt is over the limit of {PROMPT_BYTES} bytes"))
        .hint("put the text into a file and let the agent read it")
}

/// The session that was asked for; `last` when the last one is, `None` for a new one.
pub(crate) fn selector(args: &PromptArgs) -> Option<String> {
    let last = args.go_on.then(|| "last".to_owned());
    args.session.clone().or_else(|| args.resume.clone()).or(last)
}

/// The request for this prompt.
pub(crate) fn request(text: String, args: &PromptArgs, session: SessionChoice) -> Result<Prompt, CliError> {
    let (prompt_id, mut ext) = match &args.prompt_id {
        Some(id) => (id.clone(), Ext::default()),
        None => (PromptId::from_random(random()?), Ext(vec![(EXT_FRESH_ID, Vec::new())])),
    };
    ext.0.extend(args.ask.map(|ask| (EXT_ASK, vec![ask.to_byte()])));
    ext.0.extend(args.agent.clone().map(|agent| (EXT_AGENT, agent.into_bytes())));
    ext.0.extend(args.agent_scope.clone().map(|scope| (EXT_AGENT_SCOPE, scope.into_bytes())));
    let limits = PromptLimits {
        timeout_ms: args.timeout.map(millis),
        max_cost: args.max_cost,
        max_turns: args.max_turns,
        tools: if args.no_tools { Some(Vec::new()) } else { args.tools.clone() },
    };
    Ok(Prompt {
        leaf: None,
        prompt_id,
        session,
        text,
        model: args.model.clone(),
        when: if args.steer { When::Steer } else { When::Queue },
        limits,
        cancel_on_close: args.cancel_on_exit,
        ext,
    })
}

/// Whole milliseconds, at least one.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The way to the node that runs a prompt.
pub(crate) struct Way<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) client: &'a Client,
    /// The node, and the chains that this machine holds there.
    pub(crate) subject: NodeId,
    pub(crate) held: &'a [Vec<u8>],
    /// It runs in this process, and ends with it: elsewhere it goes on when this command is gone.
    pub(crate) here: bool,
}

/// Sends the prompt, prints what comes of it, and ends as it ended.
pub(crate) async fn run(way: &Way<'_>, prompt: Prompt, args: &PromptArgs) -> Outcome {
    let out = Out::open(args.output.as_deref())?;
    let mode = args.mode;
    let limit = prompt.limits.timeout_ms.map(|ms| Duration::from_millis(ms).saturating_add(TIMEOUT_GRACE));
    let work = async {
        let stream = way.client.prompt(&prompt).await?;
        follow(way, stream, &prompt, mode, out).await
    };
    match limit {
        None => work.await,
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(CliError::new(
                ExitKind::Timeout,
                "the node did not say within the time that the prompt ended",
            )
            .hint("it is cancelled there when its time is up; 'clankers ps' shows what runs"))
        }),
    }
}

async fn follow(way: &Way<'_>, mut stream: PromptStream, prompt: &Prompt, mode: Mode, out: Out) -> Outcome {
    let accepted = stream.accepted().clone();
    // Before anybody is told that it runs: Ctrl-C cancels it from then on.
    let mut interrupts =
        if way.here { crate::signals::Interrupts::and_ends()? } else { crate::signals::Interrupts::new()? };
    let mut printer = Printer::to(out, mode, accepted.session);
    printer.accepted(&accepted, &prompt.prompt_id)?;
    let session = accepted.session.to_string();
    let mut cancelling: Option<Cancelling<'_>> = None;
    loop {
        let item = tokio::select! {
            item = stream.next() => item.map_err(|error| went_on(error.into(), prompt))?,
            () = interrupts.next() => {
                if cancelling.is_some() {
                    return Err(went_on(CliError::new(ExitKind::Interrupted, "interrupted"), prompt));
                }
                cancelling = Some(Box::pin(cancel(way, &session, &prompt.prompt_id)));
                continue;
            }
            done = asked(&mut cancelling) => {
                if let Err(error) = done {
                    anstream::eprintln!("! not cancelled: {}; Ctrl-C again to leave it running", error.message);
                }
                // Asked once; what comes of it is in the stream.
                cancelling = Some(Box::pin(std::future::pending()));
                continue;
            }
        };
        let Some(item) = item else {
            return Err(CliError::new(ExitKind::Failed, "the stream ended before the prompt was settled"));
        };
        printer.item(&item)?;
        if let StreamItem::Durable(Durable { event: Event::Settled(settled), .. }) = item {
            ended(settled)?;
            return Ok(printer.keep()?);
        }
    }
}

/// A prompt goes on when its client leaves: how to come back to it.
fn went_on(error: CliError, prompt: &Prompt) -> CliError {
    let hint = format!(
        "the prompt may go on there; the same command with --prompt-id {} comes back to it",
        prompt.prompt_id
    );
    error.hint(hint)
}

/// A cancellation that is under way.
type Cancelling<'a> = Pin<Box<dyn Future<Output = Result<(), CliError>> + 'a>>;

async fn asked(cancelling: &mut Option<Cancelling<'_>>) -> Result<(), CliError> {
    match cancelling {
        Some(cancelling) => cancelling.await,
        None => std::future::pending().await,
    }
}

/// Asks for the cancellation; what becomes of the prompt is told by its stream.
async fn cancel(way: &Way<'_>, session: &str, prompt_id: &PromptId) -> Result<(), CliError> {
    // The link that was shown at the beginning may have ended since.
    way.machine.renew(way.client, way.subject, way.held).await?;
    let request = PromptCancel {
        leaf: None,
        session: session.to_owned(),
        prompt_id: Some(prompt_id.clone()),
        ext: Ext::default(),
    };
    let _answer: PromptCancelled = way.client.ask_within(&request, CANCEL_GRACE).await?;
    Ok(())
}

pub(super) fn ended(settled: SettledEvent) -> Outcome {
    let kind = match settled.outcome {
        Settlement::Completed => return Ok(()),
        Settlement::Failed | Settlement::Interrupted => ExitKind::Failed,
        Settlement::Credentials => ExitKind::Credentials,
        Settlement::Denied => ExitKind::Denied,
        Settlement::Limit => ExitKind::Limit,
        Settlement::Cancelled => ExitKind::Interrupted,
        Settlement::TimedOut => ExitKind::Timeout,
    };
    debug_assert_eq!(kind as i32, jsonl::exit_code(settled.outcome));
    let reason = settled.reason.unwrap_or_else(|| "the prompt did not complete".into());
    let mut lines = reason.lines();
    let mut error = CliError::new(kind, lines.next().unwrap_or_default());
    error.hints = lines.map(str::to_owned).collect();
    Err(error)
}

/// `-p`: through this machine's node when it runs, else in this process; in the caller's directory.
pub(crate) async fn here(home: Home, argument: &str, args: &PromptArgs) -> Outcome {
    let text = text(argument, args)?;
    let cwd = std::env::current_dir()
        .map_err(|e| CliError::machine(format!("cannot see the current directory: {e}")))?;
    let cwd = cwd.to_str().ok_or_else(|| CliError::machine("the current directory's name is not UTF-8"))?;
    let machine = Machine::open(&home)?;
    let session = match selector(args) {
        Some(_) if args.go_on => SessionChoice::Existing(last_here(&machine, cwd)?),
        Some(session) => SessionChoice::Existing(session),
        None => SessionChoice::New { cwd: Some(cwd.to_owned()) },
    };
    let request = request(text, args, session)?;
    let local = match &args.api_base {
        // The server is of this run alone: no node knows it.
        Some(base) => machine.in_process(Some(base)).await?,
        None => machine.node_or_hall().await?,
    };
    let here = local.in_process();
    let way = Way { machine: &machine, client: &local.client, subject: machine.run.node(), held: &[], here };
    let done = run(&way, request, args).await;
    local.close().await;
    done
}

/// The last session of one's own in this directory.
fn last_here(machine: &Machine, cwd: &str) -> Result<String, CliError> {
    let sessions = Sessions::without_store(&machine.home).list(false).map_err(CliError::machine)?;
    let own = Some(machine.run.node());
    let last = sessions.iter().find(|session| session.cwd == cwd && session.principal == own);
    last.map(|session| session.id.to_string()).ok_or_else(|| {
        CliError::new(ExitKind::NotFound, "there is no session in this directory to continue")
            .hint("leave --continue out to begin one; 'clankers session list' shows all")
    })
}
