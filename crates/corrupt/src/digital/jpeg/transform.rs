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

/// Eight values at once: the same place in eight rows or columns.
type Lanes = [i32; 8];

#[inline(always)]
fn each(a: Lanes, b: Lanes, f: impl Fn(i32, i32) -> i32) -> Lanes {
    std::array::from_fn(|i| f(a[i], b[i]))
}

#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    each(a, b, i32::wrapping_add)
}

#[inline(always)]
fn sub(a: Lanes, b: Lanes) -> Lanes {
    each(a, b, i32::wrapping_sub)
}

#[inline(always)]
fn times(a: Lanes, factor: i32) -> Lanes {
    a.map(|x| x.wrapping_mul(factor))
}

/// Divided by 2^bits, rounded, halves up.
#[inline(always)]
fn rounded(a: Lanes, bits: i32) -> Lanes {
    a.map(|x| x.wrapping_add(1 << (bits - 1)) >> bits)
}

#[inline(always)]
fn transpose(block: &mut [Lanes; 8]) {
    *block = std::array::from_fn(|i| std::array::from_fn(|j| block[j][i]));
}

/// The part that both directions share: four values, turned against each other by the odd angles.
#[inline(always)]
fn odd_part([a, b, c, d]: [Lanes; 4]) -> [Lanes; 4] {
    let (even, odd) = (add(a, c), add(b, d));
    let both = times(add(even, odd), C3);
    let (even, odd) = (sub(both, times(even, EVEN_PAIR)), sub(both, times(odd, ODD_PAIR)));
    let (outer, inner) = (times(add(a, d), OUTER), times(add(b, c), INNER));
    [
        add(sub(times(a, ODD[0]), outer), even),
        add(sub(times(b, ODD[1]), inner), odd),
        add(sub(times(c, ODD[2]), inner), even),
        add(sub(times(d, ODD[3]), outer), odd),
    ]
}

/// One direction, over the first index. `whole` are digits that the first direction keeps and the second takes away.
#[inline(always)]
fn forward_pass(x: &mut [Lanes; 8], first: bool) {
    let sums: [Lanes; 4] = std::array::from_fn(|i| add(x[i], x[7 - i]));
    let differences: [Lanes; 4] = std::array::from_fn(|i| sub(x[3 - i], x[4 + i]));
    let (outer, inner) = (add(sums[0], sums[3]), add(sums[1], sums[2]));
    let (a, b) = (sub(sums[0], sums[3]), sub(sums[1], sums[2]));
    let turned = times(add(a, b), C6);
    let even = |x: Lanes| if first { x.map(|x| x << 2) } else { rounded(x, 2) };
    let bits = if first { 11 } else { 15 };
    x[0] = even(add(outer, inner));
    x[4] = even(sub(outer, inner));
    x[2] = rounded(add(turned, times(a, C2_MINUS_C6)), bits);
    x[6] = rounded(sub(turned, times(b, C2_PLUS_C6)), bits);
    let odd = odd_part(differences);
    for (k, value) in [7, 5, 3, 1].into_iter().zip(odd) {
        x[k] = rounded(value, bits);
    }
}

/// Eight times the coefficients of a block; rows first.
#[inline(always)]
pub(super) fn forward(block: &mut [Lanes; 8]) {
    transpose(block);
    forward_pass(block, true);
    transpose(block);
    forward_pass(block, false);
}

#[inline(always)]
fn inverse_pass(x: &mut [Lanes; 8], bits: i32) {
    let turned = times(add(x[2], x[6]), C6);
    let (a, b) = (sub(turned, times(x[6], C2_PLUS_C6)), add(turned, times(x[2], C2_MINUS_C6)));
    let (plus, minus) = (times(add(x[0], x[4]), 1 << 13), times(sub(x[0], x[4]), 1 << 13));
    let even = [add(plus, b), add(minus, a), sub(minus, a), sub(plus, b)];
    let odd = odd_part([x[7], x[5], x[3], x[1]]);
    for i in 0..4 {
        x[i] = rounded(add(even[i], odd[3 - i]), bits);
        x[7 - i] = rounded(sub(even[i], odd[3 - i]), bits);
    }
}

/// The samples of a block of coefficients, around 0; columns first.
#[inline(always)]
pub(super) fn inverse(block: &mut [Lanes; 8]) {
    inverse_pass(block, 11);
    transpose(block);
    inverse_pass(block, 18);
    transpose(block);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_is_the_cosine_transform_and_its_inverse_undoes_it() {
        let pixels: [Lanes; 8] = std::array::from_fn(|y| {
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
