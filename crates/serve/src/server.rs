//! Connections in, answers out, until told to stop.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::{Notify, Semaphore};
use tokio_io_timeout::TimeoutStream;

use crate::backend::Backend;
use crate::pool::work;
use crate::routes::State;

/// How much a server takes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body: usize,
    /// Requests that wait for a thread; one more gets 503.
    pub queue: usize,
    /// Threads that compute.
    pub workers: usize,
    /// For a body to come, for an answer, and for each part of it to be taken.
    pub time: Duration,
    /// Bytes of all bodies that are on their way; a request that goes beyond gets 503.
    pub bodies: usize,
    /// Names that the server is reached by, beside `localhost` and addresses: those of a proxy before it.
    pub hosts: Vec<String>,
    /// Connections at a time; one more is closed.
    pub connections: usize,
    /// Pictures kept for further questions.
    pub pictures: usize,
    /// Bytes of memory that they may take.
    pub memory: usize,
}

impl Default for Limits {
    /// 32 MiB, 16 waiting for 2 threads, 30 s, 256 MiB of bodies, 256 connections, 32 pictures in 256 MiB, no further names.
    fn default() -> Self {
        Self {
            body: 32 << 20,
            queue: 16,
            workers: 2,
            time: Duration::from_secs(30),
            bodies: 256 << 20,
            hosts: Vec::new(),
            connections: 256,
            pictures: 32,
            memory: 256 << 20,
        }
    }
}

/// Tells a server to stop. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Notify>);

impl Stop {
    /// Asks for it, from any thread.
    pub fn now(&self) {
        self.0.notify_one();
    }

    async fn asked(&self) {
        self.0.notified().await;
    }
}

/// How long a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(10);

/// How long requests under way may take once the server is to stop.
const LAST: Duration = Duration::from_secs(5);

/// Serves until `stop` is done; requests under way are answered first, for five seconds at most.
///
/// # Errors
/// The listener cannot be used.
pub fn serve<B: Backend>(
    listener: TcpListener,
    backend: Arc<B>,
    limits: Limits,
    stop: &Stop,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let (workers, connections) = (limits.workers.max(1), limits.connections.max(1));
    let patience = limits.time;
    let (state, jobs) = State::new(backend, limits);
    let jobs = Arc::new(jobs);
    for number in 0..workers {
        let jobs = Arc::clone(&jobs);
        std::thread::Builder::new().name(format!("answers-{number}")).spawn(move || work(&jobs))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(accept(listener, Arc::new(state), (connections, patience), stop.asked()))
}

async fn accept<B: Backend>(
    listener: TcpListener,
    state: Arc<State<B>>,
    (connections, patience): (usize, Duration),
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let free = Arc::new(Semaphore::new(connections));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // out of file handles, or a client that left at once: others go on
                tracing::warn!(%error, "a connection failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&free).try_acquire_owned() else { continue };
        let state = Arc::clone(&state);
        let answer = hyper_util::service::TowerToHyperService::new(tower(state));
        let mut http =
            hyper_util::server::conn::auto::Builder::new(TokioExecutor::new()).http1_only();
        http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
        // a client that does not read its answers is let go like one that does not send its requests
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(patience));
        let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), answer).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
            drop(permit);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(LAST, graceful.shutdown()).await;
    Ok(())
}

/// The routes as a service.
fn tower<B: Backend>(state: Arc<State<B>>) -> axum::Router {
    axum::Router::new().fallback(move |request: Request<Body>| {
        let state = Arc::clone(&state);
        async move { state.answer(request).await }
    })
}
