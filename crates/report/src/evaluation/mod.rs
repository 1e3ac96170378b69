//! An evaluation as a page that opens offline, as a table of numbers, the curve of a training, and those of maps.

mod changed;
mod conditions;
mod conditions_plots;
mod curves;
mod html;
pub(crate) use html::escape;
mod page;
mod panels;
mod predictions;
mod svg;
mod table;
mod training;

pub use changed::{ChangedAnswers, ChangedExample, ChangedIn, Said};
pub use conditions::conditions_page;
pub use page::{EvaluationFacts, Skipped, evaluation_page};
pub(crate) use panels::{Panel, PanelLine, curve_panels};
pub use predictions::{PredictedClasses, PredictedPicture, predictions_page};
pub use table::{TableError, conditions_csv, contrasts_csv, evaluation_csv};
pub use training::{TrainingEpoch, training_curve};
