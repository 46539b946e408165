//! Older events: one page out of the log, read and written piece by piece, so that a page costs no memory.

use clankers_auth::Command;
use clankers_mesh::FrameWriter;
use clankers_protocol::{
    message::Ext,
    request::history::{History, HistoryPage},
};

use super::Answer;
use crate::{door::Caller, select, session::viewer::Viewer, trouble};

pub(super) async fn run(caller: &Caller, request: History, writer: &mut FrameWriter) {
    let (mut viewer, page) = match open(caller, &request).await {
        Ok(opened) => opened,
        Err(refusal) => return super::refuse(writer, &refusal).await,
    };
    if writer.send(&page).await.is_err() {
        return;
    }
    loop {
        match viewer.older().await {
            Ok(Some(frames)) => {
                for frame in frames {
                    if writer.send_encoded(frame).await.is_err() {
                        return;
                    }
                }
            }
            Ok(None) => break,
            Err(error) => return super::refuse(writer, &trouble::log(caller, &error)).await,
        }
    }
    let _finished = writer.finish();
}

async fn open(caller: &Caller, request: &History) -> Answer<(Viewer, HistoryPage)> {
    let selector = request.session.as_deref().unwrap_or("last");
    let (_, id) = select::session_under(caller, request.leaf, Command::Observe, selector).await?;
    let opened = caller.hall.sessions.open(id).await;
    let session = opened.map_err(|error| trouble::session(caller, &error))?;
    let (viewer, epoch, head_seq) = session.past(request.before, u64::from(request.count));
    let (from, until) = viewer.span();
    let page = HistoryPage {
        session: id,
        epoch,
        oldest_seq: 1,
        head_seq,
        from,
        to: until.saturating_sub(1),
        ext: Ext::default(),
    };
    Ok((viewer, page))
}
