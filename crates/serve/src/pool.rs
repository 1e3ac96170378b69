//! A few threads that compute, and a queue that may not grow.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Something to do.
pub type Job = Box<dyn FnOnce() + Send>;

/// Where work is put. Clones share the queue.
#[derive(Clone)]
pub struct Pool {
    queue: SyncSender<Job>,
    patience: Duration,
}

/// Work that was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The queue is full.
    Overloaded,
    /// It took too long.
    TimedOut,
    /// It panicked.
    Panicked,
}

impl Pool {
    /// A queue for `waiting` jobs, each of which may wait and run for `patience`, and its other end.
    pub fn new(waiting: usize, patience: Duration) -> (Self, Mutex<Receiver<Job>>) {
        let (queue, jobs) = sync_channel(waiting.max(1));
        (Self { queue, patience }, Mutex::new(jobs))
    }

    /// Has `work` done by one of the threads.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let (answer, waiting) = oneshot::channel();
        let job = move || {
            // whoever asked may have gone while it waited in the queue
            if !answer.is_closed() {
                let _ = answer.send(work());
            }
        };
        match self.queue.try_send(Box::new(job)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(Undone::Overloaded),
            Err(TrySendError::Disconnected(_)) => return Err(Undone::Panicked),
        }
        match tokio::time::timeout(self.patience, waiting).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err(Undone::Panicked),
            Err(_) => Err(Undone::TimedOut),
        }
    }
}

/// Does jobs until nobody can send any more. A job that panics loses its answer and nothing else.
pub fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}
