//! The cosine transform of 8 x 8 blocks in whole numbers, after Loeffler, Ligtenberg and Moschytz (1989): twelve
//! products for eight values, with 13 binary digits behind the point, rounded where libjpeg rounds.

/// round(8192 x), for the constants of the algorithm: sums of cos(k pi / 16) sqrt 2.
const fn fixed(x: f64) -> i32 {
    (x * 8192.0 + 0.5) as i32
}

const C6: i32 = fixed(0.541_196_100);
const C2_MINUS_C6: i32 = fixed(0.765_366_865);
const C2_PLUS_C6: i32 = fixed(1.847_759_065);
const C3: i32 = fixed(1.175_875_602);
const ODD: [i32; 4] =
    [fixed(0.298_631_336), fixed(2.053_119_869), fixed(3.072_711_026), fixed(1.501_321_110)];
const OUTER: i32 = fixed(0.899_976_223);
const INNER: i32 = fixed(2.562_915_447);
const EVEN_PAIR: i32 = fixed(1.961_570_560);
const ODD_PAIR: i32 = fixed(0.390_180_644);

/// A block of samples or coefficients, rows from the uppermost or from the lowest vertical frequency.
pub(super) type Block = [[i32; 8]; 8];

/// Divided by 2^bits, rounded, halves up.
#[inline(always)]
fn rounded(x: i32, bits: i32) -> i32 {
    (x + (1 << (bits - 1))) >> bits
}

#[inline(always)]
fn transpose(block: &Block) -> Block {
    let mut out = [[0; 8]; 8];
    for i in 0..8 {
        for j in 0..8 {
            out[j][i] = block[i][j];
        }
    }
    out
}

/// The part that both directions share: four values, turned against each other by the odd angles.
#[inline(always)]
fn odd_part([a, b, c, d]: [i32; 4]) -> [i32; 4] {
    let (even, odd) = (a + c, b + d);
    let both = C3 * (even + odd);
    let (even, odd) = (both - EVEN_PAIR * even, both - ODD_PAIR * odd);
    let (outer, inner) = (OUTER * (a + d), INNER * (b + c));
    [
        ODD[0] * a - outer + even,
        ODD[1] * b - inner + odd,
        ODD[2] * c - inner + even,
        ODD[3] * d - outer + odd,
    ]
}

/// Down the columns; a loop over columns, so that vectors take eight at once. The first of two passes keeps two digits more,
/// which the second takes away.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // eight rows at one column
fn forward_pass(x: &mut Block, first: bool) {
    for i in 0..8 {
        let (s0, s1, s2, s3) =
            (x[0][i] + x[7][i], x[1][i] + x[6][i], x[2][i] + x[5][i], x[3][i] + x[4][i]);
        let differences =
            [x[3][i] - x[4][i], x[2][i] - x[5][i], x[1][i] - x[6][i], x[0][i] - x[7][i]];
        let (outer, inner, a, b) = (s0 + s3, s1 + s2, s0 - s3, s1 - s2);
        let turned = C6 * (a + b);
        let even = |x: i32| if first { x << 2 } else { rounded(x, 2) };
        let bits = if first { 11 } else { 15 };
        x[0][i] = even(outer + inner);
        x[4][i] = even(outer - inner);
        x[2][i] = rounded(turned + C2_MINUS_C6 * a, bits);
        x[6][i] = rounded(turned - C2_PLUS_C6 * b, bits);
        let [o7, o5, o3, o1] = odd_part(differences);
        x[7][i] = rounded(o7, bits);
        x[5][i] = rounded(o5, bits);
        x[3][i] = rounded(o3, bits);
        x[1][i] = rounded(o1, bits);
    }
}

/// Eight times the coefficients of a block; rows first.
#[inline(always)]
pub(super) fn forward(block: &mut Block) {
    let mut turned = transpose(block);
    forward_pass(&mut turned, true);
    *block = transpose(&turned);
    forward_pass(block, false);
}

#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn inverse_pass(x: &mut Block, bits: i32) {
    for i in 0..8 {
        let turned = C6 * (x[2][i] + x[6][i]);
        let (a, b) = (turned - C2_PLUS_C6 * x[6][i], turned + C2_MINUS_C6 * x[2][i]);
        let (plus, minus) = ((x[0][i] + x[4][i]) << 13, (x[0][i] - x[4][i]) << 13);
        let (e0, e1, e2, e3) = (plus + b, minus + a, minus - a, plus - b);
        let [o3, o2, o1, o0] = odd_part([x[7][i], x[5][i], x[3][i], x[1][i]]);
        x[0][i] = rounded(e0 + o0, bits);
        x[7][i] = rounded(e0 - o0, bits);
        x[1][i] = rounded(e1 + o1, bits);
        x[6][i] = rounded(e1 - o1, bits);
        x[2][i] = rounded(e2 + o2, bits);
        x[5][i] = rounded(e2 - o2, bits);
        x[3][i] = rounded(e3 + o3, bits);
        x[4][i] = rounded(e3 - o3, bits);
    }
}

/// The samples of a block of coefficients, around 0; columns first.
#[inline(always)]
pub(super) fn inverse(block: &mut Block) {
    inverse_pass(block, 11);
    let mut turned = transpose(block);
    inverse_pass(&mut turned, 18);
    *block = transpose(&turned);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::needless_range_loop)]
    #[test]
    fn the_transform_is_the_cosine_transform_and_its_inverse_undoes_it() {
        let pixels: Block = std::array::from_fn(|y| {
            std::array::from_fn(|x| ((37 * y * y + 61 * x + 13 * x * y) % 256) as i32 - 128)
        });
        let mut block = pixels;
        forward(&mut block);
        let cosine = |x: usize, u: usize| {
            let scale = if u == 0 { (1.0f64 / 8.0).sqrt() } else { 0.5 };
            scale * ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos()
        };
        for v in 0..8 {
            for u in 0..8 {
                let mut sum = 0.0;
                for (y, row) in pixels.iter().enumerate() {
                    for (x, &pixel) in row.iter().enumerate() {
                        sum += f64::from(pixel) * cosine(y, v) * cosine(x, u);
                    }
                }
                let found = f64::from(block[v][u]) / 8.0;
                assert!((found - sum).abs() < 0.2, "({v}, {u}): {found} for {sum}");
            }
        }
        let mut back = block.map(|row| row.map(|x| (f64::from(x) / 8.0).round() as i32));
        inverse(&mut back);
        for (row, expected) in back.iter().zip(&pixels) {
            for (x, y) in row.iter().zip(expected) {
                assert!((x - y).abs() <= 1, "{x} for {y}");
            }
        }
    }
}
