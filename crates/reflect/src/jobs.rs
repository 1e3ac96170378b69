//! Several trainings at a time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{ReflectError, Result};

/// Results of all jobs, in order. As many at a time as there are threads, each in a thread of its own, if
/// there are as many jobs; else one after the other, each with all threads.
///
/// `run` gets a flag that is set once another job has failed: what it does would be in vain. Of several errors
/// the first that is more than [`ReflectError::Stopped`] is told.
pub(crate) fn each<J: Sync, T: Send>(
    jobs: &[J],
    run: impl Fn(&J, &AtomicBool) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let (threads, failed) = (rayon::current_num_threads(), AtomicBool::new(false));
    if jobs.len() < threads || threads < 2 {
        return jobs.iter().map(|job| run(job, &failed)).collect();
    }
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<T>>>> = Mutex::new(jobs.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // matrix products within a job stay in its thread
                let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
                while !failed.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(index) else { break };
                    let result = match &pool {
                        Ok(pool) => pool.install(|| run(job, &failed)),
                        Err(_) => run(job, &failed),
                    };
                    if result.is_err() {
                        failed.store(true, Ordering::Relaxed);
                    }
                    results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(result);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (mut done, mut missing) = (Vec::with_capacity(jobs.len()), false);
    for result in results {
        match result {
            Some(Ok(result)) => done.push(result),
            Some(Err(ReflectError::Stopped)) | None => missing = true,
            Some(Err(error)) => return Err(error),
        }
    }
    if missing { Err(ReflectError::Stopped) } else { Ok(done) }
}
