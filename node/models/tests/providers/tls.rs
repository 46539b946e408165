//! Who is not who the certificate says gets neither prompt nor key.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use clankers_models::ModelErrorKind;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::{
    ask,
    openai::{KEY, model},
    timing,
};

/// Answers one connection on a thread of its own; gives the port and, in the end, what was heard.
fn listen<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, thread::JoinHandle<T>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let base = format!("https://127.0.0.1:{}/v1", listener.local_addr().unwrap().port());
    (base, thread::spawn(move || serve(listener.accept().unwrap().0)))
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let (base, heard) = listen(move |socket| {
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket);
        let mut bytes = [0; 1024];
        stream.read(&mut bytes).is_ok_and(|read| read > 0)
    });
    let (events, done) = ask(&model(&base, Some(KEY), timing())).await;
    let error = done.unwrap_err();
    assert_eq!((events.len(), error.kind), (0, ModelErrorKind::Unreachable));
    assert!(error.message.contains("certificate"), "{error}");
    assert!(!heard.join().unwrap(), "nothing was said to the impostor");
}

#[tokio::test]
async fn a_server_without_tls_hears_no_key() {
    let (base, heard) = listen(|mut socket| {
        let mut bytes = vec![0; 8192];
        let read = socket.read(&mut bytes).unwrap_or(0);
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
        bytes.truncate(read);
        bytes
    });
    let (_, done) = ask(&model(&base, Some(KEY), timing())).await;
    assert_eq!(done.unwrap_err().kind, ModelErrorKind::Unreachable);
    let heard = heard.join().unwrap();
    assert!(!heard.is_empty() && !String::from_utf8_lossy(&heard).contains("sk-proj"));
}
