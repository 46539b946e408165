use clankers_protocol::conversation::{ModelRequest, Price};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{AnthropicSettings, LocalSettings, OpenAiSettings, Secret};

fn deaf(_: &str) -> Option<(String, String)> {
    None
}

fn registry(settings: ModelSettings) -> Registry {
    Registry::new(settings, deaf).unwrap()
}

fn with_server(base: &str, models: &[&str]) -> ModelSettings {
    let models = models.iter().map(|&name| name.to_owned()).collect();
    let openai = OpenAiSettings {
        api_base: base.to_owned(),
        api_key: Secret::new("k"),
        models,
        ..OpenAiSettings::default()
    };
    ModelSettings { openai: Some(openai), ..ModelSettings::default() }
}

fn kind(registry: &Registry, name: &str) -> ModelErrorKind {
    registry.resolve(name).unwrap_err().kind
}

#[test]
fn a_fresh_machine_is_offline() {
    let fresh = registry(ModelSettings::default());
    assert_eq!(fresh.default_name(), "offline");
    assert_eq!(fresh.resolve("offline").unwrap().price(), Some(Price::default()));
    assert_eq!(kind(&fresh, "openai/gpt-5"), ModelErrorKind::Credentials);
    assert_eq!(kind(&fresh, "scripted"), ModelErrorKind::Settings);
    assert_eq!(kind(&fresh, "gpt-5"), ModelErrorKind::NoSuchModel);
    for name in ["", "a\nb", "\u{1b}[2J", &"x".repeat(257)] {
        assert_eq!(kind(&fresh, name), ModelErrorKind::NoSuchModel);
    }
    let usable: Vec<_> = fresh.list().into_iter().filter(|line| line.usable).map(|line| line.name).collect();
    assert_eq!(usable, ["offline"]);
}

#[test]
fn a_server_is_the_default_when_there_is_one() {
    let openai = registry(with_server(crate::settings::OPENAI_BASE, &[]));
    assert_eq!(openai.default_name(), "openai/gpt-5.4-mini");
    assert!(openai.resolve("openai").unwrap().price().is_some());
    let own = registry(with_server("http://127.0.0.1:1/v1", &[]));
    assert_eq!(own.default_name(), "openai/auto");
    let named = registry(with_server("http://127.0.0.1:1/v1", &["gpt-4o", "b"]));
    assert_eq!(named.default_name(), "openai/gpt-4o");
    assert!(named.resolve("openai").unwrap().price().is_some(), "the catalogue has the name");
    assert_eq!(named.resolve("b").unwrap().price(), None, "not known is not zero");
    let mut free = with_server("http://127.0.0.1:1/v1", &["b"]);
    free.openai.as_mut().unwrap().free = true;
    assert_eq!(registry(free).resolve("b").unwrap().price(), Some(Price::default()));
    assert_eq!(named.resolve("meta/llama").unwrap().full_name(), "openai/meta/llama");
    assert_eq!(named.resolve("openai/x").unwrap().full_name(), "openai/x");
    assert_eq!(named.list().len(), 5);
    assert!(Registry::new(with_server("not an address", &[]), deaf).is_err());
}

#[test]
fn the_settings_default_wins() {
    let mut settings = with_server("http://127.0.0.1:1/v1", &[]);
    settings.default = Some("offline".to_owned());
    assert_eq!(registry(settings).default_name(), "offline");
}

#[test]
fn a_stranger_cannot_open_files_by_naming_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.toml");
    std::fs::write(&path, "[[turn]]\ntext = 'hi'\n").unwrap();
    let name = format!("scripted:{}", path.display());
    let closed = registry(ModelSettings::default());
    assert_eq!(kind(&closed, &name), ModelErrorKind::Settings);
    assert_eq!(
        kind(&closed, "scripted:/etc/hostname"),
        kind(&closed, "scripted:/does/not/exist"),
        "no oracle for which files exist"
    );
    let owner = registry(ModelSettings { scripted_paths: true, ..ModelSettings::default() });
    assert_eq!(owner.resolve(&name).unwrap().provider(), "scripted");
    let default = registry(ModelSettings { default: Some(name.clone()), ..ModelSettings::default() });
    assert!(default.resolve(&name).is_ok());
    let set = registry(ModelSettings { scripted: Some(path), ..ModelSettings::default() });
    assert_eq!(set.resolve("scripted").unwrap().price(), Some(Price::default()));
}

