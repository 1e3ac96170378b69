//! The network loaded with one layer or another watched.

use std::sync::{Arc, Mutex, PoisonError};

use introspective_network::{Classifier, NetworkError, Session, SessionOptions};

/// Layers that are kept loaded.
const LAYERS: usize = 4;

/// Sessions by their layer, those asked for last.
pub struct Sessions {
    classifier: &'static Classifier,
    usual: String,
    options: SessionOptions,
    loaded: Mutex<Vec<Arc<Session<'static>>>>,
}

impl Sessions {
    /// None yet; `usual` is the layer for those who name none.
    pub fn new(classifier: &'static Classifier, usual: String, options: SessionOptions) -> Self {
        Self { classifier, usual, options, loaded: Mutex::default() }
    }

    /// The layer for those who name none.
    pub fn usual(&self) -> &str {
        &self.usual
    }

    /// The one for this layer.
    ///
    /// # Errors
    /// There is no such layer, or it cannot be watched.
    pub fn get(&self, layer: Option<&str>) -> Result<Arc<Session<'static>>, NetworkError> {
        let layer = self.classifier.find_layer(layer.unwrap_or(&self.usual))?;
        if let Some(session) = self.known(layer) {
            return Ok(session);
        }
        // loaded without the lock, so that others need not wait
        let options = SessionOptions { layer: Some(layer.to_owned()), ..self.options.clone() };
        let session = Arc::new(Session::new(self.classifier, &options)?);
        if let Some(session) = self.known(layer) {
            return Ok(session);
        }
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.push(Arc::clone(&session));
        if loaded.len() > LAYERS {
            loaded.remove(0);
        }
        Ok(session)
    }

    fn known(&self, layer: &str) -> Option<Arc<Session<'static>>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let place = loaded.iter().position(|session| session.layer() == layer)?;
        let session = loaded.remove(place);
        loaded.push(Arc::clone(&session));
        Some(session)
    }
}
