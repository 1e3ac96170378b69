//! Who may ask: no page of another site, and no name that merely points here.

use std::net::SocketAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode};

use crate::routes::Answer;

/// Checks a request's headers.
///
/// A server on loopback answers to loopback's names only, so that a foreign name that was made to point here (DNS rebinding) gets nothing.
/// What changes something must not come from another site's page: browsers say where it came from.
///
/// # Errors
/// The host or the origin is a foreign one.
pub fn check(method: &Method, headers: &HeaderMap, address: SocketAddr) -> Result<(), Answer> {
    let text =
        |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let host = text(HOST).unwrap_or_default();
    if address.ip().is_loopback() && !is_loopback(host) {
        return Err(Answer::refused(
            StatusCode::MISDIRECTED_REQUEST,
            format!("this server answers to localhost, not to {host:?}"),
        ));
    }
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    let foreign_origin = headers.contains_key(ORIGIN)
        && text(ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host)
            != Some(host);
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if foreign_origin || site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(Answer::refused(
            StatusCode::FORBIDDEN,
            "pages of other sites may not use this server".to_owned(),
        ));
    }
    Ok(())
}

/// True for `localhost`, `127.0.0.1` and the like, `[::1]`, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let address: Option<std::net::IpAddr> = name.parse().ok();
    name.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn status(method: Method, headers: &[(&str, &str)], address: &str) -> Option<StatusCode> {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                let name: axum::http::HeaderName = name.parse().unwrap();
                (name, value.parse().unwrap())
            })
            .collect();
        check(&method, &headers, address.parse().unwrap()).err().map(|answer| answer.status())
    }

    #[test]
    fn loopback_answers_to_its_own_names() {
        let get = |host| status(Method::GET, &[("host", host)], "127.0.0.1:80");
        for host in
            ["localhost", "localhost:8080", "LOCALHOST:1", "127.0.0.1:9", "[::1]:80", "[::1]"]
        {
            assert_eq!(get(host), None, "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example:80", "10.0.0.1", "[2001:db8::1]:80"]
        {
            assert_eq!(get(host), Some(StatusCode::MISDIRECTED_REQUEST), "{host}");
        }
        let open = status(Method::GET, &[("host", "lab.example")], "0.0.0.0:80");
        assert_eq!(open, None);
    }

    #[test]
    fn other_sites_may_not_post() {
        let post = |more: &[(&str, &str)]| {
            status(Method::POST, &[&[("host", "localhost:8080")], more].concat(), "127.0.0.1:8080")
        };
        assert_eq!(post(&[]), None);
        assert_eq!(
            post(&[("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")]),
            None
        );
        for foreign in [
            ("origin", "https://evil.example"),
            ("origin", "http://localhost:3000"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(post(&[foreign]), Some(StatusCode::FORBIDDEN), "{foreign:?}");
        }
    }
}
