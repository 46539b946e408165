//! The HTTP client: made when first used, because a program that never calls this provider should not pay for it.

use std::{net::IpAddr, sync::Arc};

use reqwest::{Client, Url, header, redirect::Policy};
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};

use super::{Names, fault::clean};
use crate::{
    error::{ModelError, ModelErrorKind},
    secret::Secret,
    settings::Timing,
};

fn wrong(names: &Names, message: impl Into<String>) -> ModelError {
    ModelError::new(names.provider, ModelErrorKind::Settings, message)
}

/// The address that all requests begin with, checked.
pub(crate) fn base(names: &Names, text: &str) -> Result<Url, ModelError> {
    let hint = format!("write it like {}", names.base_example);
    let wrong = |message| wrong(names, message);
    let text = text.trim().trim_end_matches('/');
    let url = Url::parse(text)
        .map_err(|error| wrong(format!("the api base is not an address ({error}): {hint}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong(format!("the api base is not an http or https address: {hint}")));
    }
    // Neither is shown: both are places where people put secrets.
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(wrong(format!("the api base has a user, password, query or fragment: {hint}")));
    }
    Ok(url)
}

/// A path below the base.
pub(crate) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let prefix = base.path().trim_end_matches('/');
    url.set_path(&format!("{prefix}{path}"));
    url
}

/// Host and port, to be named in errors.
pub(crate) fn place(base: &Url) -> String {
    let host = clean(base.host_str().unwrap_or(""), None);
    base.port_or_known_default().map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

pub(crate) fn is_loopback(base: &Url) -> bool {
    let host = base.host_str().unwrap_or("").trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A client for this base. Redirects are not followed: they would carry the prompt, and a POST becomes a GET.
/// `HTTPS_PROXY` and its kin are honoured by reqwest, except towards this machine itself.
pub(crate) fn build(
    names: &Names,
    base: &Url,
    key: Option<&Secret>,
    timing: &Timing,
) -> Result<Client, ModelError> {
    let mut headers = header::HeaderMap::new();
    for (name, value) in names.headers {
        headers.insert(*name, header::HeaderValue::from_static(value));
    }
    if let Some(key) = key {
        let value = format!("{}{}", names.key_prefix, key.reveal());
        let mut value = header::HeaderValue::from_str(&value).map_err(|_| {
            let hint = format!("check {}", names.key_var);
            wrong(names, format!("the API key has characters that a key cannot have: {hint}"))
        })?;
        value.set_sensitive(true);
        headers.insert(&names.key_header, value);
        if base.scheme() == "http" && !is_loopback(base) {
            tracing::warn!(place = place(base), "the API key goes over the network in clear text: use https");
        }
    }
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    let mut builder = Client::builder()
        .user_agent(concat!("clankers/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(timing.connect)
        .tls_backend_preconfigured(tls(names, base.scheme() == "https")?);
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| wrong(names, format!("no HTTP client: {}", error.without_url())))
}

/// TLS with ring. The system's certificates are read only when they are needed (it takes milliseconds and a megabyte);
/// a machine that has none, such as a bare container, gets Mozilla's.
fn tls(names: &Names, needed: bool) -> Result<ClientConfig, ModelError> {
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(names, format!("no TLS: {error}")))?;
    let mut config = if !needed {
        // No root: should a plain address ever lead to TLS, nobody is trusted.
        builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
    } else if let Ok(verifier) = rustls_platform_verifier::Verifier::new(provider) {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
    } else {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        builder.with_root_certificates(roots).with_no_client_auth()
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::OPENAI;

    #[test]
    fn bases() {
        for (text, url) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
            (" http://127.0.0.1:11434/v1/ \n", "http://127.0.0.1:11434/v1/chat/completions"),
            ("http://[::1]:80", "http://[::1]/chat/completions"),
        ] {
            assert_eq!(below(&base(&OPENAI, text).unwrap(), "/chat/completions").as_str(), url);
        }
        for text in [
            "",
            "api.openai.com",
            "file:///etc/passwd",
            "https://me:secret@host/v1",
            "https://host/?key=secret",
        ] {
            let error = base(&OPENAI, text).unwrap_err();
            assert_eq!(error.kind, ModelErrorKind::Settings);
            assert!(!error.message.contains("secret"), "{error}");
        }
    }

    #[test]
    fn who_is_this_machine() {
        for (text, local) in [
            ("http://localhost:1", true),
            ("http://127.9.9.9", true),
            ("http://[::1]", true),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&base(&OPENAI, text).unwrap()), local, "{text}");
        }
    }

    #[test]
    fn a_client_with_tls_can_be_made_and_a_broken_key_is_said() {
        let url = base(&OPENAI, "https://api.openai.com/v1").unwrap();
        let make = |key: &str| build(&OPENAI, &url, Secret::new(key).as_ref(), &Timing::default());
        assert!(make("sk-x").is_ok());
        let error = make("sk-\nx").unwrap_err();
        assert!(error.message.contains("OPENAI_API_KEY") && !error.message.contains("sk-"), "{error}");
    }
}
