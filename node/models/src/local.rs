//! Language models on this machine that need no configuration: Ollama and LM Studio, at their usual addresses.
//!
//! They speak OpenAI's dialect. Nothing is asked until one of their models is wanted, or somebody wants to see what
//! there is. They are programs on this machine, so their price is zero; one that is elsewhere has no known price.

use std::sync::Arc;

use reqwest::header::AUTHORIZATION;

use crate::{
    error::ModelError,
    http::Names,
    limits::{LOCAL_ANSWER, LOCAL_CONNECT},
    openai::{self, Prices, Server},
    settings::{LocalSettings, OpenAiSettings, Timing},
};

static OLLAMA: Names = openai::bearer("ollama", "OLLAMA_HOST", "http://127.0.0.1:11434", AUTHORIZATION);
static LMSTUDIO: Names =
    openai::bearer("lmstudio", "LM Studio's address", "http://127.0.0.1:1234", AUTHORIZATION);

/// A server that may be there.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    /// `ollama` or `lmstudio`.
    pub(crate) provider: &'static str,
    /// As people call it.
    pub(crate) called: &'static str,
    /// For questions to a model.
    pub(crate) server: Result<Arc<Server>, ModelError>,
    /// The same with little patience, to ask which models it has.
    probe: Result<Arc<Server>, ModelError>,
}

impl Local {
    fn new(names: &'static Names, called: &'static str, address: &str, port: u16, timing: Timing) -> Self {
        let base = base(address, port);
        let make = |timing| {
            let settings = OpenAiSettings { api_base: base.clone(), timing, ..OpenAiSettings::default() };
            let server = Server::of(names, settings.clone(), Prices::Free)?;
            let here = server.is_loopback();
            let server = if here { server } else { Server::of(names, settings, Prices::ByName)? };
            Ok(Arc::new(server))
        };
        let hasty = Timing {
            connect: LOCAL_CONNECT.min(timing.connect),
            first_byte: LOCAL_ANSWER.min(timing.first_byte),
            idle: LOCAL_ANSWER.min(timing.idle),
            tries: 1,
            ..timing
        };
        Self { provider: names.provider, called, server: make(timing), probe: make(hasty) }
    }

    /// Both, in the order in which they are asked.
    pub(crate) fn all(settings: &LocalSettings) -> [Self; 2] {
        [
            Self::new(&OLLAMA, "Ollama", &settings.ollama, 11434, settings.timing),
            Self::new(&LMSTUDIO, "LM Studio", &settings.lmstudio, 1234, settings.timing),
        ]
    }

    /// The models that it has now; waits at most [`LOCAL_ANSWER`] all in all.
    ///
    /// # Errors
    /// Why it does not say: usually that nobody is there.
    pub(crate) async fn models(&self) -> Result<Vec<String>, ModelError> {
        let server = self.probe.as_ref().map_err(Clone::clone)?;
        match tokio::time::timeout(LOCAL_ANSWER, server.list()).await {
            Ok(list) => list,
            Err(_) => {
                let kind = crate::error::ModelErrorKind::Timeout;
                let message = format!("{} did not say its models within {LOCAL_ANSWER:?}", server.place());
                Err(ModelError::new(self.provider, kind, message))
            }
        }
    }
}

/// The base of the API from an address as `OLLAMA_HOST` has it (Ollama's documentation, "How do I configure Ollama
/// server"): `host`, `:port`, `host:port`, `http://host:port`, and `0.0.0.0` where it means all of this machine.
fn base(address: &str, port: u16) -> String {
    let address = address.trim().trim_end_matches('/');
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    let rest = rest.strip_suffix("/v1").unwrap_or(rest);
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(a, path)| (a, path));
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit()));
    // `::1` is an address without a port, however it looks.
    let bare_v6 = authority.parse::<std::net::Ipv6Addr>().is_ok();
    let (host, own_port) = match authority.rsplit_once(':') {
        Some((host, end)) if has_port && !bare_v6 => (host, end.to_owned()),
        _ if scheme == "https" => (authority, "443".to_owned()),
        _ => (authority, port.to_string()),
    };
    let host = match host.trim_start_matches('[').trim_end_matches(']') {
        "" | "0.0.0.0" | "::" => "127.0.0.1".to_owned(),
        v6 if v6.parse::<std::net::Ipv6Addr>().is_ok() => format!("[{v6}]"),
        other => other.to_owned(),
    };
    let slash = if path.is_empty() { "" } else { "/" };
    format!("{scheme}://{host}:{own_port}{slash}{path}/v1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        for (address, wanted) in [
            ("127.0.0.1:11434", "http://127.0.0.1:11434/v1"),
            ("0.0.0.0", "http://127.0.0.1:11434/v1"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080/v1"),
            (":8080", "http://127.0.0.1:8080/v1"),
            ("", "http://127.0.0.1:11434/v1"),
            ("localhost", "http://localhost:11434/v1"),
            ("http://localhost:1/", "http://localhost:1/v1"),
            ("http://localhost:1/v1/", "http://localhost:1/v1"),
            ("https://models.example", "https://models.example:443/v1"),
            ("https://models.example/ollama", "https://models.example:443/ollama/v1"),
            ("::1", "http://[::1]:11434/v1"),
            ("[::1]:80", "http://[::1]:80/v1"),
            ("[::]", "http://127.0.0.1:11434/v1"),
        ] {
            assert_eq!(base(address, 11434), wanted, "{address}");
        }
    }

    #[test]
    fn only_this_machine_is_known_to_cost_nothing() {
        let price = |address: &str| {
            let settings = LocalSettings { ollama: address.to_owned(), ..LocalSettings::default() };
            let [ollama, _] = Local::all(&settings);
            crate::openai::OpenAiModel::new(ollama.server.unwrap(), "tiny".to_owned()).price(0)
        };
        assert_eq!(price("127.0.0.1:1"), Some(crate::Price::default()));
        assert_eq!(price("models.example:1"), None);
        assert!(
            Local::all(&LocalSettings { ollama: "http://a b".into(), ..LocalSettings::default() })[0]
                .server
                .is_err()
        );
    }

    #[tokio::test]
    async fn nobody_there_is_known_at_once() {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let settings = LocalSettings { ollama: format!("127.0.0.1:{port}"), ..LocalSettings::default() };
        let [ollama, _] = Local::all(&settings);
        let error = ollama.models().await.unwrap_err();
        assert_eq!(error.kind, crate::ModelErrorKind::Unreachable);
    }
}
