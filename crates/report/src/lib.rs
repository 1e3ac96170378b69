//! What comes out: a heat map drawn over a photograph ([`overlay`]), the answers side by side with their questions
//! ([`panel`]), the maps of all classes ([`AtlasReport`]), the raw maps as arrays ([`write_npz`]), and the folder that takes them all in one step or not at all
//! ([`RunFolder`]). Of an evaluation, a page that opens offline ([`evaluation_page`]) and a table ([`evaluation_csv`]);
//! of a training, its curve ([`training_curve`]).
//!
//! This room knows no network and no method. Photographs come as `Array3<u8>` (height x width x RGB) and maps as
//! `Array2<f32>` that were upsampled to the photograph already; nothing is computed here beyond colours and letters.
//! The font is embedded, so pictures are the same on every machine.
//!
//! ```
//! use introspective_report::{Style, Tile, overlay, panel, write_png};
//! use ndarray::{Array2, Array3};
//!
//! let photo = Array3::from_elem((200, 300, 3), 128u8);
//! let map = Array2::from_shape_fn((200, 300), |(_, x)| x as f32 / 299.0);
//! let answer = overlay(photo.view(), map.view(), Style::Blend, Style::Blend.default_colormap())?;
//! let tiles = [
//!     Tile { picture: photo.view(), title: "The photograph", detail: "" },
//!     Tile { picture: answer.view(), title: "Why espresso?", detail: "evidence in half of the cells" },
//! ];
//! let picture = panel(&tiles, None)?;
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("panel.png");
//! write_png(path, picture.view())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answers;
mod archive;
mod atlas;
mod checks;
mod colormap;
mod error;
mod evaluation;
mod explanation;
mod explorer;
mod folder;
mod kerning;
pub mod manifest;
mod names;
mod overlay;
mod panel;
mod picture;
mod text;
mod words;
mod wrap;

pub use answers::{Drawn, draw_answers};
pub use archive::write_npz;
pub use atlas::AtlasReport;
pub use colormap::{Colormap, UnknownColormap};
pub use error::{DrawError, WriteError};
pub use evaluation::{
    ChangedAnswers, ChangedExample, ChangedIn, EvaluationFacts, PredictedClasses, PredictedPicture,
    Said, Skipped, TableError, TrainingEpoch, conditions_csv, conditions_page, contrasts_csv,
    evaluation_csv, evaluation_page, predictions_page, training_curve,
};
pub use explanation::{Drawing, ExplanationReport, Subject};
pub use explorer::{EXPLORER_CSS, EXPLORER_JS, Explorer, ExplorerData, facts};
pub use folder::{Existing, FolderError, RunFolder, Staged};
pub use names::unique_names;
pub use overlay::{Style, UnknownStyle, overlay};
pub use panel::{Legend, Tile, panel};
pub use picture::{crop_and_fit, write_png};
pub use text::{Typeface, Weight};
