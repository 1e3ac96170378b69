//! The second stage's numbers against PyTorch's and scikit-learn's (`fixtures/second_stage.py`), which computed in
//! float64 from the same float32 numbers.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::fs::File;

use introspective_reflect::{
    Activation, Affine, Columns, First, GradientScores, Input, Linear, Loss, Mlp, Question, Run,
    Scaler, Schedule, Target, dense,
};
use ndarray::{Array1, Array2, Array3, ArrayD, ArrayView, Axis, Dimension, Ix1, Ix2};
use ndarray_npy::NpzReader;

const TOLERANCE: f64 = 1e-5;

struct Fixture(NpzReader<File>);

impl Fixture {
    fn open() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/second_stage.npz");
        Self(NpzReader::new(File::open(path).unwrap()).unwrap())
    }

    fn get(&mut self, name: &str) -> ArrayD<f64> {
        self.0.by_name(name).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn array<D: Dimension>(&mut self, name: &str) -> ndarray::Array<f32, D> {
        self.get(name).mapv(|v| v as f32).into_dimensionality().unwrap()
    }

    fn labels(&mut self) -> Vec<usize> {
        let labels: Array1<i64> = self.0.by_name("labels").unwrap();
        labels.iter().map(|&label| label as usize).collect()
    }

    /// h, z, g for the mean squared error, and the question.
    fn features(&mut self) -> (Array2<f32>, Array2<f32>, Array2<f32>, Question) {
        let (h, z) = (self.array("h"), self.array::<Ix2>("z"));
        let height = self.array::<Ix1>("height")[0];
        let question = Question::new(Loss::Mse, Target::AllOnes, height).unwrap();
        let g = question.gradients(z.view());
        (h, z, g, question)
    }

    /// The network of a training after some steps.
    fn network(&mut self, name: &str, step: usize, activation: Activation, low_rank: bool) -> Mlp {
        let mut weight = |key: &str| {
            self.array::<Ix2>(&format!("{name}.{step}.layers.{key}"))
                .t()
                .as_standard_layout()
                .into_owned()
        };
        let (first, rest) = if low_rank {
            (
                Err((weight("0.gradient_weight"), weight("0.feature_weight"))),
                [weight("1.weight"), weight("2.weight")],
            )
        } else {
            (Ok(weight("0.weight")), [weight("1.weight"), weight("2.weight")])
        };
        let mut bias =
            |layer: usize| self.array::<Ix1>(&format!("{name}.{step}.layers.{layer}.bias"));
        let first = match first {
            Ok(weight) => First::Full(Linear { weight, bias: bias(0) }),
            Err((a, b)) => First::LowRank { a, b, bias: bias(0) },
        };
        let mut index = 0;
        let rest = rest.map(|weight| {
            index += 1;
            Linear { weight, bias: bias(index) }
        });
        Mlp { first, rest: rest.into(), activation }
    }
}

fn near<D: Dimension>(found: ArrayView<'_, f32, D>, expected: &ArrayD<f64>, what: &str) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let far = (f64::from(*found) - expected).abs();
        assert!(far <= TOLERANCE * (1.0 + expected.abs()), "{what}: {found} is not {expected}");
    }
}

fn equal(found: &Mlp, expected: &Mlp, what: &str) {
    let check = |found: &Array2<f32>, expected: &Array2<f32>, part: &str| {
        near(found.view(), &expected.mapv(f64::from).into_dyn(), &format!("{what}, {part}"));
    };
    let vector = |found: &Array1<f32>, expected: &Array1<f32>| {
        near(found.view(), &expected.mapv(f64::from).into_dyn(), &format!("{what}, bias"));
    };
    match (&found.first, &expected.first) {
        (First::Full(found), First::Full(expected)) => {
            check(&found.weight, &expected.weight, "first weight");
            vector(&found.bias, &expected.bias);
        }
        (First::LowRank { a, b, bias }, First::LowRank { a: ea, b: eb, bias: ebias }) => {
            check(a, ea, "gradient weight");
            check(b, eb, "feature weight");
            vector(bias, ebias);
        }
        _ => panic!("{what}: two kinds of first layers"),
    }
    for (found, expected) in found.rest.iter().zip(&expected.rest) {
        check(&found.weight, &expected.weight, "further weight");
        vector(&found.bias, &expected.bias);
    }
}

#[test]
fn questions_are_the_gradients_of_autograd() {
    let mut fixture = Fixture::open();
    let (h, z, _, Question { height, .. }) = fixture.features();
    for loss in Loss::ALL {
        for target in Target::ALL {
            let question = Question::new(loss, target, height).unwrap();
            let expected = fixture.get(&format!("r.{}.{}", loss.name(), target.name()));
            let g = question.gradients(z.view());
            let mut found = Array3::zeros((h.nrows(), z.ncols(), h.ncols()));
            for (mut found, (g, h)) in
                found.outer_iter_mut().zip(g.rows().into_iter().zip(h.rows()))
            {
                found.assign(&dense(g, h));
            }
            near(found.view(), &expected, &format!("{} {}", loss.name(), target.name()));
        }
    }
}

