//! What `torch._utils._rebuild_tensor_v2` and its kin would have made of their arguments.

use safetensors::Dtype;

use super::value::{Id, Pickle, shown};

/// How deep a parameter may wrap a tensor.
const MAX_WRAPPING: usize = 4;
/// Most axes of a tensor, as in PyTorch.
const MAX_AXES: usize = 64;

/// A part of the file that tensors are views of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Storage<'p> {
    /// Its name: that of an entry in the archive, or one of the keys at the end of an old file.
    pub key: &'p str,
    /// Size of one element in bytes.
    pub element_size: usize,
    /// The elements' type, if it has a name in safetensors files too.
    pub dtype: Option<Dtype>,
    /// What PyTorch calls the type.
    pub kind: &'p str,
    /// How many elements the pickle says it has.
    pub elements: usize,
    /// Where a view of a storage, which old files have, begins in it, in elements.
    pub first: usize,
}

/// A tensor as the pickle describes it: a strided view of a storage.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct View<'p> {
    pub storage: Storage<'p>,
    pub dtype: Dtype,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// True for whatever PyTorch would rebuild as a tensor or parameter, readable here or not.
pub(super) fn is_tensor(pickle: &Pickle<'_>, id: Id) -> bool {
    let function = pickle.call(id).and_then(|call| pickle.global(call.function));
    function.is_some_and(|(module, name)| {
        let torch = module == "torch" || module.starts_with("torch.");
        torch && (name.starts_with("_rebuild_") || (module, name) == PARAMETER)
    })
}

const PARAMETER: (&str, &str) = ("torch.nn.parameter", "Parameter");

/// The tensor that an object for which [`is_tensor`] holds would become.
///
/// # Errors
/// What is wrong with it, to be read after the tensor's name.
pub(super) fn view<'p>(pickle: &'p Pickle<'_>, id: Id) -> Result<View<'p>, String> {
    let ((module, name), arguments) =
        pickle.called(id).ok_or("is made by a function without a name")?;
    rebuilt(pickle, (module, name), arguments, MAX_WRAPPING)
}

fn rebuilt<'p>(
    pickle: &'p Pickle<'_>,
    function: (&str, &str),
    arguments: &[Id],
    depth: usize,
) -> Result<View<'p>, String> {
    let again = |id: Id| {
        let (function, arguments) = pickle.called(id).ok_or("wraps what is no tensor")?;
        rebuilt(pickle, function, arguments, depth - 1)
    };
    match (function, arguments) {
        _ if depth == 0 => Err("is wrapped too deeply".to_owned()),
        (
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") | PARAMETER,
            [data, ..],
        ) => again(*data),
        // a tensor with attributes of its own: the function that makes it, its class, the arguments
        (("torch._tensor", "_rebuild_from_type_v2"), [function, _, arguments, ..]) => {
            let function =
                pickle.global(*function).ok_or("is made by a function without a name")?;
            let arguments = pickle.sequence(*arguments).ok_or("is made from no arguments")?;
            rebuilt(pickle, function, arguments, depth - 1)
        }
        (
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2"),
            [storage, offset, shape, strides, rest @ ..],
        ) => {
            // after requires_grad and hooks: bits for tensors to be negated or conjugated when read
            if let [_, _, metadata] = rest
                && pickle.mapping(*metadata).is_none_or(|items| !items.is_empty())
            {
                return Err(
                    "is a lazy view (negated or conjugated); expected a plain one".to_owned()
                );
            }
            let storage = storage_of(pickle, *storage)?;
            let Some(dtype) = storage.dtype else {
                let kind = shown(storage.kind);
                return Err(format!("has elements of type {kind}; expected float numbers"));
            };
            strided(pickle, storage, dtype, *offset, *shape, *strides)
        }
        // types that no typed storage exists for
        (
            ("torch._utils", "_rebuild_tensor_v3"),
            [storage, offset, shape, strides, _, _, dtype, ..],
        ) => {
            let storage = storage_of(pickle, *storage)?;
            let dtype = pickle.global(*dtype).map(|(_, name)| name).unwrap_or_default();
            let dtype = dtype_named(dtype).ok_or_else(|| {
                format!("has elements of type {}; expected float numbers", shown(dtype))
            })?;
            strided(pickle, storage, dtype, *offset, *shape, *strides)
        }
        ((module, name), _) => Err(format!(
            "is made by {}.{}, which is not read (sparse, quantised and sharded tensors are not); expected a plain one",
            shown(module),
            shown(name)
        )),
    }
}

