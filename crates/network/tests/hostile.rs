//! Checkpoints and weight files made to harm: each must end in a clear error, or in what an honest
//! reader would make of it, in bounded time and memory.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod forge;

use std::error::Error;
use std::time::{Duration, Instant};

use forge::{Entry, Pickle, checkpoint, entry, zip};
use introspective_network::Weights;

fn complaint(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", complaint(source)),
        None => error.to_string(),
    }
}

fn open(bytes: Vec<u8>) -> Result<Weights, String> {
    let start = Instant::now();
    let weights = Weights::from_bytes(bytes, "hostile.pth").map_err(|error| complaint(&error));
    // generous: the machine may be busy; what must not be is minutes
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    weights
}

#[track_caller]
fn refused(bytes: Vec<u8>, words: &str) {
    let text = open(bytes).unwrap_err();
    assert!(text.contains(words), "expected {words:?}: {text}");
    assert!(text.len() < 2000 && !text.contains(|c: char| c.is_control()), "{text:?}");
}

#[test]
fn the_makers_of_this_test_make_honest_files_too() {
    let whole = Pickle::state_dict().tensor(4, 0, &[2, 2], &[2, 1]).raw(b"s").stop();
    let weights = open(checkpoint(whole)).unwrap();
    assert_eq!(
        weights.values("fc.weight").unwrap().into_raw_vec_and_offset().0,
        [1.0, 2.0, 3.0, 4.0]
    );
    // Python 2 and the first PyTorch: byte strings, pairs in a list, a tensor without requires_grad
    let old = Pickle::new()
        .global("collections", "OrderedDict")
        .raw(b"]]U\x09fc.weighta")
        .global("torch._utils", "_rebuild_tensor")
        .raw(b"((U\x07storage")
        .global("torch.cuda", "FloatStorage")
        .raw(b"U\x010U\x06cuda:0K\x04tQK\x01K\x03\x85K\x01\x85tRaa\x85R")
        .stop();
    let weights = open(checkpoint(old)).unwrap();
    assert_eq!(weights.values("fc.weight").unwrap().into_raw_vec_and_offset().0, [2.0, 3.0, 4.0]);
}

#[test]
fn huge_lengths_are_held_against_what_is_left() {
    let all = [0xff; 8];
    for (opcode, width) in [
        (b'X', 4),
        (b'T', 4),
        (b'B', 4),
        (0x8b, 4),
        (0x8d, 8),
        (0x8e, 8),
        (0x96, 8),
        (0x95, 8),
        (0x8c, 1),
        (b'U', 1),
        (b'C', 1),
        (0x8a, 1),
    ] {
        let pickle = Pickle::new().raw(&[opcode]).raw(&all[..width]).stop();
        refused(checkpoint(pickle), "bytes should follow, but");
    }
    refused(checkpoint(Pickle::new().raw(b"c").raw(&[b'x'; 5000]).stop()), "a name without an end");
    refused(checkpoint(Pickle::new().raw(b"j\xff\xff\xff\xff").stop()), "was never stored");
}

#[test]
fn deep_nesting_ends() {
    // 100,000 tuples in each other, made without marks; and as many open marks
    let nested = Pickle::new().raw(b")").raw(&[0x85; 100_000]).stop();
    refused(checkpoint(nested), "no state dict: found a tuple");
    refused(checkpoint(Pickle::new().raw(&[b'('; 100_000]).stop()), "nested more than");
    // dicts in dicts under one of the usual keys
    let mut deep = Pickle::new();
    for _ in 0..50_000 {
        deep = deep.raw(b"}").text("model");
    }
    refused(checkpoint(deep.raw(b"N").raw(&[b's'; 50_000]).stop()), "no state dict");
    // parameters of parameters of parameters
    let mut wrapped = Pickle::state_dict();
    for _ in 0..1000 {
        wrapped = wrapped.global("torch._utils", "_rebuild_parameter");
    }
    wrapped = wrapped.tensor(4, 0, &[4], &[1]);
    for _ in 0..1000 {
        wrapped = wrapped.raw(b"\x85R");
    }
    refused(checkpoint(wrapped.raw(b"s").stop()), "fc.weight is wrapped too deeply");
}

