//! What is asked of a decision, and the upstream gradient that each question stands for.

use ndarray::{Array1, ArrayView1};

use crate::softmax::softmax;

/// The three questions, by their short names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// *Why P?* What speaks for the class (observed correlation, Grad-CAM).
    Why,
    /// *What if not P?* What speaks against it (observed counterfactual).
    WhatIfNot,
    /// *Why P, rather than Q?* What tells it from another class (observed contrast).
    RatherThan,
}

impl Question {
    /// `why`, `what-if-not`, `rather-than`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Why => "why",
            Self::WhatIfNot => "what-if-not",
            Self::RatherThan => "rather-than",
        }
    }
}

/// Which formula a map follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `CAM_C`.
    GradCam,
    /// `-CAM_C`.
    Counterfactual,
    /// `sum_c p_c CAM_c - CAM_Q`: the gradient of the cross-entropy loss that wants Q.
    CrossEntropyContrast,
    /// `CAM_C - CAM_Q`: for a class C other than the predicted one.
    PairwiseContrast,
}

impl Form {
    /// `grad-cam`, `counterfactual`, `cross-entropy-contrast`, `pairwise-contrast`.
    pub fn name(self) -> &'static str {
        match self {
            Self::GradCam => "grad-cam",
            Self::Counterfactual => "counterfactual",
            Self::CrossEntropyContrast => "cross-entropy-contrast",
            Self::PairwiseContrast => "pairwise-contrast",
        }
    }
}

/// A question about definite classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which of the three.
    pub question: Question,
    /// The class asked about, an index into the logits.
    pub class: usize,
    /// The other class of a contrast.
    pub contrast: Option<usize>,
    /// The formula of its map.
    pub form: Form,
}

/// What to ask of every picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// The class asked about; `None` means the predicted class of each picture.
    pub class: Option<usize>,
    /// The classes to contrast it with; empty means the one with the largest other logit.
    pub rather_than: Vec<usize>,
}

/// What cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// A class beyond the last one.
    #[error("class {class} is out of range: the network has {classes} classes, 0 to {}", classes.saturating_sub(1))]
    OutOfRange {
        /// The class.
        class: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A contrast of a class with itself.
    #[error("cannot ask why class {class}, rather than class {class}: the two classes must differ")]
    SameClass {
        /// The class.
        class: usize,
    },
}

impl Questions {
    /// The questions for one picture: why C, what if not C, and one contrast for each Q.
    ///
    /// C defaults to the predicted class P; Q to the class with the largest logit other than C. With
    /// C = P the contrast has the cross-entropy form, else the pairwise one. A network of a single
    /// class has nothing to contrast: without explicit Q there are two questions then.
    ///
    /// # Errors
    /// A class is out of range, or Q = C.
    pub fn about(&self, logits: ArrayView1<'_, f32>) -> Result<Vec<Asked>, QuestionError> {
        let classes = logits.len();
        let predicted = largest(logits, None).unwrap_or(0);
        let class = self.class.unwrap_or(predicted);
        for &class in self.rather_than.iter().chain([&class]) {
            if class >= classes {
                return Err(QuestionError::OutOfRange { class, classes });
            }
        }
        let mut others = self.rather_than.clone();
        if others.is_empty() {
            others.extend(largest(logits, Some(class)));
        }
        if others.contains(&class) {
            return Err(QuestionError::SameClass { class });
        }
        let mut seen = std::collections::HashSet::new();
        others.retain(|&other| seen.insert(other));

        let plain = |question, form| Asked { question, class, contrast: None, form };
        let mut asked = vec![
            plain(Question::Why, Form::GradCam),
            plain(Question::WhatIfNot, Form::Counterfactual),
        ];
        let form =
            if class == predicted { Form::CrossEntropyContrast } else { Form::PairwiseContrast };
        asked.extend(
            others
                .into_iter()
                .map(|other| Asked { contrast: Some(other), ..plain(Question::RatherThan, form) }),
        );
        Ok(asked)
    }
}

