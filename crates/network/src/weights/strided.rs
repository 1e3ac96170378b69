//! A tensor as a file has it: of any type, in any memory layout.

use safetensors::Dtype;

/// Size of an element in bytes; types of less than a byte are not read here.
pub(crate) fn element_size(dtype: Dtype) -> usize {
    dtype.bitsize() / 8
}

/// A strided view of the file's bytes, known to lie within them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Strided {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Elements from one index to the next along each axis.
    strides: Vec<usize>,
    /// Of the first element, in bytes.
    pub offset: usize,
    elements: usize,
}

impl Strided {
    /// A view whose every element must lie before byte `end`; `None` if one does not, or if the
    /// shape is too large to count.
    pub fn within(
        dtype: Dtype,
        shape: Vec<usize>,
        strides: Vec<usize>,
        offset: usize,
        end: usize,
    ) -> Option<Self> {
        let elements = count(&shape)?;
        if elements == 0 {
            return Some(Self { dtype, shape, strides, offset: offset.min(end), elements });
        }
        let mut last = 0usize;
        for (length, stride) in shape.iter().zip(&strides) {
            last = last.checked_add((length - 1).checked_mul(*stride)?)?;
        }
        let bytes = last.checked_add(1)?.checked_mul(element_size(dtype))?;
        (offset.checked_add(bytes)? <= end).then_some(Self {
            dtype,
            shape,
            strides,
            offset,
            elements,
        })
    }

    /// A tensor whose elements follow each other, as they do in a safetensors file.
    pub fn dense(dtype: Dtype, shape: Vec<usize>, offset: usize, end: usize) -> Option<Self> {
        let strides = dense_strides(&shape)?;
        Self::within(dtype, shape, strides, offset, end)
    }

    pub fn elements(&self) -> usize {
        self.elements
    }

    /// Length of the elements in bytes, if each is counted once.
    pub fn length(&self) -> usize {
        self.elements.saturating_mul(element_size(self.dtype))
    }

    /// True if the elements follow each other in the order of their indices.
    pub fn is_dense(&self) -> bool {
        let Some(dense) = dense_strides(&self.shape) else { return false };
        let axes = self.shape.iter().zip(&self.strides).zip(&dense);
        // along an axis of length 1 nothing is ever stepped
        self.elements == 0
            || axes.into_iter().all(|((&length, stride), dense)| length == 1 || stride == dense)
    }

    /// Byte offsets of all elements, in the order of their indices, the last index fastest.
    pub fn offsets(&self) -> impl Iterator<Item = usize> + '_ {
        let mut index = vec![0; self.shape.len()];
        let mut at = 0;
        (0..self.elements).map(move |_| {
            let here = self.offset + at * element_size(self.dtype);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= index[axis] * self.strides[axis];
                index[axis] = 0;
            }
            here
        })
    }
}

/// Number of elements; `None` if the axes other than empty ones multiply to more than memory can hold.
fn count(shape: &[usize]) -> Option<usize> {
    let product = shape.iter().filter(|&&n| n > 0).try_fold(1usize, |a, &b| a.checked_mul(b))?;
    // with room for the largest element, so that lengths in bytes can be counted too
    product.checked_mul(16).filter(|&bytes| isize::try_from(bytes).is_ok())?;
    Some(if shape.contains(&0) { 0 } else { product })
}

fn dense_strides(shape: &[usize]) -> Option<Vec<usize>> {
    let mut step = 1usize;
    let mut strides = vec![0; shape.len()];
    for (stride, &length) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step = step.checked_mul(length.max(1))?;
    }
    Some(strides)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn offsets_follow_the_strides() {
        let transposed = Strided::within(Dtype::F32, vec![2, 3], vec![1, 2], 8, 32).unwrap();
        assert!(!transposed.is_dense());
        assert_eq!(transposed.offsets().collect::<Vec<_>>(), [8, 16, 24, 12, 20, 28]);
        let expanded = Strided::within(Dtype::F16, vec![2, 2], vec![0, 1], 0, 4).unwrap();
        assert_eq!(expanded.offsets().collect::<Vec<_>>(), [0, 2, 0, 2]);
        let scalar = Strided::within(Dtype::F64, vec![], vec![], 8, 16).unwrap();
        assert_eq!(scalar.offsets().collect::<Vec<_>>(), [8]);
        assert!(scalar.is_dense());
    }

    #[test]
    fn views_beyond_their_end_are_none() {
        let view = |shape: Vec<usize>, strides, end| {
            Strided::within(Dtype::F32, shape, strides, 0, end).is_some()
        };
        assert!(view(vec![2, 3], vec![3, 1], 24));
        assert!(!view(vec![2, 3], vec![3, 1], 23));
        assert!(!view(vec![2, 3], vec![usize::MAX, 1], 24));
        assert!(!view(vec![usize::MAX, usize::MAX], vec![0, 0], 24));
        assert!(!view(vec![usize::MAX, usize::MAX, 0], vec![0, 0, 0], 24));
        // an empty tensor lies everywhere
        assert!(view(vec![3, 0], vec![1, 1], 0));
        assert!(view(vec![1, 2], vec![77, 1], 8));
        let one = Strided::within(Dtype::F32, vec![1, 2], vec![77, 1], 0, 8).unwrap();
        assert!(one.is_dense());
    }
}
