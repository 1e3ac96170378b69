//! `introspect serve`, as another program would use it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{introspect, json, stderr};
use serde_json::Value;

const COFFEE: &[u8] = include_bytes!("../../../assets/coffee.png");

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(place: &Path, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_introspect"))
            .args(["serve", "--address", "127.0.0.1:0"])
            .args(flags)
            .current_dir(place)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { child, address }
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // a server that refuses need not read to the end
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
        (status, answer[end + 4..].to_vec())
    }

    fn json(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let (status, body) = self.ask(method, path, body);
        (status, serde_json::from_slice(&body).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_api_says_what_the_commands_say() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    std::fs::write(place.join("coffee.png"), COFFEE).unwrap();
    let server = Server::start(place, &[]);
    let (status, served) = server.json("POST", "/explain?name=coffee.png&rather_than=cup", COFFEE);
    assert_eq!(status, 200, "{served}");
    let told =
        json(&introspect(place, &["explain", "coffee.png", "--rather-than", "cup", "--json"]));
    for field in ["schema_version", "image", "stored", "layer", "preprocessing", "seen"] {
        assert_eq!(served[field], told[field], "{field}");
    }
    // the server fuses operators, which rounds otherwise
    let close = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-3;
    assert!(close(&served["prediction"]["probability"], &told["prediction"]["probability"]));
    let (ours, theirs) =
        (served["questions"].as_array().unwrap(), told["questions"].as_array().unwrap());
    assert_eq!(ours.len(), 3);
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!((&ours["text"], &ours["form"]), (&theirs["text"], &theirs["form"]));
        assert!(
            close(&ours["max"], &theirs["max"])
                && close(&ours["positive_share"], &theirs["positive_share"])
        );
        let map = served["maps"][ours["map"].as_str().unwrap()].as_array().unwrap();
        let highest =
            map.iter().flat_map(|row| row.as_array().unwrap()).map(|v| v.as_f64().unwrap());
        assert!(
            (highest.fold(f64::NEG_INFINITY, f64::max) - ours["max"].as_f64().unwrap()).abs()
                < 1e-6
        );
    }

    // one class's map, and the picture at another layer
    let id = served["id"].as_str().unwrap();
    let (status, map) = server.ask("GET", &format!("/pictures/{id}/cam/968"), b"");
    assert_eq!((status, map.len()), (200, 4 * 13 * 13));
    let (status, earlier) =
        server.json("POST", &format!("/pictures/{id}/explain?layer=features.7"), b"");
    assert_eq!((status, &earlier["layer"]), (200, &"features.7".into()));
    let (status, zip) = server.ask("GET", &format!("/pictures/{id}/run.zip?style=signed"), b"");
    assert_eq!((status, &zip[..2]), (200, &b"PK"[..]));

    let (_, predicted) = server.json("POST", "/predict?name=coffee.png", COFFEE);
    let told = json(&introspect(place, &["predict", "coffee.png"]));
    assert_eq!(predicted["f"]["class"], told["f"]["class"]);
    assert!(close(&predicted["f"]["entropy"], &told["f"]["entropy"]));
}

#[test]
fn bombs_and_nonsense_are_refused_and_the_next_picture_is_not() {
    let place = tempfile::tempdir().unwrap();
    let server = Server::start(place.path(), &["--max-pixels", "1", "--max-body", "1"]);
    // a header that promises 60000 x 60000 pixels
    let mut bomb = COFFEE.to_vec();
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let (status, error) = server.json("POST", "/explain", &bomb);
    assert!(status == 413 || status == 415, "{error}");
    let mut ppm = b"P6 1001 1000 255\n".to_vec();
    ppm.resize(ppm.len() + 1000, 0);
    let (status, error) = server.json("POST", "/explain", &ppm);
    assert_eq!(status, 413, "{error}");
    assert!(error["error"].as_str().unwrap().contains("1001 x 1000 pixels"), "{error}");
    assert_eq!(server.json("POST", "/explain", &vec![0; 1_048_577]).0, 413);
    assert_eq!(server.json("POST", "/explain", &COFFEE[..COFFEE.len() / 2]).0, 415);
    assert_eq!(server.json("POST", "/explain?layer=nowhere", COFFEE).0, 400);
    assert_eq!(server.json("POST", "/explain?rather_than=espresso", COFFEE).0, 400);
    assert_eq!(server.json("POST", "/explain", COFFEE).0, 200);
}

#[test]
fn an_address_that_cannot_be_had_is_named() {
    let place = tempfile::tempdir().unwrap();
    let server = Server::start(place.path(), &[]);
    let run = introspect(place.path(), &["serve", "--address", &server.address]);
    assert_eq!(run.status.code(), Some(2));
    assert!(
        stderr(&run).contains(&server.address) && stderr(&run).contains("port 0"),
        "{}",
        stderr(&run)
    );
}

/// With a head that reads a second pass: what it says is that of the command, and stands in both answers.
#[test]
fn a_second_stage_is_served_as_the_commands_have_it() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    std::fs::write(place.join("coffee.png"), COFFEE).unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/cifar10-jpeg/");
    let (network, head) =
        (format!("{example}network.safetensors"), format!("{example}robust.safetensors"));
    let flags = ["--model", &network, "--head", &head];
    let server = Server::start(place, &flags);
    let told = json(&introspect(place, &[&["predict", "coffee.png"], &flags[..]].concat()));
    let (status, served) = server.json("POST", "/predict?name=coffee.png", COFFEE);
    assert_eq!(status, 200, "{served}");
    let close = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-4;
    let (ours, theirs) = (&served["reflection"], &told["reflection"]);
    assert_eq!(ours["class"], theirs["class"]);
    assert!(close(&ours["confidence"], &theirs["confidence"]), "{ours} {theirs}");
    let (_, explained) = server.json("POST", "/explain", COFFEE);
    let second = &explained["second_stage"]["prediction"];
    assert_eq!(second["name"], theirs["class"]);
    assert!(close(&second["probability"], &theirs["confidence"]), "{second} {theirs}");
    assert!(
        explained["verdicts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|v| v["name"] == "out-of-distribution")
    );
}
