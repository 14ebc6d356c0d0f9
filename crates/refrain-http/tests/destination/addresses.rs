//! Which addresses may be called, and which servers are trusted.

use refrain_core::port::destination::{Attempted, Destination};
use refrain_http::{HttpDestination, HttpDestinationError, HttpOptions};
use serde_json::json;

use crate::support::{self, Server, delivery, response};
use crate::{local, replied};

#[tokio::test]
async fn a_name_that_resolves_to_this_machine_is_not_called_unless_allowed() {
    let server = Server::answering("200 OK", "", "7").await;
    let port = server.address.port();
    for host in ["localhost", "127.1", "0x7f000001", "2130706433"] {
        let url = format!("http://{host}:{port}/");
        let denied = HttpDestination::new(&url).unwrap();
        let outcome = denied.deliver(delivery(&json!(1))).await;
        assert_eq!(outcome, Attempted::NotResponding, "{host}");
    }
    assert_eq!(server.connections(), 0);
    let allowed = HttpDestination::with(&format!("http://localhost:{port}/"), local()).unwrap();
    assert_eq!(
        allowed.deliver(delivery(&json!(1))).await,
        replied(&json!(7))
    );
}

#[test]
fn a_url_that_may_not_be_called_is_refused_when_it_is_configured() {
    let not_urls = [
        "",
        "/path",
        "api.example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "unix:///run/x",
        "gopher://example.com/",
        "http://",
        "http:///path",
        "http://user:canary@example.com/",
        "http://exa mple.com/",
        "javascript:alert(1)",
    ];
    for url in not_urls {
        let refused = HttpDestination::new(url).unwrap_err();
        assert!(
            matches!(refused, HttpDestinationError::Url { .. }),
            "{url}: {refused:?}"
        );
        assert!(!refused.to_string().contains("canary"));
    }
    let addresses = [
        "http://127.0.0.1/",
        "http://127.8.9.10:80/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://10.1.2.3/",
        "http://192.168.0.1/",
        "http://172.20.0.1/",
        "http://[fd00::1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
    ];
    for url in addresses {
        let refused = HttpDestination::new(url).unwrap_err();
        assert!(
            matches!(refused, HttpDestinationError::Address { .. }),
            "{url}: {refused:?}"
        );
    }
    let open = || HttpOptions::default().allow_loopback().allow_private();
    for (url, is_allowed) in [
        ("http://127.0.0.1/", true),
        ("http://10.1.2.3/", true),
        ("http://[fd00::1]/", true),
        ("http://169.254.169.254/", false),
        ("http://[fd00:ec2::254]/", false),
        ("http://0.0.0.0/", false),
    ] {
        assert_eq!(
            HttpDestination::with(url, open()).is_ok(),
            is_allowed,
            "{url}"
        );
    }
}

#[tokio::test]
async fn https_reaches_only_servers_whose_authority_is_trusted() {
    let names = vec!["localhost".to_owned()];
    let issued = rcgen::generate_simple_self_signed(names).unwrap();
    let authority = issued.cert.der().to_vec();
    let (address, _serving) = serve_tls(issued).await;
    let url = format!("https://localhost:{}/", address.port());

    let trusting = HttpDestination::with(&url, local().trust(authority)).unwrap();
    assert_eq!(
        trusting.deliver(delivery(&json!(1))).await,
        replied(&json!(7))
    );

    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let options = local().trust(other.cert.der().to_vec());
    let wary = HttpDestination::with(&url, options).unwrap();
    assert_eq!(
        wary.deliver(delivery(&json!(1))).await,
        Attempted::NotResponding
    );

    assert!(HttpDestination::with(&url, local().trust(vec![1, 2, 3])).is_err());
}

/// Answers each connection's request with 7, over TLS.
async fn serve_tls(
    issued: rcgen::CertifiedKey<rcgen::KeyPair>,
) -> (std::net::SocketAddr, tokio::task::JoinSet<()>) {
    use std::sync::Arc;
    use tokio::io::AsyncWriteExt;
    use tokio_rustls::{TlsAcceptor, rustls};

    let key = issued.signing_key.serialize_der().try_into().unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(mut tls) = acceptor.accept(tcp).await {
                support::read_request(&mut tls).await;
                tls.write_all(&response("200 OK", "", "7")).await.unwrap();
            }
        }
    });
    (address, serving)
}