#[test]
fn objects_that_contain_themselves_do_not_loop() {
    let in_itself =
        Pickle::new().raw(b"}q\0").text("model").raw(b"h\0s").text("x.y").raw(b"h\0s").stop();
    refused(checkpoint(in_itself), "no state dict");
    let list = Pickle::new().raw(b"]q\0h\0a").stop();
    refused(checkpoint(list), "no state dict: found a list");
    // a module that is its own child
    let module = Pickle::new()
        .global("some", "Net")
        .raw(b")\x81q\0}(")
        .text("_parameters")
        .raw(b"}")
        .text("_modules")
        .raw(b"}")
        .text("child")
        .raw(b"h\0sub")
        .stop();
    refused(checkpoint(module), "contains itself");
    // an object that is its own class, its own arguments, and its own size
    let call = Pickle::state_dict().raw(b"]q\0h\0a0h\0h\0Rq\x01h\x01bs").stop();
    refused(checkpoint(call), "no state dict");
}

/// Ten dicts, each holding the next a thousand times: 10^30 paths.
#[test]
fn shared_objects_do_not_multiply() {
    let mut laughs = Pickle::new().raw(b"}q\0");
    for level in 1..10u8 {
        laughs = laughs.raw(b"}(");
        for key in 0..1000 {
            laughs = laughs.text(&format!("k{key}")).raw(&[b'h', level - 1]);
        }
        laughs = laughs.raw(&[b'u', b'q', level]);
    }
    refused(checkpoint(laughs.stop()), "refer to each other again and again");

    // the same with modules, whose tensors' names would fill memory
    let mut modules = Pickle::new().raw(b"Nq\0");
    for level in 1..20u8 {
        modules = modules.global("some", "Net").raw(b")\x81}(").text("_parameters").raw(b"}");
        modules = modules.text("w").tensor(4, 0, &[4], &[1]).raw(b"s").text("_modules").raw(b"}(");
        for key in 0..8 {
            modules = modules.text(&format!("{key}")).raw(&[b'h', level - 1]);
        }
        modules = modules.raw(b"uub").raw(&[b'q', level]);
    }
    refused(checkpoint(modules.stop()), "it has more");

    let long = "n".repeat(5000);
    let named = Pickle::new().raw(b"}").text(&format!("fc.{long}")).tensor(4, 0, &[4], &[1]);
    refused(checkpoint(named.raw(b"s").stop()), "is longer; at most 1024");
}

#[test]
fn stacks_and_memos_have_limits() {
    let objects = Pickle::new().raw(&vec![b'N'; 3 << 20]).stop();
    refused(checkpoint(objects), "more than 2097152 objects");
    let stack = Pickle::new().raw(b"N").raw(&vec![b'2'; 3 << 20]).stop();
    refused(checkpoint(stack), "values on the stack");
    for nothing in
        [b"t".as_slice(), b"0", b"2", b"R", b"s", b"(0u", b"Q", b"b", b"(o", b"\x85", b"a"]
    {
        let text = open(checkpoint(Pickle::new().raw(nothing).stop())).unwrap_err();
        assert!(text.contains("its pickle is damaged, cut short or hostile at byte"), "{text}");
    }
    // neither a pop nor an operand may come from below the last mark
    refused(checkpoint(Pickle::new().raw(b"N(00(").stop()), "the stack is empty");
    refused(checkpoint(Pickle::new().raw(b"}NN(s").stop()), "the stack is empty");
    refused(checkpoint(Pickle::new().raw(b"N(N").stop()), "no state dict: found None");
    refused(checkpoint(Pickle::new().raw(b"}(Ne").stop()), "appended to what is no list");
    refused(checkpoint(Pickle::new().raw(b"](NNu").stop()), "set on what is no dict");
    refused(checkpoint(Pickle::new().raw(b"}(Nu").stop()), "a key without a value");
    refused(checkpoint(Pickle::new().raw(b"\x80\x07").stop()), "protocol 7");
    refused(checkpoint(Pickle::new().raw(b"I1\n").stop()), "opcode 0x49");
    refused(checkpoint(Pickle::new().raw(b"\x82\x01").stop()), "opcode 0x82");
}