impl Asked {
    /// The name of its map among those of a picture: `why`, `what_if_not`, `rather_than_<index>`.
    pub fn map_name(&self) -> String {
        let question = self.question.name().replace('-', "_");
        match self.contrast {
            Some(other) => format!("{question}_{other}"),
            None => question,
        }
    }

    /// The row `g` of N numbers with `raw map = sum_k (g . dz/dA)_k A_k`.
    ///
    /// The cross-entropy contrast has `g = p - e_Q`; its entry for Q is computed as
    /// `-sum_{c != Q} p_c`, so that nothing cancels when p_Q is near one.
    pub fn upstream(&self, logits: ArrayView1<'_, f32>) -> Array1<f32> {
        let mut g = Array1::zeros(logits.len());
        match (self.form, self.contrast) {
            (Form::GradCam, _) => g[self.class] = 1.0,
            (Form::Counterfactual, _) => g[self.class] = -1.0,
            (Form::CrossEntropyContrast, Some(other)) => {
                let p = softmax(logits);
                g.assign(&p.mapv(|p| p as f32));
                let rest: f64 =
                    p.iter().enumerate().filter(|&(c, _)| c != other).map(|(_, p)| p).sum();
                g[other] = -rest as f32;
            }
            (Form::PairwiseContrast, Some(other)) => {
                g[self.class] = 1.0;
                g[other] = -1.0;
            }
            // a contrast without its other class asks nothing
            (Form::CrossEntropyContrast | Form::PairwiseContrast, None) => {}
        }
        g
    }
}

/// Index of the largest logit other than `except`; the first among equals.
pub(crate) fn largest(logits: ArrayView1<'_, f32>, except: Option<usize>) -> Option<usize> {
    logits
        .iter()
        .enumerate()
        .filter(|&(index, _)| Some(index) != except)
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map(|(index, _)| index)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    #[test]
    fn defaults_are_the_largest_and_the_second_largest_logit() {
        let asked = Questions::default().about(array![1.0, 5.0, 3.0].view()).unwrap();
        assert_eq!(asked.len(), 3);
        assert_eq!((asked[2].class, asked[2].contrast), (1, Some(2)));
        assert_eq!(asked[2].form, Form::CrossEntropyContrast);
    }

    #[test]
    fn another_class_is_contrasted_pairwise_with_the_predicted_one() {
        let ask = Questions { class: Some(2), rather_than: vec![] };
        let asked = ask.about(array![1.0, 5.0, 3.0].view()).unwrap();
        assert_eq!((asked[2].class, asked[2].contrast), (2, Some(1)));
        assert_eq!(asked[2].form, Form::PairwiseContrast);
        assert_eq!(asked[2].upstream(array![1.0, 5.0, 3.0].view()), array![0.0, -1.0, 1.0]);
    }

    #[test]
    fn impossible_questions_are_refused() {
        let z = array![1.0, 5.0, 3.0];
        let about = |class, rather_than: &[usize]| {
            Questions { class, rather_than: rather_than.to_vec() }.about(z.view()).unwrap_err()
        };
        assert_eq!(about(Some(3), &[]), QuestionError::OutOfRange { class: 3, classes: 3 });
        assert_eq!(about(None, &[1]), QuestionError::SameClass { class: 1 });
    }

    #[test]
    fn repeated_classes_are_asked_once_and_one_class_has_no_contrast() {
        let ask = Questions { class: None, rather_than: vec![0, 2, 0] };
        assert_eq!(ask.about(array![1.0, 5.0, 3.0].view()).unwrap().len(), 4);
        assert_eq!(Questions::default().about(array![1.0].view()).unwrap().len(), 2);
    }

    proptest! {
        /// A contrast weighs classes against each other: its row sums to zero (derived: sum p = 1).
        #[test]
        fn contrast_rows_sum_to_zero(z in prop::collection::vec(-30f32..30.0, 2..50)) {
            let z = Array1::from(z);
            let asked = Questions::default().about(z.view()).unwrap();
            let g = asked[2].upstream(z.view());
            prop_assert!(g.iter().map(|&v| f64::from(v)).sum::<f64>().abs() < 1e-6);
        }
    }
}
