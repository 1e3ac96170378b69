//! A pass through a small network, and what the way back needs of it, in arrays that are kept from batch to batch.

use ndarray::{Array1, Array2, Zip, s};

use crate::gemm::multiply;
use crate::input::{Input, blocks, write_block};
use crate::mlp::{First, Linear, Mlp};

/// Values of one pass; room for those of the next.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// The output of each layer, activated but for the last, n x units.
    pub outputs: Vec<Array2<f32>>,
    /// `g A` of a low-rank first layer, n x (units R).
    pub ga: Array2<f32>,
    /// `h B` of a low-rank first layer, n x (units R).
    pub hb: Array2<f32>,
    /// Scaled products of a few classes.
    pub block: Array2<f32>,
}

/// Makes room for a matrix, whose values are left to be written.
pub(crate) fn sized(matrix: &mut Array2<f32>, shape: (usize, usize)) {
    if matrix.dim() != shape {
        *matrix = Array2::zeros(shape);
    }
}

fn spread(bias: &Array1<f32>, rows: usize, out: &mut Array2<f32>) {
    sized(out, (rows, bias.len()));
    out.assign(bias);
}

impl Linear {
    fn forward(&self, x: &Array2<f32>, y: &mut Array2<f32>) {
        spread(&self.bias, x.nrows(), y);
        multiply(y.view_mut(), x.view(), self.weight.view(), 1.0);
    }
}

impl Mlp {
    /// All layers' outputs for an input that the network [reads](Mlp::reads).
    pub(crate) fn forward(&self, input: Input<'_>, pass: &mut Pass) {
        pass.outputs.resize(1 + self.rest.len(), Array2::zeros((0, 0)));
        self.first.forward(input, pass);
        for (index, layer) in self.rest.iter().enumerate() {
            let (done, next) = pass.outputs.split_at_mut(index + 1);
            self.activation.apply(&mut done[index]);
            layer.forward(&done[index], &mut next[0]);
        }
    }
}

impl First {
    fn forward(&self, input: Input<'_>, pass: &mut Pass) {
        let Pass { outputs, ga, hb, block } = pass;
        let y = &mut outputs[0];
        match (self, input) {
            (Self::Full(layer), Input::Matrix(x)) => {
                spread(&layer.bias, x.nrows(), y);
                multiply(y.view_mut(), x, layer.weight.view(), 1.0);
            }
            (Self::Full(layer), Input::Products { g, h, scaling }) => {
                spread(&layer.bias, g.nrows(), y);
                for classes in blocks(g.ncols(), h.ncols()) {
                    write_block(block, &classes, g, h, scaling);
                    let rows = classes.start * h.ncols()..classes.end * h.ncols();
                    multiply(y.view_mut(), block.view(), layer.weight.slice(s![rows, ..]), 1.0);
                }
            }
            (Self::LowRank { a, b, bias }, Input::Pair { g, h }) => {
                sized(ga, (g.nrows(), a.ncols()));
                sized(hb, (h.nrows(), b.ncols()));
                multiply(ga.view_mut(), g, a.view(), 0.0);
                multiply(hb.view_mut(), h, b.view(), 0.0);
                let rank = (a.ncols() / bias.len().max(1)).max(1);
                spread(bias, g.nrows(), y);
                Zip::from(y.rows_mut()).and(ga.rows()).and(hb.rows()).for_each(|mut y, ga, hb| {
                    let chunks = (ga.exact_chunks(rank).into_iter()).zip(hb.exact_chunks(rank));
                    for (y, (ga, hb)) in y.iter_mut().zip(chunks) {
                        *y += ga.dot(&hb);
                    }
                });
            }
            // Mlp::reads told them apart
            (Self::Full(_), Input::Pair { .. }) | (Self::LowRank { .. }, _) => {}
        }
    }
}