#[test]
fn tensors_stay_within_their_storage() {
    let huge = u64::MAX >> 1;
    let view = |elements, offset, shape: &[u64], strides: &[u64]| {
        let pickle = Pickle::state_dict().tensor(elements, offset, shape, strides).raw(b"s").stop();
        checkpoint(pickle)
    };
    for (offset, shape, strides) in [
        (1, &[4][..], &[1][..]),
        (0, &[5], &[1]),
        (0, &[2, 2], &[3, 1]),
        (huge, &[1], &[1]),
        (0, &[huge, huge], &[0, 0]),
        (0, &[2], &[huge]),
        (4, &[1], &[1]),
        (0, &[1 << 31, 1 << 31, 0], &[0, 0, 0]),
    ] {
        refused(view(4, offset, shape, strides), "reaches beyond its storage of 4 elements");
    }
    refused(
        view(5, 0, &[4], &[1]),
        "in a storage of 5 elements of 4 bytes, of which the file has 16 bytes",
    );
    refused(view(huge, 0, &[4], &[1]), "of which the file has 16 bytes");
    // 10^9 and more elements over a storage of four
    for shape in [vec![1_000_000_000], vec![1 << 20, 1 << 20], vec![1 << 15; 4]] {
        refused(view(4, 0, &shape, &vec![0; shape.len()]), "hostile.pth");
    }
    refused(view(4, 0, &[20_000, 20_000], &[0, 0]), "because they share or repeat values");
    refused(view(4, 0, &[1; 65], &[1; 65]), "has 65 axes");
    refused(view(4, 0, &[2, 2], &[1]), "has 2 axes and 1 strides");
    let negative = Pickle::state_dict()
        .global("torch._utils", "_rebuild_tensor")
        .raw(b"((")
        .text("storage")
        .global("torch", "FloatStorage")
        .text("0")
        .text("cpu")
        .raw(b"K\x04tQK\x03K\x04\x85J\xff\xff\xff\xff\x85tRs");
    refused(checkpoint(negative.stop()), "has strides that are none");
    let elsewhere = Pickle::state_dict()
        .global("torch._utils", "_rebuild_tensor")
        .raw(b"((")
        .text("storage")
        .global("torch", "FloatStorage")
        .text("../../etc/passwd\x1b[2J")
        .text("cpu")
        .raw(b"K\x04tQK\x00K\x04\x85K\x01\x85tRs");
    refused(checkpoint(elsewhere.stop()), "which the file lacks");
    let called = Pickle::state_dict().global("torch._utils", "_rebuild_everything").raw(b")Rs");
    refused(
        checkpoint(called.stop()),
        "is made by torch._utils._rebuild_everything, which is not read",
    );
}

/// Many names over one storage cost the file little; what they ask for is bounded all the same.
#[test]
fn many_views_of_one_storage_are_bounded() {
    let side = 2000u64;
    let storage = vec![0; 4 * (side * side) as usize];
    let mut pickle = Pickle::new().raw(b"}(");
    for name in 0..200 {
        pickle = pickle.text(&format!("layer.{name}"));
        pickle = pickle.tensor(side * side, 0, &[side, side], &[1, side]);
    }
    let file = zip(&[entry("a/data.pkl", &pickle.raw(b"u").stop()), entry("a/data/0", &storage)]);
    refused(file, "because they share or repeat values");
}

#[test]
fn archives_that_lie_are_refused() {
    let pickle = Pickle::state_dict().tensor(4, 0, &[4], &[1]).raw(b"s").stop();
    let (data, storage) = (entry("a/data.pkl", &pickle), entry("a/data/0", &[0; 16]));
    assert!(open(zip(&[data.clone(), storage.clone()])).is_ok());

    // a bomb: 16 bytes that would inflate to 4 GiB
    let bomb = Entry { method: 8, size: u32::MAX - 1, ..storage.clone() };
    refused(zip(&[data.clone(), bomb]), "entry a/data/0 of its zip archive is compressed");
    let stored_bomb = Entry { size: u32::MAX - 1, ..storage.clone() };
    refused(zip(&[data.clone(), stored_bomb]), "is compressed");
    let long = Entry { stored: u32::MAX - 1, size: u32::MAX - 1, ..storage.clone() };
    refused(zip(&[data.clone(), long]), "reaches beyond the file");
    let secret = Entry { flags: 1, ..storage.clone() };
    refused(zip(&[data.clone(), secret]), "is encrypted");
    refused(zip(&[data.clone(), storage.clone(), storage.clone()]), "is in it twice");
    // two names for the same bytes
    let start = u32::try_from(30 + data.name.len() + data.data.len()).unwrap();
    let twin = Entry { name: "a/data/1".to_owned(), at: Some(start), ..storage.clone() };
    refused(zip(&[data.clone(), storage.clone(), twin]), "overlaps entry a/data/0");
    let nowhere = Entry { at: Some(u32::MAX - 1), ..storage.clone() };
    refused(zip(&[data.clone(), nowhere]), "reaches beyond the file");
    refused(
        zip(std::slice::from_ref(&data)),
        "tensor fc.weight lies in storage 0, which the file lacks",
    );
    refused(zip(&[data.clone(), storage.clone(), entry("a/byteorder", b"big")]), "big-endian");

    // a directory that claims more entries than there are bytes
    let mut crowd = zip(&[data.clone(), storage.clone()]);
    let end = crowd.len() - 22;
    crowd[end + 8..end + 12].fill(0xff);
    let crowded = open(crowd);
    assert!(crowded.is_ok() || crowded.unwrap_err().contains("zip archive"));
    let mut lost = zip(&[data.clone(), storage.clone()]);
    let end = lost.len() - 22;
    lost[end + 16..end + 20].fill(0xff);
    refused(lost, "zip archive is damaged or cut short");
    let mut cut = zip(&[data, storage]);
    cut.truncate(cut.len() - 10);
    refused(cut, "zip archive is damaged or cut short");
    // end records by the thousand
    refused(
        b"PK\x03\x04".iter().copied().chain(b"PK\x05\x06".repeat(500_000)).collect(),
        "zip archive",
    );
}

