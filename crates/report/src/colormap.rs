//! Colour maps: from a number in [0, 1] to a colour.

mod knots;

use std::fmt;
use std::str::FromStr;

use self::knots::{CIVIDIS, PURPLE_GREEN, RED_BLUE, TURBO, between};

/// A colour map: t in [0, 1] to RGB.
///
/// Sequential ones run from little (0) to much (1); diverging ones from negative (0) through white (0.5) to positive
/// (1). Each stays within a level or two of the reference named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Colormap {
    /// OpenCV's `COLORMAP_JET`, which the authors' pictures use. Bright but uneven: prefer [`Colormap::Turbo`].
    Jet,
    /// Google's turbo: the rainbow of jet without its false edges.
    Turbo,
    /// matplotlib's viridis.
    Viridis,
    /// matplotlib's inferno.
    Inferno,
    /// matplotlib's magma.
    Magma,
    /// matplotlib's plasma.
    Plasma,
    /// matplotlib's cividis, made for colour-blind eyes.
    Cividis,
    /// Diverging: blue is negative, white zero, red positive (ColorBrewer's RdBu with a white centre).
    RedBlue,
    /// Diverging: green is negative, white zero, purple positive (ColorBrewer's PRGn with a white centre).
    PurpleGreen,
}

/// There is no colour map of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no colour map named {name:?}; expected one of {}", Colormap::ALL.map(Colormap::name).join(", "))]
pub struct UnknownColormap {
    /// What was asked for.
    pub name: String,
}

impl Colormap {
    /// Every colour map, in the order in which help texts list them.
    pub const ALL: [Colormap; 9] = [
        Colormap::Jet,
        Colormap::Turbo,
        Colormap::Viridis,
        Colormap::Inferno,
        Colormap::Magma,
        Colormap::Plasma,
        Colormap::Cividis,
        Colormap::RedBlue,
        Colormap::PurpleGreen,
    ];

    /// The name on the command line and in manifests, such as `red-blue`.
    pub fn name(self) -> &'static str {
        match self {
            Colormap::Jet => "jet",
            Colormap::Turbo => "turbo",
            Colormap::Viridis => "viridis",
            Colormap::Inferno => "inferno",
            Colormap::Magma => "magma",
            Colormap::Plasma => "plasma",
            Colormap::Cividis => "cividis",
            Colormap::RedBlue => "red-blue",
            Colormap::PurpleGreen => "purple-green",
        }
    }

    /// Whether the middle means zero and the two halves mean two signs.
    pub fn is_diverging(self) -> bool {
        matches!(self, Colormap::RedBlue | Colormap::PurpleGreen)
    }

    /// The RGB colour at `t`; values outside [0, 1] count as the nearer end, NaN as 0.
    pub fn colour(self, t: f32) -> [u8; 3] {
        let t = if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) };
        let gradient = match self {
            Colormap::Jet => return jet((255.0 * t).round() as i32),
            Colormap::Turbo => return between(TURBO, 255.0 * t),
            Colormap::Cividis => return between(CIVIDIS, 255.0 * t),
            Colormap::RedBlue => return between(RED_BLUE, 255.0 * t),
            Colormap::PurpleGreen => return between(PURPLE_GREEN, 255.0 * t),
            Colormap::Viridis => colorous::VIRIDIS,
            Colormap::Inferno => colorous::INFERNO,
            Colormap::Magma => colorous::MAGMA,
            Colormap::Plasma => colorous::PLASMA,
        };
        gradient.eval_continuous(f64::from(t)).into_array()
    }

    /// The 256 colours at t = i/255, as a look-up table for 8-bit values.
    pub fn table(self) -> [[u8; 3]; 256] {
        std::array::from_fn(|i| self.colour(i as f32 / 255.0))
    }
}

impl fmt::Display for Colormap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Colormap {
    type Err = UnknownColormap;

    /// Reads a name as [`Colormap::name`] spells it; capitals and underscores are forgiven.
    fn from_str(name: &str) -> Result<Self, UnknownColormap> {
        let plain = name.trim().to_lowercase().replace('_', "-");
        Colormap::ALL
            .into_iter()
            .find(|map| map.name() == plain)
            .ok_or_else(|| UnknownColormap { name: name.to_owned() })
    }
}

/// Entry `i` of OpenCV's jet: three trapezoids with slopes of four levels an entry.
fn jet(i: i32) -> [u8; 3] {
    let trapezoid = |rise: i32, fall: i32| (4 * i - rise).min(fall - 4 * i).clamp(0, 255) as u8;
    let red = trapezoid(382, 1148);
    let green = trapezoid(128, 892);
    // OpenCV rounds this one value down where the line gives 2.
    let blue = if i == 159 { 1 } else { trapezoid(-128, 638) };
    [red, green, blue]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    #[test]
    fn names_read_back() {
        for map in Colormap::ALL {
            assert_eq!(map.name().parse::<Colormap>().unwrap(), map);
        }
        assert_eq!("Red_Blue".parse::<Colormap>().unwrap(), Colormap::RedBlue);
    }

    #[test]
    fn an_unknown_name_lists_all() {
        let message = "rainbow".parse::<Colormap>().unwrap_err().to_string();
        assert!(message.contains("\"rainbow\""), "{message}");
        for map in Colormap::ALL {
            assert!(message.contains(map.name()), "{message}");
        }
    }

    #[test]
    fn outside_and_nan_are_the_ends() {
        for map in Colormap::ALL {
            assert_eq!(map.colour(f32::NAN), map.colour(0.0));
            assert_eq!(map.colour(-3.0), map.colour(0.0));
            assert_eq!(map.colour(f32::INFINITY), map.colour(1.0));
            assert_ne!(map.colour(0.0), map.colour(1.0));
        }
    }

    #[test]
    fn diverging_maps_are_white_in_the_middle_and_signed_at_the_ends() {
        for map in Colormap::ALL {
            assert_eq!(map.is_diverging(), map.colour(0.5) == [255; 3], "{map}");
        }
        let [red, _, blue] = Colormap::RedBlue.colour(0.0);
        assert!(blue > red);
        let [red, _, blue] = Colormap::RedBlue.colour(1.0);
        assert!(red > blue);
    }
}
