//! Strangers at the door: what they send is refused clearly, and nobody else is disturbed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use introspective_serve::{Ask, Backend, Limits, Refusal, Stop, serve};
use serde_json::{Value, json};

/// Counts bytes; `wait` waits until it is let go, `panic` panics.
struct Counter {
    go: Mutex<Receiver<()>>,
}

impl Backend for Counter {
    type Seen = usize;

    fn see(&self, bytes: &[u8], _: &Ask) -> Result<usize, Refusal> {
        match bytes {
            b"wait" => self.go.lock().unwrap().recv().unwrap(),
            b"slow" => std::thread::sleep(Duration::from_secs(3)),
            b"panic" => panic!("as asked"),
            b"text" => return Err(Refusal::Picture("is text".to_owned())),
            b"bomb" => return Err(Refusal::TooLarge("is 9 x 9 pixels".to_owned())),
            _ => {}
        }
        Ok(bytes.len())
    }

    fn see_again(&self, seen: &usize, _: &Ask) -> Result<usize, Refusal> {
        Ok(seen + 1)
    }

    fn size(&self, seen: &usize) -> usize {
        *seen
    }

    fn predict(&self, seen: &usize) -> Result<Value, Refusal> {
        Ok(json!({ "bytes": seen }))
    }

    fn explain(&self, seen: &usize, ask: &Ask) -> Result<Value, Refusal> {
        match ask.class.as_deref() {
            Some("none") => Err(Refusal::Question("there is no class none".to_owned())),
            class => Ok(json!({ "bytes": seen, "class": class })),
        }
    }

    fn explorer(&self, seen: &usize, _: &Ask) -> Result<String, Refusal> {
        Ok(json!({ "bytes": seen }).to_string())
    }

    fn cam(&self, _: &usize, class: usize) -> Result<Vec<f32>, Refusal> {
        Ok(vec![class as f32, 0.5])
    }

    fn archive(&self, _: &usize, _: &Ask) -> Result<Vec<u8>, Refusal> {
        Ok(b"PK".to_vec())
    }

    fn about(&self) -> Value {
        json!({ "model": "counter" })
    }
}

/// A server on a free port, stopped in order at the end.
struct Server {
    address: SocketAddr,
    go: Sender<()>,
    stop: Stop,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Server {
    fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (go, waiting) = channel();
        let (stop, backend) = (Stop::default(), Arc::new(Counter { go: Mutex::new(waiting) }));
        let told = stop.clone();
        let thread = std::thread::spawn(move || serve(listener, backend, limits, &told));
        Self { address, go, stop, thread: Some(thread) }
    }

