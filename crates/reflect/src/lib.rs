//! The second stage: the classifier reads the gradients of its own questions and predicts again.
//!
//! For an image with penultimate features h (d numbers) and logits z (N numbers), the gradient of a loss J with respect
//! to the last linear layer's weights is `r[i, k] = g_i h_k`, `g = dJ/dz`: rank one, so that [`Question::gradients`]
//! gives all that is needed. The introspective network H ([`Mlp`]) reads all N d products and gives new logits
//! (Prabhushankar and AlRegib 2022, section 3). No matrix of the products of an image is kept: they are scaled and
//! written out for a few classes at a time, in training and in scoring.
//!
//! - [`Question`]: loss, target and height; [`GradientScores`], [`LogitScores`], [`Disagreement`]: trust scores;
//! - [`Features`]: h, z, labels of a set of images; [`fit`] trains H and its controls on them and gives a [`Head`],
//!   which [`Head::write`] and [`Head::read`] keep in one file;
//! - [`Head::logits`] predicts, scaled with [`Statistics`] of the training set, of the batch, or of a [`Stream`], which a
//!   [`Guard`] keeps to the training set's where classes do not come mixed.
//!
//! What H is: z is a function of h, so H is a non-linear classifier on h. That is why a head brings its controls: a
//! linear layer and networks of as many parameters on h, and on h and z, trained the same way ([`Method`]).
//!
//! ```
//! use introspective_reflect::{FitOptions, Method, Owner, fit, probabilities, split};
//! # use std::ops::ControlFlow;
//! # let h = ndarray::Array2::from_shape_fn((40, 3), |(n, k)| ((n * (k + 2)) % 7) as f32);
//! # let mut features = introspective_reflect::Features::new(h.clone(), h.slice(ndarray::s![.., ..2]).to_owned())?;
//! # features.labels = (0..40).map(|n| n % 2).collect();
//! # let mut options = FitOptions::default();
//! # options.schedule.epochs = 1;
//! let (training, kept) = split(&features, &[3, 14, 15, 92]);
//! let head = fit(&training, &kept, &Owner::default(), &options, None, &|_| ControlFlow::Continue(()))?;
//! let (h, z) = (kept.h.view(), kept.z.view());
//! let logits = head.logits(Method::Reflection, 0, &head.statistics, h, z).expect("H is always fitted");
//! let p = probabilities((&logits / head.about.seeds[0].temperatures[&Method::Reflection]).row(0));
//! # assert_eq!((p.len(), kept.len()), (2, 3));
//! # Ok::<(), introspective_reflect::ReflectError>(())
//! ```

mod blend;
mod checkpoint;
mod columns;
mod error;
mod features;
mod file;
mod fit;
mod gemm;
mod guard;
mod head;
mod input;
mod jobs;
mod mlp;
mod options;
mod pass;
mod question;
mod run;
mod scores;
mod sgd;
mod statistics;
mod stream;
mod tensors;

pub use blend::Blend;
pub use columns::{Affine, Columns, Scaler};
pub use error::{ReflectError, Result};
pub use features::{Features, LastLayer, Owner};
pub use fit::{KeepState, Progress, fit, split};
pub use guard::{GUARD_IMAGES, GUARD_SHARE, GUARD_SHARE_OF_LOGITS, GUARD_WINDOW, Guard, Verdict};
pub use head::{About, EnergyQuantile, Head, Method, SeedRecord};
pub use input::Input;
pub use mlp::{Activation, First, Linear, Mlp, Width};
pub use options::{FitOptions, Reads};
pub use question::{Loss, Question, Target, dense, mean_largest};
pub use run::{Epoch, Run};
pub use scores::{Disagreement, GradientScores, LogitScores, largest, probabilities};
pub use sgd::Schedule;
pub use statistics::{OfGradients, STREAM_WEIGHT, Scaling, Statistics};
pub use stream::{STREAM_WINDOW, Stream, Streamed};
