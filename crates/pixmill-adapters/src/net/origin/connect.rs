//! The one way to a connection: resolve, judge every address, connect to a judged one, judge the peer,
//! and encrypt where the scheme says so.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hyper::Uri;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::Guard;
use super::failure::{in_words, of_encryption};
use super::link::{Link, Seat, Stream};
use super::proxy::Proxy;
use super::resolve::Resolver;

/// For a connection, and as long again for its encryption. Connections are also made in the background,
/// where no request's own time limit ends them.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an address has to itself before the next is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Connects to permitted addresses.
#[derive(Clone)]
pub(in crate::net) struct GuardedConnector {
    inner: Arc<Inner>,
}

struct Inner {
    guard: Arc<Guard>,
    resolver: Resolver,
    tls: TlsConnector,
    proxy: Option<Proxy>,
    open: Arc<AtomicUsize>,
    /// Connections beyond so many are closed after their request, whatever the origin offers: a
    /// catalogue of ten thousand hosts must not leave ten thousand sockets idle.
    kept_max: usize,
}

impl GuardedConnector {
    /// For up to `requests` at once.
    pub(super) fn new(guard: Arc<Guard>, resolver: Resolver, tls: TlsConnector, requests: usize) -> Self {
        Self::through(None, guard, resolver, tls, requests)
    }

    /// The same, through a proxy where there is one.
    pub(super) fn through(
        proxy: Option<Proxy>,
        guard: Arc<Guard>,
        resolver: Resolver,
        tls: TlsConnector,
        requests: usize,
    ) -> Self {
        let kept_max = requests.saturating_mul(2).max(16);
        let inner = Inner { guard, resolver, tls, proxy, open: Arc::default(), kept_max };
        GuardedConnector { inner: Arc::new(inner) }
    }

    /// Judges where a connection would lead, and makes none.
    ///
    /// # Errors
    /// `fetch.blocked_address`; `fetch.dns`.
    pub(in crate::net) async fn judge(&self, uri: &Uri) -> Result<(), Fault> {
        self.inner.sockets(&Place::of(uri)).await.map(drop)
    }
}

impl Service<Uri> for GuardedConnector {
    type Response = Link;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Link, Fault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.connect(&uri).await })
    }
}

/// Where an address leads.
struct Place<'a> {
    host: &'a str,
    port: u16,
    encrypted: bool,
}

impl<'a> Place<'a> {
    fn of(uri: &'a Uri) -> Self {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let encrypted = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        Place { host, port, encrypted }
    }
}

