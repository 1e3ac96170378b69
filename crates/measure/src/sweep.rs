//! Everything that depends on the order of the confidences, in one pass for several resamples at a time.

use std::ops::Range;

use crate::calibration::{EqualMass, EqualWidth, bin_of};
use crate::ranking::{Confidences, Group, Ranking};
use crate::selective::{Area, harmonic};
use crate::sums::{add, listed};

/// Images of a tile, but for one group of equal confidence that is larger.
const TILE: usize = 32;

/// Images in order of their confidence, cut where something is to be summed up.
pub(crate) struct Sweep {
    ranking: Ranking,
    pieces: Vec<Piece>,
    tiles: Vec<Tile>,
    bins: usize,
    harmonic: Vec<f64>,
}

/// Images predicted right, and after them images predicted wrong.
struct Piece {
    /// Where the right ones end.
    right: usize,
    end: usize,
    /// All are of one confidence, and both kinds occur: they come in random order.
    mixed: bool,
}

/// Groups of equal confidence within one bin of equal width.
struct Tile {
    /// Where they end among the groups and among the pieces.
    groups: usize,
    pieces: usize,
    ends_bin: bool,
}

/// Metrics of each resample.
pub(crate) struct Swept<const L: usize> {
    /// How many predictions are wrong.
    pub(crate) errors: [f64; L],
    pub(crate) ece: [f64; L],
    pub(crate) mce: [f64; L],
    pub(crate) adaptive_ece: [f64; L],
    pub(crate) aurc: [f64; L],
}

impl Sweep {
    pub(crate) fn new(confidences: &Confidences, bins: usize) -> Self {
        let ranking = Ranking::new(confidences);
        let (mut pieces, mut tiles) = (Vec::<Piece>::new(), Vec::<Tile>::new());
        let (mut start, mut first_piece) = (0, 0);
        for (place, group) in ranking.groups.iter().enumerate() {
            match pieces[first_piece..].last_mut() {
                Some(piece) if piece.takes(group) => piece.take(group),
                _ => pieces.push(Piece::new(group)),
            }
            let next = ranking.groups.get(place + 1);
            let bin = bin_of(group.confidence, bins);
            let ends_bin = next.is_none_or(|next| bin_of(next.confidence, bins) != bin);
            if ends_bin || next.is_some_and(|next| next.end - start > TILE) {
                tiles.push(Tile { groups: place + 1, pieces: pieces.len(), ends_bin });
                (start, first_piece) = (group.end, pieces.len());
            }
        }
        Self { pieces, tiles, bins, harmonic: harmonic(confidences.values.len()), ranking }
    }

    /// The metrics with every image taken as often as `counts` says, which is as many as there are images.
    #[inline(always)]
    pub(crate) fn metrics<const L: usize>(&self, counts: &[[u8; L]]) -> Swept<L> {
        let images = counts.len() as f64;
        let mut equal_width = EqualWidth::new();
        let mut equal_mass = EqualMass::new(self.bins, images);
        let mut area = Area::new(&self.harmonic);
        let (mut start, mut first_piece, mut first_group) = (0, 0, 0);
        for tile in &self.tiles {
            let (mut masses, mut gaps) = ([0.0; L], [0.0; L]);
            for piece in &self.pieces[first_piece..tile.pieces] {
                let (right, right_gaps) = self.drawn(counts, start..piece.right);
                let (wrong, wrong_gaps) = self.drawn(counts, piece.right..piece.end);
                if piece.mixed {
                    area.mixed(&right, &wrong);
                } else {
                    if piece.right > start {
                        area.right(&right);
                    }
                    if piece.end > piece.right {
                        area.wrong(&wrong);
                    }
                }
                for lane in 0..L {
                    masses[lane] += f64::from(right[lane] + wrong[lane]);
                }
                add(&mut gaps, &right_gaps);
                add(&mut gaps, &wrong_gaps);
                start = piece.end;
            }
            equal_width.add(&masses, &gaps);
            if tile.ends_bin {
                equal_width.end_of_bin();
            }
            let groups = &self.ranking.groups[first_group..tile.groups];
            equal_mass.add(&masses, &gaps, |lane, visit| {
                if groups.len() == 1 {
                    visit(masses[lane], gaps[lane]);
                } else {
                    groups.iter().for_each(|group| self.visit(group, counts, lane, visit));
                }
            });
            (first_piece, first_group) = (tile.pieces, tile.groups);
        }
        let (ece, mce) = equal_width.errors(images);
        Swept {
            errors: area.errors(),
            ece,
            mce,
            adaptive_ece: equal_mass.errors(),
            aurc: area.areas(images),
        }
    }

