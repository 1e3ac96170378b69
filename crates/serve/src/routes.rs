//! What each path does.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;

use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::backend::{Ask, Backend, Refusal};
use crate::page::{POLICY, part};
use crate::pool::{Job, Pool, Undone};
use crate::server::Limits;
use crate::store::Store;
use crate::{body, guard};

/// An answer before it becomes a response.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    kind: &'static str,
    body: Bytes,
    /// What a path that is not for the request's method is for.
    allow: Option<&'static str>,
}

impl Answer {
    fn new(kind: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, kind, body: body.into(), allow: None }
    }

    fn json(value: &Value) -> Self {
        Self::new("application/json", value.to_string())
    }

    /// `{"error": text}` with this status.
    pub fn refused(status: StatusCode, text: String) -> Self {
        Self { status, ..Self::json(&json!({ "error": text })) }
    }

    /// Its status.
    #[cfg(test)]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let fixed = HeaderValue::from_static;
        headers.insert(header::CONTENT_TYPE, fixed(self.kind));
        headers.insert(header::CONTENT_SECURITY_POLICY, fixed(POLICY));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
        headers.insert(header::REFERRER_POLICY, fixed("no-referrer"));
        headers.insert(header::CACHE_CONTROL, fixed("no-store"));
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, fixed(allow));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, fixed("1"));
        }
        response
    }
}

impl From<Undone> for Answer {
    fn from(undone: Undone) -> Self {
        let (status, text) = match undone {
            Undone::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many pictures are waiting; try again in a second",
            ),
            Undone::TimedOut => (StatusCode::SERVICE_UNAVAILABLE, "the answer took too long"),
            Undone::Panicked => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the computation broke off; other pictures are not affected",
            ),
        };
        Self::refused(status, text.to_owned())
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Picture(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Question(_) => StatusCode::BAD_REQUEST,
            Refusal::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::refused(status, refusal.to_string())
    }
}

/// Everything that a request needs.
pub struct State<B: Backend> {
    backend: Arc<B>,
    pool: Pool,
    store: Store<B::Seen>,
    /// Room for bodies, in units.
    bodies: Semaphore,
    limits: Limits,
}

/// Bytes of a unit of room.
const UNIT: usize = 1024;

impl<B: Backend> State<B> {
    /// The state, and the other end of its queue.
    pub fn new(backend: Arc<B>, limits: Limits) -> (Self, Mutex<Receiver<Job>>) {
        let (pool, jobs) = Pool::new(limits.queue, limits.time);
        let store = Store::new(limits.pictures, limits.memory);
        let room = (limits.bodies.max(limits.body) / UNIT + 1).min(Semaphore::MAX_PERMITS);
        let bodies = Semaphore::new(room);
        (Self { backend, pool, store, bodies, limits }, jobs)
    }

    /// Answers one request.
    pub async fn answer(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let answer = match self.answered(request).await {
            Ok(answer) | Err(answer) => answer,
        };
        answer.response()
    }

    async fn answered(&self, request: Request<Body>) -> Result<Answer, Answer> {
        let (head, body) = request.into_parts();
        guard::check(&head.method, &head.headers, &self.limits.hosts)?;
        let path = head.uri.path();
        let read = head.method == Method::GET || head.method == Method::HEAD;
        if !read && head.method != Method::POST {
            return Err(not_allowed(path, "GET or POST"));
        }
        if let Some((kind, text)) = part(path) {
            return if read { Ok(Answer::new(kind, text)) } else { Err(not_allowed(path, "GET")) };
        }
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let asks = |words: &[&str]| asked(&head.uri, words);
        match (&parts[..], read) {
            (["healthz"], true) => Ok(self.health()),
            (["explain" | "predict"], false) => {
                let explains = parts[0] == "explain";
                let words: &[&str] =
                    if explains { &["class", "rather_than", "layer", "name"] } else { &["name"] };
                let ask = asks(words)?;
                let limits = &self.limits;
                // held until the answer is found: waiting bodies are memory
                let _room = self.room(&head.headers)?;
                let bytes = body::read(&head.headers, body, limits.body, limits.time).await?;
                if explains {
                    self.explain(bytes, ask).await
                } else {
                    self.predict(bytes, ask).await
                }
            }
            (["pictures", id, "explain"], false) => {
                self.explain_again(id, asks(&["class", "rather_than", "layer"])?).await
            }
            (["pictures", id], true) => {
                self.explorer(id, asks(&["class", "rather_than", "style"])?).await
            }
            (["pictures", id, "cam", class], true) => self.cam(id, class).await,
            (["pictures", id, "run.zip"], true) => {
                self.archive(id, asks(&["class", "rather_than", "style"])?).await
            }
            (["explain" | "predict"] | ["pictures", _, "explain"], true) => {
                Err(not_allowed(path, "POST"))
            }
            (
                ["healthz"]
                | ["pictures", _]
                | ["pictures", _, "run.zip"]
                | ["pictures", _, "cam", _],
                false,
            ) => Err(not_allowed(path, "GET")),
            _ => Err(Answer::refused(StatusCode::NOT_FOUND, format!("there is no {path}"))),
        }
    }

