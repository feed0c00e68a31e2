use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Incoming;
use pixmill_testkit::origin::{Origin as Hostile, Pictures, Settings};
use rustls::RootCertStore;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

mod habits;
mod servers;

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const CANARY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn hostile(hosts: &[Ipv4Addr]) -> Hostile {
    let pictures = Pictures::Memory(BTreeMap::from([("a.jpg".to_owned(), Bytes::from_static(b"picture"))]));
    let hosts = hosts.iter().copied().map(IpAddr::from).collect();
    Hostile::start(Settings { hosts, ..Settings::serving(pictures) }).unwrap()
}

/// With leave for a range alone.
fn leave_for(range: &str) -> Manner {
    Manner::from(Guard::new([range.parse().unwrap()]))
}

/// With leave for 127.0.0.1 alone, and names that resolve as told.
fn resolving(lookup: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> HttpOrigin {
    HttpOrigin::over(leave_for("127.0.0.1/32"), 64, Resolver::by(lookup))
}

async fn get(origin: &HttpOrigin, url: &str) -> Result<Answer, Fault> {
    origin.get(&Hop::first(Url::parse(url).unwrap())).await
}

async fn fault(origin: &HttpOrigin, url: &str) -> Fault {
    get(origin, url).await.map(|answer| answer.status).unwrap_err()
}

#[tokio::test]
async fn a_name_is_called_at_its_permitted_addresses_alone() {
    let server = hostile(&[HERE, CANARY]);
    let origin = resolving(|_| Ok(vec![CANARY.into(), HERE.into()]));
    let answer = get(&origin, &format!("http://a.example:{}/a.jpg", server.port())).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(server.peak(CANARY.into()) == 0 && server.connections() == 1);
}

#[tokio::test]
async fn a_name_of_blocked_addresses_is_blocked_without_a_connection() {
    let server = hostile(&[CANARY]);
    let origin = resolving(|_| Ok(vec![CANARY.into(), "::ffff:127.0.0.2".parse().unwrap()]));
    let fault = fault(&origin, &format!("http://a.example:{}/a.jpg", server.port())).await;
    assert_eq!((fault.code, fault.transient), (Code::FetchBlockedAddress, false));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_transient() {
    let origin = resolving(|_| Err(io::Error::other("no such name")));
    let fault = fault(&origin, "http://no-such-host.invalid/a.jpg?key=secret").await;
    assert_eq!((fault.code, fault.transient), (Code::FetchDns, true));
    assert_eq!(fault.message, "The host name 'no-such-host.invalid' does not resolve: no such name.");
}

#[tokio::test]
async fn a_port_that_may_not_be_called_is_named_and_not_called() {
    let origin = resolving(|_| Ok(vec!["8.8.8.8".parse().unwrap()]));
    for url in ["http://a.example:8080/a.jpg", "http://8.8.8.8:8080/a.jpg"] {
        let fault = fault(&origin, url).await;
        assert_eq!(fault.code, Code::FetchBlockedAddress);
        assert!(fault.message.contains("8080"), "{fault}");
    }
}

#[tokio::test]
async fn one_host_is_looked_up_once_for_many_requests() {
    let server = hostile(&[HERE]);
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let origin = resolving(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(vec![HERE.into()])
    });
    let url = format!("http://a.example:{}/a.jpg", server.port());
    for _ in 0..10 {
        let answers = futures::future::join_all((0..20).map(|_| get(&origin, &url))).await;
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_address_that_refuses_gives_way_to_the_next() {
    let server = hostile(&[HERE]);
    let resolver = Resolver::by(|_| Ok(vec![CANARY.into(), HERE.into()]));
    let origin = HttpOrigin::over(leave_for("127.0.0.0/8"), 64, resolver);
    let answer = get(&origin, &format!("http://a.example:{}/a.jpg", server.port())).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn few_idle_connections_are_kept_for_few_requests() {
    let hosts: Vec<Ipv4Addr> = (1..=40).map(|last| Ipv4Addr::new(127, 0, 4, last)).collect();
    let server = hostile(&hosts);
    let guard = Guard::new(["127.0.0.0/8".parse().unwrap()]);
    let origin = HttpOrigin::new(guard, 1);
    for host in &hosts {
        get(&origin, &server.at((*host).into(), "/x/empty")).await.unwrap();
    }
    // Ends are seen a little later than they are made.
    for _ in 0..6000 {
        if server.open_connections() <= 16 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.open_connections(), 16);
}

async fn tell_version(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from(format!("{:?}", request.version()))))
}

/// A TLS server on loopback that answers each request with its HTTP version, and its certificate.
async fn tls_server(alpn: &[&str]) -> (u16, rcgen::Certificate) {
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            tokio::spawn(async move {
                let service = hyper::service::service_fn(tell_version);
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await;
            });
        }
    });
    (port, made.cert)
}

#[tokio::test]
async fn a_trusted_server_is_spoken_to_in_http_2_or_1() {
    for (alpn, version) in
        [(vec!["h2", "http/1.1"], "HTTP/2.0"), (vec!["http/1.1"], "HTTP/1.1"), (vec![], "HTTP/1.1")]
    {
        let (port, certificate) = tls_server(&alpn).await;
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let manner = Manner { trust: Trust::of(roots), ..leave_for("127.0.0.1/32") };
        let origin = HttpOrigin::over(manner, 64, Resolver::by(|_| Ok(vec![HERE.into()])));
        let mut answer = get(&origin, &format!("https://a.example:{port}/a.jpg")).await.unwrap();
        assert_eq!(answer.content_length, Some(8));
        assert_eq!(answer.body.chunk().await.unwrap().unwrap(), version);
        assert_eq!(answer.body.chunk().await.unwrap(), None);
        let rooted = get(&origin, &format!("https://a.example.:{port}/a.jpg")).await.unwrap();
        assert_eq!(rooted.status, 200, "a dot behind the name is no part of it");
        let other = fault(&origin, &format!("https://b.example:{port}/a.jpg")).await;
        assert_eq!((other.code, other.transient), (Code::FetchTls, false), "{other}");
    }
}

#[tokio::test]
async fn a_certificate_of_nobody_we_know_is_refused_for_good() {
    let (port, _) = tls_server(&["h2"]).await;
    let origin = HttpOrigin::new(leave_for("127.0.0.1/32"), 64);
    let fault = fault(&origin, &format!("https://127.0.0.1:{port}/a.jpg?key=secret")).await;
    assert_eq!((fault.code, fault.transient), (Code::FetchTls, false), "{fault}");
    assert!(fault.message.contains("certificate") && !fault.message.contains("secret"), "{fault}");
}

#[tokio::test]
async fn a_server_that_hangs_up_in_the_handshake_may_do_better_next_time() {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    let origin = resolving(|_| Ok(vec![]));
    let fault = fault(&origin, &format!("https://127.0.0.1:{port}/a.jpg")).await;
    assert_eq!((fault.code, fault.transient), (Code::FetchTls, true), "{fault}");
}

#[test]
fn user_password_and_fragment_are_not_part_of_what_is_asked_for() {
    let url = Url::parse("http://me:you@a.example:8080/%7B a|b/?q=[1]#top").unwrap();
    assert_eq!(uri(&url).unwrap(), "http://a.example:8080/%7B%20a|b/?q=[1]");
}

#[test]
fn an_address_too_long_to_be_asked_for_is_invalid() {
    let url = Url::parse(&format!("http://a.example/{}", "a".repeat(70_000))).unwrap();
    assert_eq!(uri(&url).unwrap_err().code, Code::UrlInvalid);
}
