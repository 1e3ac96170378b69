//! Five windows with ice on them, drawn.
//!
//! Ice is made of spindles: flat crystals, pointed at both ends, with a bright and a dark facet. Blades are spindles that lie about;
//! a fern is a stem with twigs at 60 degrees, as ice grows, and twigs on these; a star is six ferns around a point. Under
//! them lies a thin film: the haze of a random landscape and the wrinkles of its contour lines. Windows are tori, so that a
//! part of any size can be taken from anywhere.

use std::sync::OnceLock;

use crate::random::Stream;
use crate::weather::fog::Plasma;

/// Pixels along each side.
pub(super) const SIDE: usize = 512;

/// A window.
pub(super) struct Window {
    /// Row by row, red, green, blue.
    pub(super) pixels: Vec<[u8; 3]>,
}

/// What a window shows.
struct Style {
    /// The mean of each channel.
    mean: [f32; 3],
    /// The standard deviation of each channel.
    spread: [f32; 3],
    /// How strong the film is, its haze and its wrinkles, beside crystals of about 1.
    haze: f32,
    wrinkles: f32,
    /// How many blades, how long at most, and how wide in relation to that.
    blades: (usize, f32, f32),
    /// How many ferns and stars, and how long their stems at most.
    ferns: (usize, f32),
    stars: (usize, f32),
}

const STYLES: [Style; Window::COUNT] = [
    // a wrinkled, bluish film
    Style {
        mean: [80.0, 148.0, 165.0],
        spread: [27.0, 17.0, 15.0],
        haze: 1.2,
        wrinkles: 0.7,
        blades: (500, 26.0, 0.05),
        ferns: (0, 0.0),
        stars: (0, 0.0),
    },
    // white blades, close together
    Style {
        mean: [201.0, 205.0, 214.0],
        spread: [22.0, 22.0, 22.0],
        haze: 0.4,
        wrinkles: 0.1,
        blades: (1900, 90.0, 0.13),
        ferns: (0, 0.0),
        stars: (0, 0.0),
    },
    // white ferns over blades
    Style {
        mean: [198.0, 204.0, 214.0],
        spread: [23.0, 22.0, 21.0],
        haze: 0.3,
        wrinkles: 0.1,
        blades: (1200, 60.0, 0.08),
        ferns: (90, 150.0),
        stars: (0, 0.0),
    },
    // grey grains and small stars
    Style {
        mean: [138.0, 153.0, 165.0],
        spread: [29.0, 29.0, 30.0],
        haze: 0.3,
        wrinkles: 0.3,
        blades: (9000, 12.0, 0.1),
        ferns: (0, 0.0),
        stars: (60, 36.0),
    },
    // stars and ferns on dark glass
    Style {
        mean: [112.0, 123.0, 135.0],
        spread: [45.0, 44.0, 42.0],
        haze: 0.5,
        wrinkles: 0.1,
        blades: (300, 30.0, 0.05),
        ferns: (60, 110.0),
        stars: (150, 60.0),
    },
];

impl Window {
    /// How many there are.
    pub(super) const COUNT: usize = 5;

    /// The window of a number below [`Window::COUNT`], drawn when it is first looked at.
    pub(super) fn number(number: usize) -> &'static Window {
        static WINDOWS: [OnceLock<Window>; Window::COUNT] =
            [const { OnceLock::new() }; Window::COUNT];
        WINDOWS[number].get_or_init(|| Window::draw(&STYLES[number], Stream::shared(number as u64)))
    }

    fn draw(style: &Style, mut stream: Stream) -> Window {
        let mut ice = Ice { heights: film(style, &mut stream) };
        for _ in 0..style.blades.0 {
            let (y, x) = (ice.anywhere(&mut stream), ice.anywhere(&mut stream));
            let length = style.blades.1 * stream.uniform(0.3, 1.0);
            let blade = Spindle {
                y,
                x,
                angle: stream.uniform(0.0, 2.0 * PI),
                length,
                width: 1.0 + length * style.blades.2 * stream.uniform(0.4, 1.4),
                shade: stream.uniform(-1.0, 1.0),
            };
            ice.lay(&blade);
        }
        for _ in 0..style.ferns.0 {
            let (y, x) = (ice.anywhere(&mut stream), ice.anywhere(&mut stream));
            let angle = stream.uniform(0.0, 2.0 * PI);
            ice.grow(y, x, angle, style.ferns.1 * stream.uniform(0.4, 1.0), 2, &mut stream);
        }
        for _ in 0..style.stars.0 {
            let (y, x) = (ice.anywhere(&mut stream), ice.anywhere(&mut stream));
            let angle = stream.uniform(0.0, PI / 3.0);
            let length = style.stars.1 * stream.uniform(0.4, 1.0);
            for arm in 0..6 {
                let angle = angle + arm as f32 * PI / 3.0;
                ice.grow(y, x, angle, length * stream.uniform(0.5, 1.0), 2, &mut stream);
            }
        }
        ice.coloured(style)
    }
}