    /// Room for a body among those that are on their way.
    fn room(&self, headers: &axum::http::HeaderMap) -> Result<SemaphorePermit<'_>, Answer> {
        let says = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let says = says.and_then(|length| length.parse::<usize>().ok());
        let wanted = says.unwrap_or(usize::MAX).min(self.limits.body).div_ceil(UNIT);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        self.bodies.try_acquire_many(wanted).map_err(|_| Undone::Overloaded.into())
    }

    fn health(&self) -> Answer {
        let mut about = self.backend.about();
        if let Some(about) = about.as_object_mut() {
            about.insert("status".to_owned(), json!("ok"));
            about.insert("pictures".to_owned(), json!(self.store.len()));
        }
        Answer::json(&about)
    }

    async fn predict(&self, bytes: Bytes, ask: Ask) -> Result<Answer, Answer> {
        let backend = Arc::clone(&self.backend);
        let work = move || backend.see(&bytes, &ask).and_then(|seen| backend.predict(&seen));
        Ok(Answer::json(&self.pool.run(work).await??))
    }

    async fn explain(&self, bytes: Bytes, ask: Ask) -> Result<Answer, Answer> {
        let backend = Arc::clone(&self.backend);
        let work = move || {
            let seen = backend.see(&bytes, &ask)?;
            drop(bytes);
            let answer = backend.explain(&seen, &ask)?;
            Ok((seen, answer))
        };
        self.kept(self.pool.run(work).await?)
    }

    async fn explain_again(&self, id: &str, ask: Ask) -> Result<Answer, Answer> {
        let (backend, seen) = (Arc::clone(&self.backend), self.seen(id)?);
        let work = move || {
            let seen = backend.see_again(&seen, &ask)?;
            let answer = backend.explain(&seen, &ask)?;
            Ok((seen, answer))
        };
        self.kept(self.pool.run(work).await?)
    }

    /// Keeps a picture, and answers with its id.
    fn kept(&self, done: Result<(B::Seen, Value), Refusal>) -> Result<Answer, Answer> {
        let (seen, mut answer) = done?;
        let size = self.backend.size(&seen);
        let id = self.store.put(Arc::new(seen), size);
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("id".to_owned(), json!(id));
        }
        Ok(Answer::json(&answer))
    }

    async fn explorer(&self, id: &str, ask: Ask) -> Result<Answer, Answer> {
        let (backend, seen) = (Arc::clone(&self.backend), self.seen(id)?);
        let text = self.pool.run(move || backend.explorer(&seen, &ask)).await??;
        Ok(Answer::new("application/json", text))
    }

    async fn cam(&self, id: &str, class: &str) -> Result<Answer, Answer> {
        let (backend, seen) = (Arc::clone(&self.backend), self.seen(id)?);
        let class = class
            .parse()
            .map_err(|_| Refusal::Question(format!("{class:?} is no number of a class")))?;
        let map = self.pool.run(move || backend.cam(&seen, class)).await??;
        let bytes: Vec<u8> = map.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(Answer::new("application/octet-stream", bytes))
    }

    async fn archive(&self, id: &str, ask: Ask) -> Result<Answer, Answer> {
        let (backend, seen) = (Arc::clone(&self.backend), self.seen(id)?);
        let zip = self.pool.run(move || backend.archive(&seen, &ask)).await??;
        Ok(Answer::new("application/zip", zip))
    }

    fn seen(&self, id: &str) -> Result<Arc<B::Seen>, Answer> {
        self.store.get(id).ok_or_else(|| {
            Answer::refused(
                StatusCode::NOT_FOUND,
                "that picture is not kept any more; send it again".to_owned(),
            )
        })
    }
}

fn not_allowed(path: &str, wanted: &'static str) -> Answer {
    let refused =
        Answer::refused(StatusCode::METHOD_NOT_ALLOWED, format!("{path} is for {wanted}"));
    Answer { allow: Some(if wanted == "GET or POST" { "GET, POST" } else { wanted }), ..refused }
}

/// What a query asks, in words that the path knows.
fn asked(uri: &Uri, words: &[&str]) -> Result<Ask, Answer> {
    let refused = |text: String| {
        let known = if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
        Answer::refused(StatusCode::BAD_REQUEST, format!("{text}; {} knows {known}", uri.path()))
    };
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|error| refused(error.to_string()))?;
    let mut ask = Ask::default();
    for (word, value) in pairs {
        let place = match word.as_str() {
            _ if !words.contains(&word.as_str()) => {
                return Err(refused(format!("unknown word {word:?} in the query")));
            }
            "class" => &mut ask.class,
            "rather_than" => &mut ask.rather_than,
            "layer" => &mut ask.layer,
            "style" => &mut ask.style,
            _ => &mut ask.name,
        };
        if place.replace(value).is_some() {
            return Err(refused(format!("{word:?} stands twice in the query")));
        }
    }
    Ok(ask)
}
