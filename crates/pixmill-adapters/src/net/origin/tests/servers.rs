//! Servers with habits of their own, byte by byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;

use super::*;

/// A server in a thread, which hands each request's head and its number on its connection to `answer`; nothing back
/// closes the connection.
struct Server {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn start(answer: impl Fn(usize, &str) -> Option<Vec<u8>> + Send + Sync + Clone + 'static) -> Self {
        let listener = TcpListener::bind((HERE, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (heads, connections) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let server = Server { address, heads: heads.clone(), connections: connections.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                connections.fetch_add(1, Ordering::SeqCst);
                let (heads, answer) = (heads.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &heads, answer));
            }
        });
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, heads: &Mutex<Vec<String>>, answer: impl Fn(usize, &str) -> Option<Vec<u8>>) {
    for number in 0.. {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        heads.lock().unwrap().push(head.clone());
        let Some(bytes) = answer(number, &head) else { return };
        if stream.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn answer_of(headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 7\r\n\r\npicture").into_bytes()
}

pub(super) async fn bytes_of(answer: Result<Answer, Fault>) -> Result<Vec<u8>, Fault> {
    let mut answer = answer?;
    let mut whole = Vec::new();
    while let Some(piece) = answer.body.chunk().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

pub(super) async fn fetched(origin: &HttpOrigin, url: &str) -> Result<Vec<u8>, Fault> {
    bytes_of(get(origin, url).await).await
}

pub(super) fn here() -> HttpOrigin {
    HttpOrigin::new(leave_for("127.0.0.1/32"), 64)
}

#[tokio::test]
async fn a_kept_connection_that_dies_unanswered_is_replaced_at_once() {
    let server = Server::start(|number, _| (number == 0).then(|| answer_of("")));
    let origin = here();
    for _ in 0..10 {
        assert_eq!(fetched(&origin, &server.url("/a.jpg")).await.unwrap(), b"picture");
    }
}

#[tokio::test]
async fn a_new_connection_that_dies_unanswered_is_a_fault() {
    let server = Server::start(|_, _| None);
    let fault = fetched(&here(), &server.url("/a.jpg")).await.unwrap_err();
    assert_eq!((fault.code, fault.transient), (Code::FetchConnect, true));
    assert_eq!(server.heads().len(), 1, "it is asked once");
}

#[tokio::test]
async fn a_connection_that_dies_within_an_answer_is_not_asked_again() {
    let server = Server::start(|number, _| {
        Some(if number == 0 { answer_of("") } else { b"HTTP/1.1 200 OK\r\nContent-Le".to_vec() })
    });
    let origin = here();
    fetched(&origin, &server.url("/a.jpg")).await.unwrap();
    // The second request gets half a head, and the third nothing: the server waits for one that never comes.
    let second =
        tokio::time::timeout(Duration::from_millis(300), fetched(&origin, &server.url("/b.jpg"))).await;
    assert!(second.is_err() && server.heads().len() == 2);
}

#[tokio::test]
async fn many_headers_and_old_ways_of_writing_them_are_read() {
    for headers in [
        (0..900).map(|number| format!("X-{number}: v\r\n")).collect::<String>(),
        format!("X-Large: {}\r\n", "v".repeat(200_000)),
        "X-Folded: a\r\n  b\r\n".to_owned(),
        "X-Spaced : a\r\n".to_owned(),
        "No header at all\r\n".to_owned(),
    ] {
        let server = Server::start(move |_, _| Some(answer_of(&headers)));
        assert_eq!(fetched(&here(), &server.url("/a.jpg")).await.unwrap(), b"picture");
    }
    let endless = "X-More: v\r\n".repeat(1_200);
    let server = Server::start(move |_, _| Some(answer_of(&endless)));
    let fault = fetched(&here(), &server.url("/a.jpg")).await.unwrap_err();
    assert!(fault.message.contains("more headers"), "{fault}");
}

#[tokio::test]
async fn identity_as_a_transfer_encoding_ends_with_its_length() {
    let server = Server::start(|_, _| Some(answer_of("Transfer-Encoding: identity\r\n")));
    let origin = here();
    for _ in 0..3 {
        let url = server.url("/a.jpg");
        let fetching = fetched(&origin, &url);
        let fetched = tokio::time::timeout(Duration::from_secs(20), fetching).await;
        assert_eq!(fetched.expect("the connection is kept, the body is over").unwrap(), b"picture");
    }
}

#[tokio::test]
async fn through_a_proxy_whole_addresses_are_asked_for_and_the_guard_still_judges() {
    let proxy = Server::start(|_, _| Some(answer_of("")));
    let url = Url::parse(&format!("http://me:you@{}", proxy.address)).unwrap();
    let lookup = Resolver::by(|host| match host {
        "shop.example" => Ok(vec!["192.0.2.1".parse().unwrap()]),
        "inside.example" => Ok(vec!["10.0.0.1".parse().unwrap()]),
        _ => Err(io::Error::other("no such name")),
    });
    let manner = Manner { proxy: Some(Proxy::at(&url).unwrap()), ..leave_for("192.0.2.0/24") };
    let origin = HttpOrigin::over(manner, 64, lookup);
    assert_eq!(fetched(&origin, "http://shop.example/a.jpg?b=c").await.unwrap(), b"picture");
    let head = proxy.heads().remove(0);
    assert!(head.starts_with("GET http://shop.example/a.jpg?b=c HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: Basic bWU6eW91\r\n"), "{head}");
    for blocked in
        ["http://inside.example/", "https://inside.example/", "http://127.0.0.1/", "http://10.0.0.1/"]
    {
        assert_eq!(fault(&origin, blocked).await.code, Code::FetchBlockedAddress, "{blocked}");
    }
    assert_eq!(proxy.connections.load(Ordering::SeqCst), 1, "nothing else was asked for");
    // An encrypted request asks for a tunnel to the address that was judged.
    let _ = get(&origin, "https://shop.example/a.jpg").await;
    let head = proxy.heads().remove(1);
    assert!(head.starts_with("CONNECT 192.0.2.1:443 HTTP/1.1\r\n"), "{head}");
}

#[tokio::test]
async fn a_proxy_that_asks_who_calls_is_told_of_in_words() {
    let proxy = Server::start(|_, _| {
        Some(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n".to_vec())
    });
    let proxy = Proxy::at(&Url::parse(&format!("http://{}", proxy.address)).unwrap()).unwrap();
    let manner = Manner { proxy: Some(proxy), ..leave_for("192.0.2.0/24") };
    let origin = HttpOrigin::over(manner, 64, Resolver::by(|_| Ok(vec!["192.0.2.1".parse().unwrap()])));
    for url in ["http://shop.example/", "https://shop.example/"] {
        let fault = fault(&origin, url).await;
        assert!(fault.message.contains("--proxy") && !fault.transient, "{fault}");
    }
}
