//! An answer is the same however the network parts it: for both dialects, at every cut.

use clankers_protocol::conversation::StopReason;
use proptest::prelude::*;

use super::*;
use crate::{anthropic::answer::MessageAnswer, openai::answer::ChatAnswer};

const OPENAI: &str = concat!(
    ": keepalive\n\n",
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"reasoning_content\":\"h\u{fc}m \u{2603}\"}}]}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"gr\u{fc}\u{df}e\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"ls\",\"arguments\":\"{\\\"p\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\":1}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
);

const ANTHROPIC: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\n",
    "event: ping\r\ndata: {\"type\":\"ping\"}\r\n\r\n",
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"h\u{fc}m\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"s\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"gr\u{fc}\u{df}e\"}}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"ls\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"p\\\":1}\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":2}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":2}}\n\n",
    "data: {\"type\":\"message_stop\"}\n\n",
);

fn events<A: Answer>(mut answer: A, parts: &[&[u8]]) -> Vec<ModelEvent> {
    let (mut sse, mut data, mut out) = (sse::Sse::default(), Vec::new(), Vec::new());
    for part in parts {
        sse.push(part, &mut data).unwrap();
        data.drain(..).for_each(|data| answer.take(&data, &mut out).unwrap());
    }
    assert!(answer.is_done() && answer.has_begun() && answer.has_stopped());
    answer.finish(&mut out);
    out
}

fn cut<'b>(bytes: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

#[test]
fn the_recordings_are_whole_answers() {
    let events = [
        events(ChatAnswer::default(), &[OPENAI.as_bytes()]),
        events(MessageAnswer::new("m"), &[ANTHROPIC.as_bytes()]),
    ];
    for events in events {
        let calls = events.iter().filter(|event| matches!(event, ModelEvent::ToolCall(_))).count();
        assert_eq!((calls, events.last()), (1, Some(&ModelEvent::Stop(StopReason::ToolUse))));
        assert!(events.contains(&ModelEvent::Text("gr\u{fc}\u{df}e".into())));
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40)) {
        let (openai, anthropic) = (OPENAI.as_bytes(), ANTHROPIC.as_bytes());
        let whole = events(ChatAnswer::default(), &[openai]);
        prop_assert_eq!(events(ChatAnswer::default(), &cut(openai, &cuts)), whole);
        let whole = events(MessageAnswer::new("m"), &[anthropic]);
        prop_assert_eq!(events(MessageAnswer::new("m"), &cut(anthropic, &cuts)), whole);
    }
}