#[test]
fn other_archives_are_told_from_checkpoints() {
    for (name, words) in [
        ("x.npy", "is a NumPy archive"),
        ("m/serialized_exported_program.json", "is an archive of torch.export"),
        ("model.weights.h5", "is a Keras archive"),
        ("readme.txt", "is a zip archive without data.pkl"),
        ("mydata.pkl", "is a zip archive without data.pkl"),
    ] {
        refused(zip(&[Entry { method: 8, ..entry(name, b"x") }]), words);
    }
    let script = [entry("a/data.pkl", b"x"), entry("a/code/net.py", b"x")];
    refused(zip(&script), "is a TorchScript archive");
}

#[test]
fn other_files_are_called_what_they_look_like() {
    let mut tar = vec![b'x'; 600];
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, words) in [
        (&b""[..], "is an empty file"),
        (b"\x08\x08\x12\x07pytorch\x1a\x031.9", "is an ONNX file"),
        (b"\n <!DOCTYPE html><html>", "is a web page, not the file it links to"),
        (b"<HTML>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "is a Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n\0\0\0", "is an HDF5 file"),
        (
            b"\x80\x04\x95\x05\0\0\0\0\0\0\0K\x01.",
            "is a Python pickle that torch.save did not write",
        ),
        (b"{\"layers\": {\"a\": 1}}", "is a JSON text"),
        (b"\xff\xd8\xff\xe0aaaaaaaa", "is a picture"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "is a gzip-compressed file"),
        (&tar, "is a tar archive"),
        (b"what is this?", "is of no format that is known here"),
    ] {
        refused(bytes.to_vec(), words);
        refused(bytes.to_vec(), "expected a safetensors file or a PyTorch checkpoint");
    }
}

/// Old files: the counts before the storages, and the list of their keys.
#[test]
fn old_files_that_lie_are_refused() {
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
    let start = |protocol: &[u8], little: u8| -> Vec<u8> {
        let machine = Pickle::new().raw(b"}").text("little_endian").raw(&[little, b's']).stop();
        [&magic[..], &Pickle::new().raw(protocol).stop(), &machine].concat()
    };
    let fine = start(b"M\xe9\x03", 0x88);
    let object = Pickle::state_dict().tensor(4, 0, &[4], &[1]).raw(b"s").stop();
    let keys = |keys: &[&str]| {
        let list = keys.iter().fold(Pickle::new().raw(b"]("), |list, key| list.text(key));
        list.raw(b"e").stop()
    };
    let storage = |count: i64| [&count.to_le_bytes()[..], &[0; 16]].concat();
    let file = |keys: Vec<u8>, tail: Vec<u8>| [&fine[..], &object, &keys, &tail].concat();

    assert!(open(file(keys(&["0"]), storage(4))).is_ok());
    for count in [5, -1, i64::MAX, i64::MIN, 1 << 61] {
        refused(file(keys(&["0"]), storage(count)), "it ends before its storage 0 does");
    }
    refused(file(keys(&["0"]), storage(3)), "of which the file has 12 bytes");
    refused(file(keys(&[]), storage(4)), "lies in storage 0, which the file lacks");
    refused(file(keys(&["0", "7"]), storage(4)), "nothing says of what type its storage 7 is");
    let twice = [storage(4), storage(4)].concat();
    refused(file(keys(&["0", "0"]), twice), "its storage 0 is there twice");
    refused(
        file(Pickle::new().raw(b"N").stop(), storage(4)),
        "the list of its storages is missing",
    );
    refused([&start(b"K\x01", 0x88)[..], &object].concat(), "its protocol is not 1001");
    refused([&start(b"M\xe9\x03", 0x89)[..], &object].concat(), "big-endian");
    refused(fine.clone(), "its pickle is damaged, cut short");
}

