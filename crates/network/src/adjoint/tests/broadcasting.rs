//! Broadcasting in every direction, against finite differences.

use std::borrow::Cow;

use ndarray::Axis;
use proptest::prelude::*;

use super::{Case, case_of, generated};
use crate::runtime::{LoadOptions, Runtime};

/// A case that depends on its sizes alone, so that proptest can shrink it.
fn built(operator: &str, x: &[usize], w: &[usize], active: bool, left: bool) -> Case {
    let case = case_of("broadcasting", x, |u| u + 0.5);
    let case = if active {
        // the other operand depends on the layer too: its mean over some axes, moved a little
        let axes: Vec<i64> =
            (1..x.len()).filter(|&axis| w[axis] == 1).map(|axis| axis as i64).collect();
        case.integers("axes", &axes)
            .number("half", 0.5)
            .node_with(
                "ReduceMean x axes > mean",
                vec![crate::graph::int("noop_with_empty_axes", 1)],
            )
            .node("Add mean half > w")
    } else {
        case.positive("w", w)
    };
    case.node(&if left { format!("{operator} w x > y") } else { format!("{operator} x w > y") })
}

fn values(case: &Case, x: &ndarray::ArrayD<f32>) -> ndarray::ArrayD<f32> {
    let runtime = Runtime::new(Cow::Owned(Vec::new()));
    runtime
        .load(&case.graph, &["y"], LoadOptions::default())
        .unwrap()
        .run(&[x.view()])
        .unwrap()
        .remove(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_are_slopes(
        operator in prop::sample::select(vec!["Add", "Sub", "Mul", "Div"]),
        sizes in prop::collection::vec((1_usize..4, any::<bool>(), any::<bool>()), 1..4),
        dropped in 0_usize..4,
        active: bool,
        left: bool,
    ) {
        let side = |keep: &dyn Fn(&(usize, bool, bool)) -> bool| -> Vec<usize> {
            let sizes = sizes.iter().map(|size| if keep(size) { size.0 } else { 1 });
            std::iter::once(1).chain(sizes).collect()
        };
        let x = side(&|size| size.1 || active);
        let mut w = side(&|size| size.2);
        if !active {
            w.drain(..dropped.min(w.len()));
        }
        // (the engine drops axes when it computes with two single numbers)
        prop_assume!(x.iter().product::<usize>() > 1);
        let case = built(operator, &x, &w, active, left);
        let (y, gradient) = case.run().unwrap();
        let upstream = generated("broadcasting", "upstream", &[2, y.len()], |u| 2.0 * u - 1.0);
        let direction = generated("broadcasting", "direction", &x, |u| 2.0 * u - 1.0);
        let step = 1e-2_f32;
        let (up, down) = (
            values(&case, &(&case.x + &(&direction * step))),
            values(&case, &(&case.x - &(&direction * step))),
        );
        for (row, part) in upstream.outer_iter().zip(gradient.axis_chunks_iter(Axis(0), case.x.len())) {
            let moved: f64 = row
                .iter()
                .zip(up.iter().zip(&down))
                .map(|(&g, (&up, &down))| f64::from(g) * (f64::from(up) - f64::from(down)))
                .sum();
            let measured = moved / (2.0 * f64::from(step));
            let predicted: f64 =
                part.iter().zip(&direction).map(|(&g, &d)| f64::from(g) * f64::from(d)).sum();
            prop_assert!((measured - predicted).abs() < 3e-3 * (1.0 + predicted.abs()));
        }
    }
}
