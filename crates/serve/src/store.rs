//! The last pictures, so that further questions about them need no second upload.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// A store that forgets the pictures that were not asked for longest, once there are too many or they are too large.
pub struct Store<T> {
    entries: Mutex<VecDeque<Entry<T>>>,
    most: usize,
    bytes: usize,
}

struct Entry<T> {
    id: String,
    size: usize,
    value: Arc<T>,
}

impl<T> Store<T> {
    /// One that keeps `most` pictures of `bytes` altogether, and always the last one.
    pub fn new(most: usize, bytes: usize) -> Self {
        Self { entries: Mutex::default(), most, bytes }
    }

    /// Keeps one, and gives the id by which it is had again.
    pub fn put(&self, value: Arc<T>, size: usize) -> String {
        // not to be guessed by another page in the same browser
        let id = format!("{:032x}", rand::random::<u128>());
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push_back(Entry { id: id.clone(), size, value });
        let total = |entries: &VecDeque<Entry<T>>| entries.iter().map(|e| e.size).sum::<usize>();
        while entries.len() > 1 && (entries.len() > self.most || total(&entries) > self.bytes) {
            entries.pop_front();
        }
        id
    }

    /// The one with this id, if it is still there.
    pub fn get(&self, id: &str) -> Option<Arc<T>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let place = entries.iter().position(|entry| entry.id == id)?;
        let entry = entries.remove(place)?;
        let value = Arc::clone(&entry.value);
        entries.push_back(entry);
        Some(value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unasked_go_first() {
        let store = Store::new(2, 100);
        let (a, b) = (store.put(Arc::new(1), 10), store.put(Arc::new(2), 10));
        assert_eq!(store.get(&a).as_deref(), Some(&1));
        let c = store.put(Arc::new(3), 10);
        assert_eq!((store.get(&a).is_some(), store.get(&b).is_some()), (true, false));
        // one that is too large alone is kept alone
        let d = store.put(Arc::new(4), 1000);
        assert_eq!((store.len(), store.get(&d).as_deref()), (1, Some(&4)));
        assert!(store.get(&c).is_none() && store.get("").is_none());
    }
}