impl Inner {
    async fn connect(&self, uri: &Uri) -> Result<Link, Fault> {
        let place = Place::of(uri);
        let sockets = self.sockets(&place).await?;
        let seat = Seat::take(&self.open);
        let keep = seat.number < self.kept_max;
        let stream = match &self.proxy {
            None => self.straight(sockets, &place).await?,
            Some(proxy) if !place.encrypted => {
                return Ok(Link::new(self.to_a_proxy(proxy).await?, keep, seat).by_a_proxy());
            }
            Some(proxy) => self.through_a_tunnel(proxy, &sockets).await?,
        };
        if !place.encrypted {
            return Ok(Link::new(stream, keep, seat));
        }
        let stream = self.encrypt(stream, place.host, place.port).await?;
        let http_2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Link::new(Box::new(stream), keep, seat).in_http_2(http_2))
    }

    /// A connection to the target itself.
    async fn straight(&self, sockets: Vec<SocketAddr>, place: &Place<'_>) -> Result<Box<dyn Stream>, Fault> {
        let Place { host, port, .. } = place;
        let stream = connect_to_one_of(sockets).await.map_err(|error| {
            let message = format!("No connection to {host} on port {port}: {}.", in_words(&error));
            Fault::transient(Code::FetchConnect, message)
        })?;
        self.judge_peer(&stream, host)?;
        // Requests are small and written whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        Ok(Box::new(stream))
    }

    /// A connection to the proxy, which the operator named and which may stand anywhere.
    async fn to_a_proxy(&self, proxy: &Proxy) -> Result<Box<dyn Stream>, Fault> {
        let addresses = self.addresses(&proxy.host).await?;
        let sockets = addresses.iter().map(|address| SocketAddr::new(*address, proxy.port));
        let stream = connect_to_one_of(sockets.take(ADDRESSES_MAX).collect()).await;
        let stream =
            stream.map_err(|error| proxy.fault(&format!("can't be reached: {}", in_words(&error))))?;
        let _ = stream.set_nodelay(true);
        Ok(Box::new(stream))
    }

    async fn through_a_tunnel(&self, proxy: &Proxy, judged: &[SocketAddr]) -> Result<Box<dyn Stream>, Fault> {
        let mut stream = self.to_a_proxy(proxy).await?;
        // Whether the proxy has a way to IPv6 is not known here.
        let to = judged.iter().find(|socket| socket.is_ipv4()).or(judged.first());
        let to = *to.expect("the guard lets through one address at least");
        match tokio::time::timeout(CONNECT_TIMEOUT, proxy.tunnel(&mut stream, to)).await {
            Ok(tunnel) => tunnel.map(|()| stream),
            Err(_) => Err(proxy.fault(&format!("made no connection to {to} in time"))),
        }
    }

    async fn sockets(&self, place: &Place<'_>) -> Result<Vec<SocketAddr>, Fault> {
        let addresses = self.addresses(place.host).await?;
        permitted(&self.guard, &addresses, place.host, place.port)
    }

    async fn addresses(&self, host: &str) -> Result<Arc<[IpAddr]>, Fault> {
        match host.parse::<IpAddr>() {
            Ok(literal) => Ok(Arc::from([literal])),
            Err(_) => self.resolver.addresses(host).await.map_err(|reason| {
                let message = format!("The host name '{host}' does not resolve: {reason}.");
                Fault::transient(Code::FetchDns, message)
            }),
        }
    }

    /// A refused certificate or a broken handshake stays as it is, a connection lost in the midst may not.
    async fn encrypt(
        &self,
        stream: Box<dyn Stream>,
        host: &str,
        port: u16,
    ) -> Result<TlsStream<Box<dyn Stream>>, Fault> {
        let told = |reason: &str| format!("No encrypted connection to {host} on port {port}: {reason}.");
        // The dot that ends a name whose root is named is no part of it for certificates.
        let name = ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned())
            .map_err(|_| Fault::permanent(Code::FetchTls, told("no certificate can be for such a name")))?;
        match tokio::time::timeout(CONNECT_TIMEOUT, self.tls.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(rustls) => Err(Fault::permanent(Code::FetchTls, told(&of_encryption(rustls)))),
                None => Err(Fault::transient(Code::FetchTls, told(&in_words(&error)))),
            },
            Err(_) => Err(Fault::transient(Code::FetchTls, told(&in_words(&too_late())))),
        }
    }

    /// What was connected to is what counts, whatever was asked for.
    fn judge_peer(&self, stream: &TcpStream, host: &str) -> Result<(), Fault> {
        match stream.peer_addr() {
            Ok(peer) if self.guard.permits_socket(peer) => Ok(()),
            Ok(_) => Err(blocked(host)),
            Err(error) => {
                let message = format!("The connection to {host} broke: {}.", in_words(&error));
                Err(Fault::transient(Code::FetchConnect, message))
            }
        }
    }
}