#[test]
fn a_call_can_be_spawned_and_is_small() {
    fn sendable<F: Future + Send>(future: F) -> usize {
        size_of_val(&future)
    }
    let request =
        ModelRequest { model: String::new(), system: String::new(), messages: Vec::new(), tools: Vec::new() };
    let (sender, _receiver) = mpsc::channel(1);
    let model = Model::offline(deaf);
    assert!(sendable(model.stream(request, sender, CancellationToken::new())) < 4096);
}

fn with_anthropic(mut settings: ModelSettings) -> ModelSettings {
    let anthropic = AnthropicSettings { api_key: Secret::new("k"), ..AnthropicSettings::default() };
    settings.anthropic = Some(anthropic);
    settings
}

#[test]
fn anthropic_comes_before_openai_and_has_its_names() {
    let both = registry(with_anthropic(with_server("http://127.0.0.1:1/v1", &["b"])));
    assert_eq!(both.default_name(), "anthropic/claude-sonnet-5-5");
    for name in ["anthropic", "anthropic/claude-sonnet-5-5", "claude-sonnet-5-5"] {
        assert_eq!(both.resolve(name).unwrap().full_name(), "anthropic/claude-sonnet-5-5");
    }
    assert_eq!(both.resolve("b").unwrap().full_name(), "openai/b");
    let sonnet = both.resolve("anthropic").unwrap();
    assert_eq!((sonnet.context_window(), sonnet.max_output()), (Some(1_000_000), Some(32_000)));
    assert_eq!(sonnet.price().unwrap().input, 2_000);
    let unknown = both.resolve("anthropic/claude-99").unwrap();
    assert_eq!((unknown.price(), unknown.context_window(), unknown.max_output()), (None, None, Some(8_192)));
    let usable: Vec<_> = both.list().into_iter().filter(|line| line.usable).map(|line| line.name).collect();
    assert_eq!(usable, ["anthropic/claude-sonnet-5-5", "openai/b", "offline"]);
    // A server of one's own may have models of that name.
    let own = registry(with_server("http://127.0.0.1:1/v1", &[]));
    assert_eq!(own.resolve("claude-x").unwrap().full_name(), "openai/claude-x");
    assert_eq!(kind(&own, "anthropic/claude-x"), ModelErrorKind::Credentials);
    let only = registry(with_anthropic(ModelSettings::default()));
    assert_eq!(kind(&only, "gpt-5"), ModelErrorKind::NoSuchModel);
}

#[test]
fn a_budget_can_be_set_aside_before_the_call() {
    let only = registry(with_anthropic(ModelSettings::default()));
    let request = ModelRequest {
        model: String::new(),
        system: "x".repeat(3_000),
        messages: Vec::new(),
        tools: Vec::new(),
    };
    let usage = only.resolve("anthropic").unwrap().estimate(&request);
    assert_eq!((usage.input, usage.output, usage.cache_read), (1_016, 32_000, 0));
}

#[test]
fn a_model_on_this_machine_needs_no_configuration_and_costs_nothing() {
    let fresh = registry(ModelSettings::default());
    let model = fresh.resolve("ollama/qwen3:8b").unwrap();
    assert_eq!((model.full_name(), model.provider()), ("ollama/qwen3:8b", "ollama"));
    assert_eq!(model.price(), Some(Price::default()));
    assert_eq!(fresh.resolve("lmstudio").unwrap().full_name(), "lmstudio/auto");
    assert_eq!(kind(&fresh, "ollamas/x"), ModelErrorKind::NoSuchModel);
    let odd = LocalSettings { ollama: "http://a b".to_owned(), ..LocalSettings::default() };
    let odd = registry(ModelSettings { local: odd, ..ModelSettings::default() });
    assert_eq!(kind(&odd, "ollama/x"), ModelErrorKind::Settings, "said when it is wanted, not before");
    assert!(odd.resolve("lmstudio/x").is_ok());
}

#[test]
#[ignore = "measures; run it with --ignored --nocapture"]
fn what_a_start_pays_for_models() {
    let settings = with_anthropic(with_server("http://127.0.0.1:1/v1", &["b"]));
    let began = std::time::Instant::now();
    let registry = registry(settings);
    let made = began.elapsed();
    let model = registry.resolve(&registry.default_name()).unwrap();
    let resolved = began.elapsed();
    assert!(model.price().is_some() && model.context_window().is_some());
    println!("registry {made:?}, resolved {resolved:?}, with the catalogue read {:?}", began.elapsed());
}
