//! Work done ahead on other threads, given out in order.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::error::PictureError;
use crate::picture::Picture;
use crate::set::LabelledSet;

/// The most items that one thread makes at a time.
const MAX_PIECE: usize = 32;

/// The most threads, whatever was asked for.
const MAX_THREADS: usize = 256;

/// Reads the pictures `indices` of `set`, `batch` at a time, on `threads` threads.
///
/// Batches come in the order of `indices`, whatever the number of threads. A picture that cannot be read is
/// an error in its place and ends nothing. See [`in_batches`] for the rest.
pub fn read_batches(
    set: &Arc<LabelledSet>,
    indices: Vec<usize>,
    batch: usize,
    threads: usize,
) -> Batches<Result<Picture, PictureError>> {
    let set = Arc::clone(set);
    in_batches(indices.len(), batch, threads, move |position| set.picture(indices[position]))
}

/// Makes the items `make(0)`, ..., `make(count - 1)` on `threads` threads and gives them in order,
/// `batch` at a time (the last batch may be smaller).
///
/// - `threads`: 0 means as many as the machine offers. The result does not depend on it, if `make`
///   depends on nothing but its argument.
/// - `batch`: 0 is taken as 1.
/// - Memory: items are made ahead for two batches and a piece (at most 32 items) a thread; then
///   the threads wait.
/// - Dropping the iterator stops the threads after the item at hand, and waits for that.
/// - A panic in `make` is raised again where the item would have been given.
pub fn in_batches<T: Send + 'static>(
    count: usize,
    batch: usize,
    threads: usize,
    make: impl Fn(usize) -> T + Send + Sync + 'static,
) -> Batches<T> {
    let batch = batch.max(1);
    let threads = match threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
    .min(MAX_THREADS);
    let piece = batch.div_ceil(threads).min(MAX_PIECE);
    let work = Arc::new(Work { make: Box::new(make), stop: AtomicBool::new(false) });

    let (jobs, queue) = channel();
    let (sender, results) = channel();
    let queue = Arc::new(Mutex::new(queue));
    let workers = (0..threads.min(count.div_ceil(piece))).filter_map(|_| {
        let (work, queue, results) = (Arc::clone(&work), Arc::clone(&queue), sender.clone());
        // where the system gives no more threads, those that there are do the work
        thread::Builder::new().spawn(move || work.run(&queue, &results)).ok()
    });
    let workers: Vec<_> = workers.collect();
    Batches {
        count,
        batch,
        piece,
        ahead: batch.saturating_mul(2).saturating_add(piece * threads),
        given: 0,
        ordered: 0,
        jobs: Some(jobs),
        results,
        waiting: BTreeMap::new(),
        workers,
        work,
    }
}

/// Some items of a run, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<T> {
    /// The position of the first of them in the run.
    pub start: usize,
    /// The items at `start`, `start + 1`, ...; at least one.
    pub items: Vec<T>,
}

/// Batches in order, made ahead on other threads: see [`in_batches`].
pub struct Batches<T> {
    count: usize,
    batch: usize,
    piece: usize,
    /// How far beyond what was given work is ordered.
    ahead: usize,
    given: usize,
    ordered: usize,
    /// `None` once no more will be ordered.
    jobs: Option<Sender<Range<usize>>>,
    results: Receiver<Made<T>>,
    /// What came before its turn, by its first position.
    waiting: BTreeMap<usize, thread::Result<Vec<T>>>,
    workers: Vec<JoinHandle<()>>,
    work: Arc<Work<T>>,
}

/// A piece that was made: its first position, and its items or the panic in it.
struct Made<T> {
    start: usize,
    items: Result<Vec<T>, Box<dyn Any + Send>>,
}

struct Work<T> {
    make: Box<dyn Fn(usize) -> T + Send + Sync>,
    stop: AtomicBool,
}

impl<T> Work<T> {
    /// Makes piece after piece until there are no more, nobody wants them, or it has to stop.
    fn run(&self, jobs: &Mutex<Receiver<Range<usize>>>, results: &Sender<Made<T>>) {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { return };
            let start = job.start;
            let items = match self.piece(job) {
                Ok(None) => return,
                Ok(Some(items)) => Ok(items),
                Err(panic) => Err(panic),
            };
            if results.send(Made { start, items }).is_err() {
                return;
            }
        }
    }

    /// `None` if it was stopped.
    fn piece(&self, job: Range<usize>) -> thread::Result<Option<Vec<T>>> {
        let wanted = |_: &usize| !self.stop.load(Ordering::Relaxed);
        let length = job.len();
        // no half-made item is ever seen: the panic takes its place
        let items = catch_unwind(AssertUnwindSafe(|| {
            job.take_while(wanted).map(|position| (self.make)(position)).collect::<Vec<_>>()
        }))?;
        Ok((items.len() == length).then_some(items))
    }
}

impl<T> Batches<T> {
    /// The number of batches still to come.
    fn left(&self) -> usize {
        (self.count - self.given).div_ceil(self.batch)
    }

    /// The end of the piece that begins at `start`; no piece lies in two batches.
    fn end_of_piece(&self, start: usize) -> usize {
        let end_of_batch = (start / self.batch + 1).saturating_mul(self.batch);
        (start + self.piece).min(end_of_batch).min(self.count)
    }

    fn order(&mut self) {
        let limit = self.given.saturating_add(self.ahead).min(self.count);
        while self.ordered < limit && !self.workers.is_empty() {
            let end = self.end_of_piece(self.ordered);
            let Some(jobs) = &self.jobs else { return };
            // workers hear of the end of the run from this, so it cannot fail before that
            if jobs.send(self.ordered..end).is_err() {
                return;
            }
            self.ordered = end;
        }
        if self.ordered == self.count {
            self.jobs = None;
        }
    }

    /// The piece that begins at `start`.
    fn piece(&mut self, start: usize) -> Vec<T> {
        let items = loop {
            if let Some(items) = self.waiting.remove(&start) {
                break items;
            }
            let made = if self.workers.is_empty() { None } else { self.results.recv().ok() };
            match made {
                Some(made) => {
                    self.waiting.insert(made.start, made.items);
                }
                // no thread could be started
                None => {
                    let end = self.end_of_piece(start);
                    break Ok((start..end).map(|position| (self.work.make)(position)).collect());
                }
            }
        };
        items.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl<T> Iterator for Batches<T> {
    type Item = Batch<T>;

    fn next(&mut self) -> Option<Batch<T>> {
        let start = self.given;
        let end = start.saturating_add(self.batch).min(self.count);
        if start == end {
            return None;
        }
        self.order();
        let mut items = Vec::with_capacity(end - start);
        while start + items.len() < end {
            let piece = self.piece(start + items.len());
            items.extend(piece);
        }
        self.given = end;
        self.order();
        Some(Batch { start, items })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left(), Some(self.left()))
    }
}

impl<T> ExactSizeIterator for Batches<T> {}

impl<T> Drop for Batches<T> {
    fn drop(&mut self) {
        self.work.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // its panics were caught
            let _ = worker.join();
        }
    }
}
