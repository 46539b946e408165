//! Older events: one page, as `--before` prints it and as `/older` shows it.

use std::time::Duration;

use clankers_client::{Client, Older};
use clankers_protocol::{
    event::StreamItem,
    limits::HISTORY_EVENTS,
    message::Ext,
    request::history::{History, HistoryPage},
};

use super::{view::View, way::Road};
use crate::{
    args::AttachArgs,
    error::{CliError, Outcome},
};

/// How long a page may take whose reader waits for it at a terminal (time).
const PAGE_TIME: Duration = Duration::from_secs(10);

/// Prints one page and ends.
pub(super) async fn print(road: &Road, session: &str, before: u64, args: &AttachArgs) -> Outcome {
    let most = HISTORY_EVENTS as u64;
    let count = args.tail.unwrap_or(most);
    if count > most {
        return Err(CliError::usage(format!("a page has at most {most} events")));
    }
    let peer = road.peer_at_hand().await?;
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let mut view = View::new(args.mode, None);
    let done = page(&peer.client, session, Some(before), count, &mut view).await;
    peer.close().await;
    let page = done?;
    let more = page.from > page.oldest_seq;
    if more && args.mode == crate::args::Mode::Text {
        view.note(&format!("older ones: --before {}", page.from));
    }
    Ok(())
}

/// Shows a page before `before` on a terminal; the seq of its first event.
pub(super) async fn show(road: &Road, view: &mut View, before: u64, count: u32) -> Result<u64, CliError> {
    let Some(client) = road.last() else {
        view.note("the node is not reached now");
        return Ok(before);
    };
    let session = view.session().to_string();
    let asked = page(&client, &session, Some(before), count, view);
    match tokio::time::timeout(PAGE_TIME, asked).await {
        Ok(Ok(page)) if page.to < page.from => view.note("there is nothing older"),
        Ok(Ok(page)) => {
            view.note(&format!("these were events {} to {} of {}", page.from, page.to, page.head_seq));
            return Ok(page.from);
        }
        Ok(Err(error)) => view.note(&error.message),
        Err(_) => view.note("the node did not answer in time"),
    }
    Ok(before)
}

async fn page(
    client: &Client,
    session: &str,
    before: Option<u64>,
    count: u32,
    view: &mut View,
) -> Result<HistoryPage, CliError> {
    let request =
        History { leaf: None, session: Some(session.to_owned()), before, count, ext: Ext::default() };
    let mut stream = client.history(&request).await?;
    let page = stream.page().clone();
    view.about(page.session);
    while let Some(older) = stream.next().await? {
        match older {
            Older::Event(durable) => view.past(&StreamItem::Durable(durable))?,
            Older::Gap(gap) => view.missing(&gap)?,
        }
    }
    Ok(page)
}
