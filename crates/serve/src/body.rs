//! The body of a request, within limits of size and time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::routes::Answer;

/// Reads it.
///
/// # Errors
/// It is larger than `most` bytes, takes longer than `patience`, or breaks off.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    most: usize,
    patience: Duration,
) -> Result<Bytes, Answer> {
    let too_large = || {
        let limit = most as f64 / f64::from(1 << 20);
        Answer::refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the body is larger than {limit:.1} MiB; send a smaller picture, or start the server with a larger --max-body"
            ),
        )
    };
    let says = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if says.and_then(|length| length.parse::<u64>().ok()).is_some_and(|n| n > most as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(patience, Limited::new(body, most).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => {
            Err(Answer::refused(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")))
        }
        Err(_) => Err(Answer::refused(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not come within {} s", patience.as_secs()),
        )),
    }
}
