//! The page and its parts: files of this program, nothing from elsewhere.

use introspective_report::{EXPLORER_CSS, EXPLORER_JS};

/// What a browser may do on the page: load what came with it, ask this server, show what it was given.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A part by its path, with its type.
pub fn part(path: &str) -> Option<(&'static str, &'static str)> {
    Some(match path {
        "/" => ("text/html; charset=utf-8", include_str!("page/index.html")),
        "/serve.js" => ("text/javascript; charset=utf-8", include_str!("page/serve.js")),
        "/serve.css" => ("text/css; charset=utf-8", include_str!("page/serve.css")),
        "/explorer.js" => ("text/javascript; charset=utf-8", EXPLORER_JS),
        "/explorer.css" => ("text/css; charset=utf-8", EXPLORER_CSS),
        _ => return None,
    })
}
