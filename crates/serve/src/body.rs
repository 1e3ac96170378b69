//! The body of a request, within limits of size and time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;

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
    let says = says.and_then(|length| length.parse::<u64>().ok());
    if says.is_some_and(|length| length > GRACE * most as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(patience, collected(body, most)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(too_large()),
        Ok(Err(error)) => {
            Err(Answer::refused(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")))
        }
        Err(_) => Err(Answer::refused(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not come within {} s", patience.as_secs()),
        )),
    }
}

/// A body that is too large is read on, and thrown away, up to so many times the limit: a client that still sends would lose the
/// answer that says what is wrong.
const GRACE: u64 = 8;

/// The body, or `None` if it has more than `most` bytes.
async fn collected(body: Body, most: usize) -> Result<Option<Bytes>, axum::Error> {
    let mut bytes = Vec::new();
    let mut length = 0;
    let mut frames = body;
    while let Some(frame) = frames.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        length += data.len();
        if length <= most {
            bytes.extend_from_slice(&data);
        } else if length as u64 > GRACE * most as u64 {
            break;
        } else {
            bytes = Vec::new();
        }
    }
    Ok((length <= most).then(|| bytes.into()))
}
