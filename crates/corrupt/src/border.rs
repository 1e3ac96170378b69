//! What lies beyond the edge of a picture.

/// How a run of n samples goes on at both ends.
#[derive(Clone, Copy)]
pub(crate) enum Border {
    /// a a | a b c | c c
    Nearest,
    /// b a | a b c | c b
    Symmetric,
    /// c b | a b c | b a
    Mirror,
}

impl Border {
    /// The sample, 0 to n - 1, that stands at a position.
    pub(crate) fn at(self, position: isize, n: usize) -> usize {
        let last = n as isize - 1;
        if (0..=last).contains(&position) {
            return position as usize;
        }
        let folded = match self {
            Border::Nearest => position.clamp(0, last),
            Border::Symmetric => {
                let place = position.rem_euclid(2 * (last + 1));
                place.min(2 * last + 1 - place)
            }
            Border::Mirror if last == 0 => 0,
            Border::Mirror => {
                let place = position.rem_euclid(2 * last);
                place.min(2 * last - place)
            }
        };
        folded as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_border_goes_on_as_its_picture_says() {
        let run = |border: Border| (-5..8).map(|at| border.at(at, 3)).collect::<Vec<_>>();
        assert_eq!(run(Border::Nearest), [0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2]);
        assert_eq!(run(Border::Symmetric), [1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1]);
        assert_eq!(run(Border::Mirror), [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]);
        assert!((-3..4).all(|at| Border::Mirror.at(at, 1) == 0));
    }
}