    #[inline(always)]
    fn drawn<const L: usize>(
        &self,
        counts: &[[u8; L]],
        places: Range<usize>,
    ) -> ([u32; L], [f64; L]) {
        listed(counts, &self.ranking.images[places.clone()], &self.ranking.gaps[places])
    }

    fn visit<const L: usize>(
        &self,
        group: &Group,
        counts: &[[u8; L]],
        lane: usize,
        visit: &mut dyn FnMut(f64, f64),
    ) {
        let (mut mass, mut gap) = (0.0, 0.0);
        for place in group.places() {
            let count = f64::from(counts[self.ranking.images[place] as usize][lane]);
            mass += count;
            gap += count * self.ranking.gaps[place];
        }
        visit(mass, gap);
    }
}

impl Piece {
    fn new(group: &Group) -> Self {
        let mixed = group.wrong() > 0 && group.wrong() < group.mass();
        Self { right: group.right, end: group.end, mixed }
    }

    /// Whether a group keeps the order right, then wrong.
    fn takes(&self, group: &Group) -> bool {
        let all_right = group.wrong() == 0;
        let all_wrong = group.wrong() == group.mass();
        !self.mixed && (all_wrong || (all_right && self.right == self.end))
    }

    fn take(&mut self, group: &Group) {
        if group.wrong() == 0 {
            self.right = group.end;
        }
        self.end = group.end;
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::sums::products;
    use crate::vectors::vectorized;

    /// Bits depend neither on the vectors of the machine nor on what is measured side by side.
    #[test]
    fn a_resample_has_the_same_bits_alone_as_beside_others() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let images = 1000;
        let confidence = |_| f64::from(random.random_range(100..1000)) / 1000.0;
        let values: Vec<f64> = (0..images).map(confidence).collect();
        let right = values.iter().map(|value| random.random_bool(*value)).collect();
        let mut counts = vec![[0u8; 16]; images];
        for draw in 0..images * 16 {
            counts[random.random_range(0..images)][draw % 16] += 1;
        }
        let squares: Vec<f64> = values.iter().map(|value| value * value).collect();
        let roots: Vec<f64> = values.iter().map(|value| value.sqrt()).collect();
        let columns: [&[f64]; 3] = [&values, &squares, &roots];
        let sweep = Sweep::new(&Confidences { values: values.clone(), right }, 15);
        let bits = |swept: &Swept<16>, lane: usize| {
            let Swept { errors, ece, mce, adaptive_ece, aurc } = swept;
            [errors, ece, mce, adaptive_ece, aurc].map(|metric| metric[lane].to_bits())
        };
        let plain = sweep.metrics(&counts);
        let wide = vectorized(
            #[inline(always)]
            || sweep.metrics(&counts),
        );
        let wide_sums = vectorized(
            #[inline(always)]
            || products(&counts, &columns),
        );
        assert_eq!(products(&counts, &columns), wide_sums);
        for lane in 0..16 {
            assert_eq!(bits(&plain, lane), bits(&wide, lane));
            let alone: Vec<[u8; 1]> = counts.iter().map(|row| [row[lane]]).collect();
            let Swept { errors, ece, mce, adaptive_ece, aurc } = sweep.metrics(&alone);
            let alone_bits = [errors, ece, mce, adaptive_ece, aurc].map(|[v]| v.to_bits());
            assert_eq!(alone_bits, bits(&wide, lane));
            for (sum, [alone]) in wide_sums.iter().zip(products(&alone, &columns)) {
                assert_eq!(sum[lane], alone);
            }
        }
    }
}