/// Those of `addresses` that may be called on `port`, the other family's first one second, so that a
/// family that leads nowhere costs one head start.
///
/// # Errors
/// `fetch.blocked_address` when there is none, saying whether the address or only the port is at fault.
pub(in crate::net) fn permitted(
    guard: &Guard,
    addresses: &[IpAddr],
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, Fault> {
    let sockets = addresses.iter().map(|address| SocketAddr::new(*address, port));
    let mut sockets: Vec<_> = sockets.filter(|socket| guard.permits_socket(*socket)).collect();
    if sockets.is_empty() {
        return Err(match addresses.iter().find(|address| guard.permits(**address)) {
            Some(address) => blocked_port(host, *address, port),
            None => blocked(host),
        });
    }
    let first_is_v4 = sockets[0].is_ipv4();
    if let Some(other) = sockets.iter().position(|socket| socket.is_ipv4() != first_is_v4) {
        sockets[1..=other].rotate_right(1);
    }
    sockets.truncate(ADDRESSES_MAX);
    Ok(sockets)
}

fn blocked(host: &str) -> Fault {
    let message = format!("{host} is, or resolves to, an address that is private or reserved.");
    Fault::permanent(Code::FetchBlockedAddress, message)
}

fn blocked_port(host: &str, address: IpAddr, port: u16) -> Fault {
    let message = format!(
        "Port {port} of {host} may not be called, only 80 and 443: --allow-address {address} opens every port there."
    );
    Fault::permanent(Code::FetchBlockedAddress, message)
}

async fn connect_to_one_of(sockets: Vec<SocketAddr>) -> io::Result<TcpStream> {
    match tokio::time::timeout(CONNECT_TIMEOUT, race(sockets)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(too_late()),
    }
}

fn too_late() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

/// The first connection made, an address tried as soon as the last failed or its head start is over.
async fn race(sockets: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = sockets.into_iter();
    let mut tries = FuturesUnordered::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        tries.extend(waiting.next().map(TcpStream::connect));
        let next_may_start = async {
            match waiting.len() {
                0 => std::future::pending().await,
                _ => tokio::time::sleep(HEAD_START).await,
            }
        };
        tokio::select! {
            outcome = tries.next() => match outcome {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => failure = error,
                None => return Err(failure),
            },
            () = next_may_start => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(guard: &Guard, addresses: &[&str], port: u16) -> Result<Vec<String>, Fault> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let sockets = permitted(guard, &addresses, "a.example", port)?;
        Ok(sockets.iter().map(SocketAddr::to_string).collect())
    }

    #[test]
    fn blocked_addresses_of_a_name_are_dropped_and_the_others_kept() {
        let found = sockets(&Guard::default(), &["10.0.0.1", "8.8.8.8", "::1"], 80).unwrap();
        assert_eq!(found, ["8.8.8.8:80"]);
    }

    #[test]
    fn a_name_whose_addresses_are_all_blocked_is_blocked() {
        let fault = sockets(&Guard::default(), &["10.0.0.1", "::1"], 80).unwrap_err();
        assert_eq!((fault.code, fault.transient), (Code::FetchBlockedAddress, false));
    }

    #[tokio::test]
    async fn where_a_name_leads_is_judged_without_a_connection() {
        let resolver = Resolver::by(|host| match host {
            "outside.example" => Ok(vec!["8.8.8.8".parse().unwrap()]),
            "inside.example" => Ok(vec!["10.0.0.1".parse().unwrap()]),
            _ => Err(io::ErrorKind::NotFound.into()),
        });
        let tls = TlsConnector::from(Arc::new(crate::net::trust::Trust::default().client(&[])));
        let connector = GuardedConnector::new(Arc::default(), resolver, tls, 1);
        let judge = async |address: &'static str| connector.judge(&Uri::from_static(address)).await;
        assert_eq!(judge("https://outside.example/").await, Ok(()));
        let inside = judge("https://inside.example/").await.unwrap_err();
        assert_eq!((inside.code, inside.transient), (Code::FetchBlockedAddress, false));
        let nowhere = judge("https://nowhere.example/").await.unwrap_err();
        assert_eq!((nowhere.code, nowhere.transient), (Code::FetchDns, true));
    }

    #[test]
    fn a_blocked_port_is_named() {
        let fault = sockets(&Guard::default(), &["8.8.8.8"], 8080).unwrap_err();
        assert_eq!(fault.code, Code::FetchBlockedAddress);
        assert!(fault.message.contains("8080"), "{}", fault.message);
        assert!(fault.message.contains("--allow-address 8.8.8.8"), "{}", fault.message);
    }

    #[test]
    fn the_other_family_is_tried_second() {
        let found = sockets(&Guard::default(), &["2600::1", "2600::2", "2600::3", "8.8.8.8"], 80).unwrap();
        assert_eq!(found, ["[2600::1]:80", "8.8.8.8:80", "[2600::2]:80", "[2600::3]:80"]);
    }

    #[test]
    fn few_addresses_of_a_name_are_tried() {
        let many: Vec<String> = (0..100).map(|number| format!("8.8.8.{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(sockets(&Guard::default(), &many, 80).unwrap().len(), ADDRESSES_MAX);
    }
}