#[test]
fn scores_are_those_of_the_gradients_of_autograd() {
    let mut fixture = Fixture::open();
    let (h, z, _, question) = fixture.features();
    let expected = fixture.get("scores");
    for (row, (h, z)) in h.rows().into_iter().zip(z.rows()).enumerate() {
        let scores = GradientScores::of(&question, h, z);
        let found =
            [scores.introspective_norm, scores.gradnorm, scores.gradtrust.unwrap(), scores.purview]
                .map(|v| v as f32);
        let expected = expected.index_axis(Axis(0), row).to_owned();
        near(Array1::from_iter(found).view(), &expected, &format!("scores of {row}"));
    }
}

#[test]
fn statistics_and_scaled_columns_are_those_of_scikit_learn() {
    let mut fixture = Fixture::open();
    let matrix: Array2<f32> = fixture.array("columns");
    for scaler in [Scaler::MinMax, Scaler::ZScore] {
        let columns = Columns::of_matrix(matrix.view(), scaler);
        let name = format!("columns.{}", scaler.name());
        near(columns.low.view(), &fixture.get(&format!("{name}.low")), &name);
        near(columns.high.view(), &fixture.get(&format!("{name}.high")), &name);
        near(columns.affine().apply(matrix.view()).view(), &fixture.get(&name), &name);
    }
}

#[test]
fn scaled_products_are_those_of_the_dense_matrix() {
    let mut fixture = Fixture::open();
    let (h, _, g, _) = fixture.features();
    for scaler in [Scaler::MinMax, Scaler::ZScore] {
        let Affine { scale, center } = Columns::of_products(g.view(), h.view(), scaler).affine();
        let d = h.ncols();
        let found = Array2::from_shape_fn((h.nrows(), scale.len()), |(n, c)| {
            scale[c] * (g[[n, c / d]] * h[[n, c % d]] - center[c])
        });
        near(found.view(), &fixture.get(&format!("dense.{}", scaler.name())), scaler.name());
    }
}

/// Forward pass, loss, and weights after one and three steps, on all images at once: an epoch is a step.
fn trains(
    fixture: &mut Fixture,
    name: &str,
    activation: Activation,
    low_rank: bool,
    input: Input<'_>,
) {
    let labels = fixture.labels();
    let network = fixture.network(name, 0, activation, low_rank);
    let logits = fixture.get(&format!("{name}.logits"));
    near(network.logits(input).view(), &logits, &format!("logits of {name}"));
    let schedule = Schedule { milestones: Vec::new(), batch: labels.len(), ..Schedule::default() };
    let mut run = Run::from_network(network, 0);
    for step in 1..=3 {
        let epoch = run.epoch(input, &labels, &schedule, name).unwrap();
        let loss = fixture.get(&format!("{name}.{step}.loss"))[[0]];
        assert!(
            (epoch.loss - loss).abs() < TOLERANCE,
            "{name}, step {step}: {} is not {loss}",
            epoch.loss
        );
        if step != 2 {
            let expected = fixture.network(name, step, activation, low_rank);
            equal(&run.network, &expected, &format!("{name}, step {step}"));
        }
    }
}

#[test]
fn steps_on_factors_are_those_on_dense_features() {
    let mut fixture = Fixture::open();
    let (h, _, g, _) = fixture.features();
    for scaler in [Scaler::MinMax, Scaler::ZScore] {
        let scaling = Columns::of_products(g.view(), h.view(), scaler).affine();
        let input = Input::Products { g: g.view(), h: h.view(), scaling: &scaling };
        trains(&mut fixture, &format!("full.{}", scaler.name()), Activation::Sigmoid, false, input);
    }
}

#[test]
fn steps_of_a_low_rank_layer_are_those_of_a_bilinear_one() {
    let mut fixture = Fixture::open();
    let (h, _, g, _) = fixture.features();
    for scaler in [Scaler::MinMax, Scaler::ZScore] {
        let scaled =
            |x: &Array2<f32>| Columns::of_matrix(x.view(), scaler).affine().apply(x.view());
        let (g, h) = (scaled(&g), scaled(&h));
        let input = Input::Pair { g: g.view(), h: h.view() };
        trains(
            &mut fixture,
            &format!("low-rank.{}", scaler.name()),
            Activation::Sigmoid,
            true,
            input,
        );
    }
}

#[test]
fn steps_of_a_plain_network_with_each_activation() {
    let mut fixture = Fixture::open();
    let (h, ..) = fixture.features();
    let h = Columns::of_matrix(h.view(), Scaler::MinMax).affine().apply(h.view());
    for activation in Activation::ALL {
        trains(
            &mut fixture,
            &format!("plain.{}", activation.name()),
            activation,
            false,
            Input::Matrix(h.view()),
        );
    }
}

#[test]
fn rates_are_those_of_multi_step_lr() {
    let expected = Fixture::open().get("rates");
    let schedule = Schedule { epochs: 50, ..Schedule::default() };
    for (epoch, expected) in expected.iter().enumerate() {
        assert!((schedule.rate(epoch) - expected).abs() < 1e-12, "epoch {epoch}");
    }
}