fn strided<'p>(
    pickle: &Pickle<'_>,
    storage: Storage<'p>,
    dtype: Dtype,
    offset: Id,
    shape: Id,
    strides: Id,
) -> Result<View<'p>, String> {
    let sizes = |id: Id| -> Option<Vec<usize>> {
        pickle.sequence(id)?.iter().map(|&size| pickle.size(size)).collect()
    };
    let offset = pickle.size(offset).ok_or("begins at no place")?;
    let shape = sizes(shape).ok_or("has a shape that is none")?;
    let strides = sizes(strides).ok_or("has strides that are none")?;
    if shape.len() != strides.len() || shape.len() > MAX_AXES {
        return Err(format!("has {} axes and {} strides", shape.len(), strides.len()));
    }
    Ok(View { storage, dtype, offset, shape, strides })
}

fn storage_of<'p>(pickle: &'p Pickle<'_>, id: Id) -> Result<Storage<'p>, String> {
    use super::value::Value::Persistent;
    match pickle.get(id) {
        Persistent(key) => storage(pickle, *key)
            .ok_or("lies in a storage of an unknown type, or one without a key".into()),
        _ => Err("lies in no storage".to_owned()),
    }
}

/// A storage, from what its persistent id holds: `('storage', type, key, location, elements)` and, in
/// old files, `None` or the key, first element and length of a view of it.
pub(super) fn storage<'p>(pickle: &'p Pickle<'_>, id: Id) -> Option<Storage<'p>> {
    let [tag, kind, key, _location, elements, view @ ..] = pickle.sequence(id)? else {
        return None;
    };
    if pickle.text(*tag)? != "storage" {
        return None;
    }
    let (_, kind) = pickle.global(*kind)?;
    let (element_size, dtype) = storage_type(kind)?;
    let first = match view {
        [view, ..] => match pickle.sequence(*view) {
            Some([_, first, _]) => pickle.size(*first)?,
            _ => 0,
        },
        [] => 0,
    };
    let (key, elements) = (pickle.text(*key)?, pickle.size(*elements)?);
    Some(Storage { key, element_size, dtype, kind, elements, first })
}

/// Element size and type of PyTorch's storage classes (of `torch` and of `torch.cuda`).
fn storage_type(name: &str) -> Option<(usize, Option<Dtype>)> {
    Some(match name {
        "FloatStorage" => (4, Some(Dtype::F32)),
        "HalfStorage" => (2, Some(Dtype::F16)),
        "BFloat16Storage" => (2, Some(Dtype::BF16)),
        "DoubleStorage" => (8, Some(Dtype::F64)),
        "LongStorage" => (8, Some(Dtype::I64)),
        "IntStorage" => (4, Some(Dtype::I32)),
        "ShortStorage" => (2, Some(Dtype::I16)),
        "CharStorage" => (1, Some(Dtype::I8)),
        "ByteStorage" => (1, Some(Dtype::U8)),
        "BoolStorage" => (1, Some(Dtype::BOOL)),
        "ComplexFloatStorage" => (8, Some(Dtype::C64)),
        "ComplexDoubleStorage" => (16, None),
        "QInt32Storage" => (4, None),
        "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage"
        | "UntypedStorage" => (1, None),
        _ => return None,
    })
}

/// Types that `_rebuild_tensor_v3` is used for, and the plain ones.
fn dtype_named(name: &str) -> Option<Dtype> {
    Some(match name {
        "float32" => Dtype::F32,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::BF16,
        "float64" => Dtype::F64,
        "uint16" => Dtype::U16,
        "uint32" => Dtype::U32,
        "uint64" => Dtype::U64,
        "float8_e5m2" => Dtype::F8_E5M2,
        "float8_e4m3fn" => Dtype::F8_E4M3,
        _ => return None,
    })
}
