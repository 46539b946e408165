use super::*;
use crate::{OpenAiSettings, Secret};

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
    assert_eq!(named.resolve("openai").unwrap().price(), None, "another server's price is not OpenAI's");
    assert_eq!(named.resolve("meta/llama").unwrap().full_name(), "openai/meta/llama");
    assert_eq!(named.resolve("openai/x").unwrap().full_name(), "openai/x");
    assert_eq!(named.list().len(), 4);
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
