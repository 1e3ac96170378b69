//! Many pictures at once: one thread a picture, rather than all threads for one after the other.
//!
//! On small networks threads that share a picture mostly wait for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;

use ::rten::ThreadPool;
use ndarray::{ArrayD, ArrayViewD};

use super::{Engine, Threads, rten};

/// Single threads, each of which runs graphs for itself.
pub(crate) struct Workers {
    pools: Vec<Arc<ThreadPool>>,
}

impl Workers {
    /// As many as there are threads; none where the engine's graphs cannot run beside each other.
    pub fn new(engine: &Engine, threads: Option<&Threads>) -> Self {
        let count = match engine {
            Engine::Rten(_) => threads.map_or_else(rten::usual_threads, Threads::count),
            #[cfg(feature = "onnxruntime")]
            Engine::OnnxRuntime(_) => 0,
        };
        let pool = |_| Arc::new(ThreadPool::with_num_threads(1));
        Self { pools: (0..count).map(pool).collect() }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.pools.len()
    }

    /// Calls `work` with the numbers 0 to `jobs`, in any order and each once, on the workers.
    ///
    /// `work` runs graphs by [`Worker::run`]. Results come in the order of the jobs; after a failure no further job is
    /// begun, and the failure of the first job of those that failed is returned.
    pub fn each<T: Send, E: Send>(
        &self,
        jobs: usize,
        work: impl Fn(usize, &Worker<'_>) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let serve = |pool| {
            let worker = Worker { pool };
            let mut done = Vec::new();
            while !failed.load(Ordering::Relaxed) {
                let job = next.fetch_add(1, Ordering::Relaxed);
                if job >= jobs {
                    break;
                }
                let result = work(job, &worker);
                failed.fetch_or(result.is_err(), Ordering::Relaxed);
                done.push((job, result));
            }
            done
        };
        let mut done = std::thread::scope(|scope| {
            let running: Vec<_> =
                self.pools.iter().map(|pool| scope.spawn(move || serve(pool))).collect();
            let join = |thread: ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            running.into_iter().flat_map(join).collect::<Vec<_>>()
        });
        done.sort_by_key(|(job, _)| *job);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

/// One of [`Workers`].
pub(crate) struct Worker<'w> {
    pool: &'w Arc<ThreadPool>,
}

impl Worker<'_> {
    /// Runs a graph on this thread alone.
    pub fn run(
        &self,
        engine: &Engine,
        inputs: &[ArrayViewD<'_, f32>],
    ) -> Result<Vec<ArrayD<f32>>, String> {
        match engine {
            Engine::Rten(engine) => engine.run_in(Some(self.pool), inputs),
            #[cfg(feature = "onnxruntime")]
            Engine::OnnxRuntime(engine) => engine.run(inputs),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::borrow::Cow;
    use std::sync::Mutex;

    use super::*;
    use crate::graph::{Axis, Graph};
    use crate::runtime::{LoadOptions, Runtime};

    fn workers(count: usize) -> Workers {
        let mut graph = Graph::default();
        graph.input("x", &[Axis::Free("n")]);
        graph.node("Relu", "y", &["x"], &["y"], Vec::new());
        let runtime = Runtime::new(Cow::Borrowed(&[]));
        let engine = runtime.load(&graph, &["y"], LoadOptions::default()).unwrap();
        Workers::new(&engine, Some(&Threads::new(count)))
    }

    #[test]
    fn every_job_is_done_once_and_results_keep_their_order() {
        for count in [1, 3] {
            let begun = Mutex::new(Vec::new());
            let results: Result<Vec<usize>, ()> = workers(count).each(50, |job, _| {
                begun.lock().unwrap().push(job);
                Ok(job * job)
            });
            assert_eq!(results.unwrap(), (0..50).map(|job| job * job).collect::<Vec<_>>());
            let mut begun = begun.into_inner().unwrap();
            begun.sort_unstable();
            assert_eq!(begun, (0..50).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_failure_is_told() {
        let done = AtomicUsize::new(0);
        let result = workers(4).each(10_000, |job, _| {
            done.fetch_add(1, Ordering::Relaxed);
            if job >= 5 { Err(job) } else { Ok(()) }
        });
        assert_eq!(result, Err(5));
        assert!(done.load(Ordering::Relaxed) < 10_000);
    }
}