    /// Sends the head and body as they are, and reads all that comes back.
    fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        // a server that closes before it read everything may reset the connection after its answer
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        Answer(self.raw(&[head.as_bytes(), body].concat()))
    }

    fn finish(mut self) {
        self.stop.now();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

struct Answer(String);

impl Answer {
    fn status(&self) -> u16 {
        self.0.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {}", self.0)).parse().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.0.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    fn says(&self, status: u16, part: &str) {
        assert_eq!(self.status(), status, "{}", self.0);
        assert!(self.json()["error"].as_str().unwrap().contains(part), "{}", self.0);
    }
}

fn small() -> Limits {
    Limits { body: 1000, time: Duration::from_millis(600), ..Limits::default() }
}

#[test]
fn pictures_are_kept_and_asked_again() {
    let server = Server::start(Limits { pictures: 2, ..small() });
    let first = server.ask("POST", "/explain?class=3&name=a.png", b"12345").json();
    assert_eq!((&first["bytes"], &first["class"]), (&5.into(), &"3".into()));
    let id = first["id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    assert_eq!(server.ask("GET", &format!("/pictures/{id}"), b"").json()["bytes"], 5);
    let again = server.ask("POST", &format!("/pictures/{id}/explain?layer=x"), b"").json();
    assert_eq!(again["bytes"], 6);
    assert_ne!(again["id"], first["id"]);
    let cam = server.ask("GET", &format!("/pictures/{id}/cam/7"), b"");
    assert!(cam.0.ends_with("\u{0}\u{0}\u{fffd}@\u{0}\u{0}\u{0}?"), "{:?}", cam.0);
    assert!(server.ask("GET", &format!("/pictures/{id}/run.zip"), b"").0.ends_with("\r\n\r\nPK"));
    assert_eq!(server.ask("POST", "/predict", b"123").json()["bytes"], 3);
    assert_eq!(server.ask("GET", "/healthz", b"").json()["pictures"], 2);
    // one more, and the one asked for longest ago is gone
    server.ask("POST", "/explain", b"1");
    server.ask("POST", "/explain", b"1");
    server.ask("GET", &format!("/pictures/{id}"), b"").says(404, "send it again");
    server.finish();
}

#[test]
fn bodies_have_limits() {
    let server = Server::start(small());
    server.ask("POST", "/explain", &[7; 1001]).says(413, "--max-body");
    assert_eq!(server.ask("POST", "/explain", &[7; 1000]).status(), 200);
    // a length that nobody means, refused before anything comes
    let head = format!(
        "POST /explain HTTP/1.1\r\nHost: {}\r\nContent-Length: 99999999999\r\n\r\n",
        server.address
    );
    assert!(server.raw(head.as_bytes()).contains("413"));
    // chunks without end
    let head = format!(
        "POST /predict HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.address
    );
    let chunks = format!("{head}{}", format!("200\r\n{}\r\n", "x".repeat(512)).repeat(20));
    assert!(server.raw(chunks.as_bytes()).contains("413"));
    // one that does not come
    let head = format!(
        "POST /predict HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 10\r\n\r\nab",
        server.address
    );
    Answer(server.raw(head.as_bytes())).says(408, "did not come");
    assert_eq!(server.ask("GET", "/healthz", b"").status(), 200);
    server.finish();
}

#[test]
fn bodies_on_their_way_have_a_limit_together() {
    let server = Server::start(Limits { bodies: 1000, time: Duration::from_secs(5), ..small() });
    let mut half = TcpStream::connect(server.address).unwrap();
    half.write_all(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nab")
        .unwrap();
    std::thread::sleep(Duration::from_millis(200));
    server.ask("POST", "/predict", b"123").says(503, "too many");
    assert_eq!(server.ask("GET", "/healthz", b"").status(), 200);
    drop(half);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(server.ask("POST", "/predict", b"123").status(), 200);
    server.finish();
}

#[test]
fn who_does_not_read_is_let_go() {
    let server = Server::start(Limits { connections: 2, ..small() });
    let deaf: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            let ask = "GET /explorer.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2000);
            stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
            // the server stops reading once nothing of its answers is taken
            let _ = stream.write_all(ask.as_bytes());
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(server.ask("GET", "/healthz", b"").status(), 200);
    drop(deaf);
    server.finish();
}

#[test]
fn a_full_queue_is_said_and_those_before_are_answered() {
    let server =
        Server::start(Limits { queue: 1, workers: 1, time: Duration::from_secs(20), ..small() });
    let waiting = |number: usize| {
        let address = server.address;
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 4\r\n\r\nwait";
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            (number, answer)
        })
    };
    let first = waiting(0);
    std::thread::sleep(Duration::from_millis(200));
    let second = waiting(1);
    std::thread::sleep(Duration::from_millis(200));
    let third = server.ask("POST", "/predict", b"123");
    third.says(503, "too many pictures");
    assert!(third.0.to_lowercase().contains("retry-after: 1"));
    // what needs no thread is answered all the same
    assert_eq!(server.ask("GET", "/healthz", b"").status(), 200);
    server.go.send(()).unwrap();
    server.go.send(()).unwrap();
    for waiter in [first, second] {
        let (number, answer) = waiter.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{number}: {answer}");
    }
    server.finish();
}

#[test]
fn what_breaks_off_or_takes_too_long_disturbs_nobody() {
    let server = Server::start(small());
    server.ask("POST", "/explain", b"panic").says(500, "broke off");
    server.ask("POST", "/explain", b"slow").says(503, "too long");
    server.ask("POST", "/explain", b"text").says(415, "is text");
    server.ask("POST", "/explain", b"bomb").says(413, "9 x 9");
    assert_eq!(server.ask("POST", "/explain", b"123").status(), 200);
    server.finish();
}

#[test]
fn foreign_names_paths_and_methods_are_refused() {
    let server = Server::start(small());
    let with = |method: &str, path: &str, header: &str| {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: 1\r\n{header}\r\n\r\nx"
        );
        Answer(server.raw(head.as_bytes()))
    };
    with("GET", "/", "Host: evil.example").says(421, "localhost");
    with("POST", "/explain", "Host: localhost\r\nOrigin: https://evil.example")
        .says(403, "other sites");
    with("POST", "/explain", "Host: localhost\r\nSec-Fetch-Site: cross-site")
        .says(403, "other sites");
    for path in [
        "/etc/passwd",
        "/../../etc/passwd",
        "/%2e%2e/x",
        "/pictures",
        "/pictures/a/b/c",
        "/explorer.js/..",
    ] {
        server.ask("GET", path, b"").says(404, "there is no");
    }
    server.ask("GET", "/pictures/..%2f..%2fetc", b"").says(404, "not kept");
    server.ask("GET", "/explain", b"").says(405, "POST");
    server.ask("DELETE", "/explain", b"").says(405, "GET or POST");
    server.ask("POST", "/", b"").says(405, "GET");
    server.ask("POST", "/explain?clas=3", b"x").says(400, "unknown word \"clas\"");
    server.ask("POST", "/predict?class=1", b"x").says(400, "/predict knows name");
    server.ask("POST", "/explain?class=1&class=2", b"x").says(400, "twice");
    server.ask("POST", "/healthz", b"").says(405, "GET");
    server.ask("GET", "/pictures/a/explain", b"").says(405, "POST");
    server.ask("POST", "/explain?class=none", b"x").says(400, "no class none");
    let id = server.ask("POST", "/explain", b"x").json()["id"].as_str().unwrap().to_owned();
    server.ask("GET", &format!("/pictures/{id}/cam/-1"), b"").says(400, "no number");
    // no HTTP at all
    let noise = server.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n");
    assert!(noise.is_empty() || noise.contains("400"), "{noise}");
    let page = server.ask("GET", "/", b"").0.to_lowercase();
    for header in ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff"]
    {
        assert!(page.contains(header), "{header}");
    }
    server.finish();
}

#[test]
fn connections_are_counted_and_silent_ones_do_no_harm() {
    let server = Server::start(Limits { connections: 8, ..small() });
    let silent: Vec<TcpStream> =
        (0..7).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.ask("GET", "/healthz", b"").status(), 200);
    let more = TcpStream::connect(server.address).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"), "");
    drop((silent, more));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.ask("GET", "/healthz", b"").status(), 200);
    server.finish();
}

#[test]
fn a_server_that_stops_answers_first() {
    let server = Server::start(Limits { time: Duration::from_secs(20), ..small() });
    let address = server.address;
    let waiter = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nwait";
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    std::thread::sleep(Duration::from_millis(200));
    server.stop.now();
    std::thread::sleep(Duration::from_millis(200));
    assert!(TcpStream::connect(address).is_err(), "nobody new is let in");
    server.go.send(()).unwrap();
    assert!(waiter.join().unwrap().starts_with("HTTP/1.1 200"));
    server.finish();
}