#[test]
fn safetensors_headers_that_lie_are_refused() {
    let file = |header: &str, data: usize| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    };
    let one = |shape: &str, offsets: &str| {
        format!(r#"{{"a.w":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    assert!(open(file(&one("[2]", "[0,8]"), 8)).is_ok());
    let invalid = "hostile.pth is not a valid safetensors file";
    for (shape, offsets, data) in [
        ("[2]", "[0,12]", 12),
        ("[2]", "[0,8]", 12),
        ("[2]", "[4,12]", 12),
        ("[2]", "[8,0]", 8),
        ("[2]", "[0,18446744073709551615]", 8),
        ("[18446744073709551615,2]", "[0,8]", 8),
        ("[1000000000]", "[0,4000000000]", 8),
        ("[-1]", "[0,8]", 8),
    ] {
        refused(file(&one(shape, offsets), data), invalid);
    }
    let overlapping = r#"{"a.w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b.w":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    refused(file(overlapping, 12), invalid);
    refused(file(&"[".repeat(100_000), 0), "hostile.pth");
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    refused(file(&deep, 0), invalid);
    let mut huge = u64::MAX.to_le_bytes().to_vec();
    huge.extend(b"{}");
    refused(huge, invalid);
    // names that become one
    let twice = r#"{"b.denselayer1.norm1.w":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b.denselayer1.norm.1.w":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}"#;
    refused(file(twice, 8), "two tensors that are both called b.denselayer1.norm1.w");
    // prefixes are stripped here too, and doubles read
    let double = r#"{"module.a.w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}"#;
    assert_eq!(open(file(double, 8)).unwrap().names().collect::<Vec<_>>(), ["a.w"]);
}

mod programs {
    use proptest::prelude::*;

    use super::*;

    /// Pieces that pickles of tensors are made of, in any order.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let plain =
            b".(012Nbest}])dltu\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94oRQa".to_vec();
        let opcode = prop::sample::select(plain).prop_map(|code| vec![code]);
        let memo =
            (prop::sample::select(b"qhK".to_vec()), 0u8..6).prop_map(|(code, at)| vec![code, at]);
        let words = ["storage", "0", "model", "a.weight", "_parameters", "_modules", "torch"];
        let text =
            prop::sample::select(words.to_vec()).prop_map(|word| Pickle::default().text(word).0);
        let names = [
            ("torch", "FloatStorage"),
            ("torch._utils", "_rebuild_tensor_v2"),
            ("torch._utils", "_rebuild_parameter"),
            ("torch._tensor", "_rebuild_from_type_v2"),
            ("collections", "OrderedDict"),
            ("builtins", "set"),
        ];
        let global = prop::sample::select(names.to_vec())
            .prop_map(|(module, name)| Pickle::default().global(module, name).0);
        let tensor =
            (0u64..6, 0u64..6, 0u64..6, 0u64..6).prop_map(|(elements, offset, shape, stride)| {
                Pickle::default().tensor(elements, offset, &[shape], &[stride]).0
            });
        prop_oneof![4 => opcode, 2 => memo, 2 => text, 1 => global, 1 => tensor]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn any_program_ends_in_an_error_or_in_weights(pieces in prop::collection::vec(piece(), 0..40)) {
            let inside = Pickle::new().raw(&pieces.concat());
            // as the object itself, and under a tensor's name
            let named = Pickle::state_dict().raw(&pieces.concat()).raw(b"s");
            for pickle in [inside, named] {
                if let Ok(weights) = open(checkpoint(pickle.stop())) {
                    for name in weights.names() {
                        prop_assert!(weights.values(name).is_some());
                    }
                }
            }
        }
    }
}