const PI: f32 = std::f32::consts::PI;

/// The film under the crystals: haze of mean 0 and wrinkles where contour lines of a landscape run.
fn film(style: &Style, stream: &mut Stream) -> Vec<f32> {
    let mut landscape = |decay: f32| Plasma::new(SIDE, decay, stream).scaled();
    let (haze, folds) = (landscape(1.5), landscape(1.35));
    let fold = |y: usize, x: usize| {
        let height = 9.0 * folds[(y % SIDE) * SIDE + x % SIDE];
        (2.0 * (height - height.floor()) - 1.0).abs()
    };
    (0..SIDE * SIDE)
        .map(|i| {
            let (y, x) = (i / SIDE, i % SIDE);
            // lit from the upper left, as the crystals are
            let relief = fold(y + 1, x + 1) - fold(y, x);
            style.haze * (4.0 * haze[i] - 2.0) + style.wrinkles * 4.0 * relief.clamp(-0.5, 0.5)
        })
        .collect()
}

/// A crystal: where it begins, in which direction and how far it reaches, how wide it is in its middle, and how bright.
struct Spindle {
    y: f32,
    x: f32,
    angle: f32,
    length: f32,
    width: f32,
    shade: f32,
}

/// The brightness of a window, any number.
struct Ice {
    heights: Vec<f32>,
}

impl Ice {
    fn anywhere(&self, stream: &mut Stream) -> f32 {
        stream.unit() * SIDE as f32
    }

    /// Lays a crystal over what there is.
    fn lay(&mut self, spindle: &Spindle) {
        let (sine, cosine) = libm::sincosf(spindle.angle);
        let (end_y, end_x) =
            (spindle.y + spindle.length * sine, spindle.x + spindle.length * cosine);
        let room = spindle.width + 1.0;
        let range =
            |a: f32, b: f32| ((a.min(b) - room).floor() as i32, (a.max(b) + room).ceil() as i32);
        let ((top, bottom), (left, right)) = (range(spindle.y, end_y), range(spindle.x, end_x));
        // facets look up and left or down and right
        let facing = 0.7 * (cosine - sine);
        for y in top..=bottom {
            for x in left..=right {
                let (dy, dx) = (y as f32 - spindle.y, x as f32 - spindle.x);
                let along = (dy * sine + dx * cosine) / spindle.length;
                if !(0.0..=1.0).contains(&along) {
                    continue;
                }
                let across = dy * cosine - dx * sine;
                let half = 0.5 * spindle.width * (4.0 * along * (1.0 - along)).max(0.2);
                let cover = (half + 0.5 - across.abs()).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let facet = if across < 0.0 { facing } else { -facing };
                    let size = SIDE as i32;
                    let place = y.rem_euclid(size) as usize * SIDE + x.rem_euclid(size) as usize;
                    let height = &mut self.heights[place];
                    *height += 0.8 * cover * (spindle.shade + facet - *height);
                }
            }
        }
    }

    /// Grows a fern: twigs first, then the stem that holds them.
    fn grow(&mut self, y: f32, x: f32, angle: f32, length: f32, order: u32, stream: &mut Stream) {
        let (sine, cosine) = libm::sincosf(angle);
        if order > 0 {
            let mut along = 0.12 * length;
            while along < length {
                let (y, x) = (y + along * sine, x + along * cosine);
                // the oldest twigs, near the foot, are the longest
                let twig = 0.45 * (length - along) * stream.uniform(0.6, 1.0);
                if twig > 2.5 {
                    for side in [-1.0, 1.0] {
                        let angle = angle + side * PI / 3.0 + stream.uniform(-0.08, 0.08);
                        self.grow(y, x, angle, twig * stream.uniform(0.8, 1.0), order - 1, stream);
                    }
                }
                along += (0.055 * length).max(2.5) * stream.uniform(0.8, 1.3);
            }
        }
        let shade = stream.uniform(0.4, 1.4);
        self.lay(&Spindle { y, x, angle, length, width: 1.0 + 0.02 * length, shade });
    }

    /// Brightness as colours of the style's means and spreads.
    fn coloured(&self, style: &Style) -> Window {
        let count = self.heights.len() as f64;
        let mean = self.heights.iter().map(|&h| f64::from(h)).sum::<f64>() / count;
        let square = self.heights.iter().map(|&h| (f64::from(h) - mean).powi(2)).sum::<f64>();
        let deviation = libm::sqrt(square / count).max(f64::MIN_POSITIVE);
        let pixels = self
            .heights
            .iter()
            .map(|&h| {
                let h = ((f64::from(h) - mean) / deviation) as f32;
                std::array::from_fn(|c| {
                    (style.mean[c] + style.spread[c] * h + 0.5).clamp(0.0, 255.0) as u8
                })
            })
            .collect();
        Window { pixels }
    }
}
