//! What computes the answers.

use serde_json::Value;

/// What is asked of a picture, as the query of a request says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Class to ask about, by index or name; the predicted one if absent.
    pub class: Option<String>,
    /// Class to hold it against; the most probable other one if absent.
    pub rather_than: Option<String>,
    /// Layer to look at; the backend's own if absent.
    pub layer: Option<String>,
    /// What to call the picture in answers.
    pub name: Option<String>,
    /// How maps are drawn.
    pub style: Option<String>,
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The picture cannot be read: 415.
    #[error("{0}")]
    Picture(String),
    /// The picture is too large once decoded: 413.
    #[error("{0}")]
    TooLarge(String),
    /// A class, layer or style that does not exist: 400.
    #[error("{0}")]
    Question(String),
    /// Something else went wrong: 500.
    #[error("{0}")]
    Failed(String),
}

/// Answers questions about pictures, on several threads at a time.
pub trait Backend: Send + Sync + 'static {
    /// A picture that the network has seen, with what further answers need.
    type Seen: Send + Sync + 'static;

    /// Runs the network on a picture's bytes.
    ///
    /// # Errors
    /// See [`Refusal`].
    fn see(&self, bytes: &[u8], ask: &Ask) -> Result<Self::Seen, Refusal>;

    /// Runs it again, at another layer.
    ///
    /// # Errors
    /// See [`Refusal`].
    fn see_again(&self, seen: &Self::Seen, ask: &Ask) -> Result<Self::Seen, Refusal>;

    /// Bytes of memory that it holds, about.
    fn size(&self, seen: &Self::Seen) -> usize;

    /// Both stages' predictions.
    ///
    /// # Errors
    /// See [`Refusal`].
    fn predict(&self, seen: &Self::Seen) -> Result<Value, Refusal>;

    /// The three questions in numbers and raw maps.
    ///
    /// # Errors
    /// See [`Refusal`].
    fn explain(&self, seen: &Self::Seen, ask: &Ask) -> Result<Value, Refusal>;

    /// What the page draws from, as JSON: [`ExplorerData`](introspective_report::ExplorerData).
    ///
    /// # Errors
    /// See [`Refusal`].
    fn explorer(&self, seen: &Self::Seen, ask: &Ask) -> Result<String, Refusal>;

    /// The raw map of one class, row by row.
    ///
    /// # Errors
    /// See [`Refusal`].
    fn cam(&self, seen: &Self::Seen, class: usize) -> Result<Vec<f32>, Refusal>;

    /// The run folder as a zip archive.
    ///
    /// # Errors
    /// See [`Refusal`].
    fn archive(&self, seen: &Self::Seen, ask: &Ask) -> Result<Vec<u8>, Refusal>;

    /// What `GET /healthz` and the page say of it: name of the network, its layers, and the like.
    fn about(&self) -> Value;
}
