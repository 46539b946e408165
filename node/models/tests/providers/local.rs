//! Model servers on this machine, which need no configuration.

use std::time::{Duration, Instant};

use clankers_models::{LocalSettings, ModelSettings, Price, Registry};

use crate::{
    ask, openai, said,
    server::{Reply, Server, Step, http, stream},
    timing,
};

/// A port where nobody listens.
fn nobody() -> String {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

fn registry(ollama: &str, lmstudio: &str) -> Registry {
    let local = LocalSettings { ollama: ollama.to_owned(), lmstudio: lmstudio.to_owned(), timing: timing() };
    Registry::new(ModelSettings { local, ..ModelSettings::default() }, |_| None).unwrap()
}

fn listed(names: &[&str]) -> Reply {
    let data: Vec<_> = names.iter().map(|name| serde_json::json!({ "id": name })).collect();
    http(200, "content-type: application/json\r\n", &serde_json::json!({ "data": data }).to_string())
}

#[tokio::test]
async fn a_server_on_this_machine_is_found_when_it_is_asked_for() {
    let answer = stream(&(openai::text("hi") + &openai::finish("stop")));
    let names = ["nomic-embed-text", "qwen3:8b", "evil\u{1b}[2J", "other"];
    let server = Server::start(vec![listed(&names), listed(&names), answer]).await;
    let registry = registry(&server.base, &nobody());
    assert_eq!(registry.default_name(), "offline", "nobody was asked");
    assert_eq!(server.requests().len(), 0);
    let name = registry.default_name_asking().await;
    assert_eq!(name, "ollama/qwen3:8b");
    let list = registry.survey().await;
    let found = |name: &str| list.iter().find(|line| line.name == name);
    let qwen = found("ollama/qwen3:8b").unwrap();
    assert!(qwen.usable && qwen.price == Some(Price::default()));
    assert!(found("ollama/other").is_some() && !found("lmstudio").unwrap().usable);
    assert!(!format!("{list:?}").contains("evil"), "{list:?}");
    let (events, done) = ask(&registry.resolve(&name).unwrap()).await;
    done.unwrap();
    assert_eq!(said(&events), "hi");
    let (head, body) = server.requests().remove(2);
    assert!(head.starts_with("post /v1/chat/completions") && body.contains("\"qwen3:8b\""), "{head}{body}");
    assert!(!head.contains("authorization"), "no key goes there: {head}");
}

#[tokio::test]
async fn somebody_else_on_that_port_costs_half_a_second_and_is_no_model() {
    for reply in
        [vec![Step::Hang], http(200, "", "<html>"), vec![Step::Send(b"SSH-2.0\r\n".to_vec())], vec![]]
    {
        let server = Server::start(vec![reply.clone(), reply]).await;
        let registry = registry(&server.base, &nobody());
        let began = Instant::now();
        assert_eq!(registry.default_name_asking().await, "offline");
        let list = registry.survey().await;
        assert!(!list.iter().any(|line| line.name.starts_with("ollama/")), "{list:?}");
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn nobody_is_asked_when_a_model_is_configured() {
    let server = Server::start(vec![listed(&["tiny"])]).await;
    let local = LocalSettings { ollama: server.base.clone(), ..LocalSettings::default() };
    let settings = ModelSettings { local, default: Some("offline".to_owned()), ..ModelSettings::default() };
    let registry = Registry::new(settings, |_| None).unwrap();
    assert_eq!(registry.default_name_asking().await, "offline");
    assert_eq!(server.requests().len(), 0);
}
