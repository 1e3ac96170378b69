//! Colour maps as a few knots with straight lines between them.
//!
//! `colorous` draws turbo and cividis from polynomials that miss the published tables by up to 32 and 18 levels,
//! so these two are kept here as knots that meet the tables to one level: turbo of Anton Mikhailov (Google,
//! Apache-2.0), cividis of Nuñez, Anderton and Renslow. The diverging pair follows ColorBrewer's RdBu and PRGn
//! (Cynthia Brewer, Apache-2.0) with a pure white centre, so that "no evidence" carries no hue.

/// A position in 0 ..= 255 and the RGB colour there.
pub(super) type Knot = (f32, [u8; 3]);

/// Straight line between the two knots around `position`; the ends hold beyond them.
pub(super) fn between(knots: &[Knot], position: f32) -> [u8; 3] {
    let above = knots.partition_point(|&(at, _)| at < position);
    match (above.checked_sub(1).and_then(|k| knots.get(k)), knots.get(above)) {
        (Some(&(a, low)), Some(&(b, high))) => {
            let share = (position - a) / (b - a);
            std::array::from_fn(|c| {
                let (low, high) = (f32::from(low[c]), f32::from(high[c]));
                (low + share * (high - low)).round() as u8
            })
        }
        (None, Some(&(_, only))) | (Some(&(_, only)), None) => only,
        (None, None) => [0; 3],
    }
}

pub(super) const RED_BLUE: &[Knot] = &[
    (0.0, [33, 102, 172]),
    (31.875, [67, 147, 195]),
    (63.75, [146, 197, 222]),
    (95.625, [209, 229, 240]),
    (127.5, [255, 255, 255]),
    (159.375, [253, 219, 199]),
    (191.25, [244, 165, 130]),
    (223.125, [214, 96, 77]),
    (255.0, [178, 24, 43]),
];

pub(super) const PURPLE_GREEN: &[Knot] = &[
    (0.0, [27, 120, 55]),
    (31.875, [90, 174, 97]),
    (63.75, [166, 219, 160]),
    (95.625, [217, 240, 211]),
    (127.5, [255, 255, 255]),
    (159.375, [231, 212, 232]),
    (191.25, [194, 165, 207]),
    (223.125, [153, 112, 171]),
    (255.0, [118, 42, 131]),
];

pub(super) const TURBO: &[Knot] = &[
    (0.0, [48, 18, 59]),
    (6.0, [55, 36, 102]),
    (10.0, [59, 47, 128]),
    (14.0, [63, 59, 151]),
    (22.0, [68, 81, 191]),
    (27.0, [69, 94, 211]),
    (34.0, [71, 113, 233]),
    (41.0, [70, 130, 248]),
    (46.0, [68, 143, 254]),
    (52.0, [61, 158, 254]),
    (58.0, [51, 173, 247]),
    (61.0, [46, 180, 242]),
    (69.0, [32, 199, 223]),
    (73.0, [27, 208, 213]),
    (77.0, [24, 215, 202]),
    (82.0, [24, 224, 189]),
    (89.0, [32, 234, 172]),
    (94.0, [44, 240, 158]),
    (98.0, [56, 244, 145]),
    (108.0, [93, 252, 111]),
    (119.0, [136, 255, 78]),
    (123.0, [150, 254, 68]),
    (131.0, [172, 251, 56]),
    (137.0, [188, 245, 52]),
    (142.0, [200, 239, 52]),
    (148.0, [215, 229, 53]),
    (155.0, [229, 217, 56]),
    (158.0, [235, 211, 57]),
    (164.0, [244, 199, 58]),
    (170.0, [250, 186, 57]),
    (177.0, [254, 169, 51]),
    (183.0, [254, 153, 44]),
    (195.0, [249, 117, 29]),
    (202.0, [242, 96, 20]),
    (208.0, [235, 80, 14]),
    (215.0, [225, 65, 9]),
    (226.0, [204, 43, 4]),
    (237.0, [178, 26, 1]),
    (242.0, [164, 19, 1]),
    (255.0, [122, 4, 3]),
];

pub(super) const CIVIDIS: &[Knot] = &[
    (0.0, [0, 34, 78]),
    (20.0, [0, 48, 112]),
    (23.0, [1, 50, 113]),
    (28.0, [18, 53, 112]),
    (33.0, [28, 57, 111]),
    (44.0, [45, 65, 109]),
    (53.0, [56, 71, 108]),
    (86.0, [88, 94, 109]),
    (134.0, [130, 128, 121]),
    (151.0, [146, 141, 120]),
    (171.0, [166, 156, 116]),
    (191.0, [187, 173, 109]),
    (219.0, [217, 197, 92]),
    (233.0, [232, 210, 79]),
    (244.0, [245, 220, 65]),
    (251.0, [253, 227, 52]),
    (255.0, [254, 232, 56]),
];
