//! Poolings: windows that overlap, reach over the edge, leave a part out, hold equals.

use super::{Case, case, halves};
use crate::graph::{Attribute, Setting, int, ints};

const POOL: [usize; 4] = [1, 2, 7, 6];

fn window(kernel: [usize; 2], strides: [usize; 2]) -> Vec<Attribute> {
    vec![ints("kernel_shape", &kernel), ints("strides", &strides)]
}

fn auto_pad(value: &str) -> Attribute {
    Attribute { name: "auto_pad".to_owned(), value: Setting::Text(value.to_owned()) }
}

fn pool(case: Case, operator: &str, window: Vec<Attribute>, more: Vec<Attribute>) -> Case {
    case.node_with(&format!("{operator} x > y"), window.into_iter().chain(more).collect())
}

#[test]
fn maxima() {
    let max = |name, window, more| pool(case(name, &POOL), "MaxPool", window, more);
    max("max_pool", window([2, 2], [2, 2]), vec![]).check();
    max("max_pool_ceil", window([3, 3], [2, 2]), vec![int("ceil_mode", 1)]).check();
    max("max_pool_uneven", window([3, 2], [2, 1]), vec![ints("pads", &[1, 0, 0, 1])]).check();
    max("max_pool_same_upper", window([3, 3], [2, 2]), vec![auto_pad("SAME_UPPER")]).check();
    max("max_pool_same_lower", window([3, 3], [2, 2]), vec![auto_pad("SAME_LOWER")])
        .given(&[1, 2, 4, 3])
        .check();
    max("max_pool_leaves_gaps", window([1, 2], [3, 3]), vec![]).check();
    max("max_pool_valid", window([3, 3], [2, 2]), vec![auto_pad("VALID")]).check();
    let dilated = vec![ints("dilations", &[2, 2]), ints("pads", &[1; 4])];
    max("max_pool_dilated", window([2, 2], [1, 1]), dilated).given(&[1, 2, 7, 6]).check();
}

#[test]
fn maxima_among_equals() {
    let all = halves("max_pool_of_all", &POOL);
    pool(all, "MaxPool", window([7, 6], [1, 1]), vec![]).check();
    let pads = vec![ints("pads", &[1; 4])];
    let ties = halves("max_pool_ties", &POOL);
    pool(ties, "MaxPool", window([3, 3], [2, 2]), pads).check();
}

#[test]
fn averages() {
    let average = |name, window, more| pool(case(name, &POOL), "AveragePool", window, more);
    let (ceil, whole) = (int("ceil_mode", 1), int("count_include_pad", 1));
    let pads = ints("pads", &[1; 4]);
    average("average_pool", window([2, 2], [2, 2]), vec![]).check();
    average("average_pool_inside", window([3, 3], [2, 2]), vec![pads.clone()]).check();
    average("average_pool_whole", window([3, 3], [2, 2]), vec![pads.clone(), whole.clone()])
        .check();
    let all = vec![pads, whole.clone(), ceil.clone()];
    average("average_pool_ceil", window([3, 3], [2, 2]), all).check();
    average("average_pool_ceil_inside", window([2, 3], [3, 3]), vec![ceil]).check();
    let uneven = vec![ints("pads", &[1, 0, 0, 1]), whole];
    average("average_pool_uneven", window([3, 2], [2, 1]), uneven).check();
    average("average_pool_same_upper", window([3, 3], [2, 2]), vec![auto_pad("SAME_UPPER")])
        .check();
}
