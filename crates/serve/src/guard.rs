//! Who may ask: no page of another site, and no name that merely points here.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};

use crate::routes::Answer;

/// Checks a request's headers.
///
/// A server answers to `localhost`, to addresses, and to names that its `hosts` list: a foreign name that was made to point here (DNS rebinding)
/// gets nothing. What changes something must not come from another site's page: browsers say where it came from.
///
/// # Errors
/// The host or the origin is a foreign one.
pub fn check(method: &Method, headers: &HeaderMap, hosts: &[String]) -> Result<(), Answer> {
    let text =
        |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let host = text(HOST).unwrap_or_default();
    let listed = |host: &str| hosts.iter().any(|known| known.eq_ignore_ascii_case(name_of(host)));
    if !is_own(host) && !listed(host) {
        return Err(Answer::refused(
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "this server answers to localhost and to addresses, not to {host:?}; --host lets it answer to a name"
            ),
        ));
    }
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    let origin = text(ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    let same = origin == Some(host) || origin.is_some_and(listed);
    let site = text(SITE);
    if headers.contains_key(ORIGIN) && !same
        || site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
    {
        return Err(Answer::refused(
            StatusCode::FORBIDDEN,
            "pages of other sites may not use this server".to_owned(),
        ));
    }
    Ok(())
}

/// Where a browser says that a request comes from.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A host without its port, and without an address's brackets.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// True for `localhost` and for addresses, which no name server can turn elsewhere.
fn is_own(host: &str) -> bool {
    let name = name_of(host);
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn status(method: Method, headers: &[(&str, &str)]) -> Option<StatusCode> {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                let name: axum::http::HeaderName = name.parse().unwrap();
                (name, value.parse().unwrap())
            })
            .collect();
        check(&method, &headers, &["lab.example".to_owned()]).err().map(|answer| answer.status())
    }

    #[test]
    fn it_answers_to_its_own_names() {
        let get = |host| status(Method::GET, &[("host", host)]);
        for host in [
            "localhost",
            "localhost:8080",
            "LOCALHOST:1",
            "127.0.0.1:9",
            "[::1]:80",
            "[::1]",
            "10.0.0.1",
            "Lab.example:80",
        ] {
            assert_eq!(get(host), None, "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:80",
            "10.0.0.1.evil.example",
            "lab.example.evil",
        ] {
            assert_eq!(get(host), Some(StatusCode::MISDIRECTED_REQUEST), "{host}");
        }
    }

    #[test]
    fn other_sites_may_not_post() {
        let post = |more: &[(&str, &str)]| {
            status(Method::POST, &[&[("host", "localhost:8080")], more].concat())
        };
        assert_eq!(post(&[]), None);
        assert_eq!(
            post(&[("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")]),
            None
        );
        // a proxy that says its own name, or not
        assert_eq!(post(&[("origin", "https://lab.example")]), None);
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
