//! ONNX files that are damaged, malicious or no classifiers: each is an error that names what is wrong.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::RefCell;
use std::time::{Duration, Instant};

use introspective_network::{
    Classifier, Extractor, ExtractorOptions, Features, NetworkError, Session, SessionOptions,
    Statistics,
};
use ndarray::{Array3, Array4};
use proptest::prelude::*;
use rten_onnx::onnx::{
    AttributeProto, AttributeType, DataLocation, DataType, Dimension, GraphProto, ModelProto,
    NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto,
    TypeProto, TypeProtoTensor, ValueInfoProto,
};

fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dim = shape.iter().map(|&size| Dimension { dim_value: Some(size), dim_param: None });
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            tensor_type: Some(TypeProtoTensor {
                elem_type: Some(DataType::FLOAT),
                shape: Some(TensorShapeProto { dim: dim.collect() }),
            }),
            sequence: None,
        }),
    }
}

fn tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    TensorProto {
        name: Some(name.to_owned()),
        dims: dims.to_vec(),
        data_type: Some(DataType::FLOAT),
        raw_data: Some(RefCell::new(raw)),
        ..TensorProto::default()
    }
}

fn indices(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: vec![values.len() as i64],
        data_type: Some(DataType::INT64),
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: Some(format!("the_{operator}")),
        op_type: Some(operator.to_owned()),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::INTS),
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

/// Convolution to four maps, ReLU, global pooling, a linear layer to three classes.
fn network() -> GraphProto {
    let weights: Vec<f32> = (0..4 * 3 * 9).map(|i| (i % 7) as f32 / 10.0 - 0.3).collect();
    let head: Vec<f32> = (0..12).map(|i| i as f32 / 10.0 - 0.5).collect();
    GraphProto {
        node: vec![
            node("Conv", &["x", "w"], "maps"),
            node("Relu", &["maps"], "relu"),
            node("GlobalAveragePool", &["relu"], "pooled"),
            node("Flatten", &["pooled"], "flat"),
            node("Gemm", &["flat", "head"], "z"),
        ],
        initializer: vec![tensor("w", &[4, 3, 3, 3], &weights), tensor("head", &[4, 3], &head)],
        input: vec![value("x", &[1, 3, 16, 16])],
        output: vec![value("z", &[1, 3])],
        ..GraphProto::default()
    }
}

fn bytes(graph: GraphProto) -> Vec<u8> {
    let opset = OperatorSetIdProto { domain: None, version: Some(17) };
    let model = ModelProto {
        ir_version: Some(8),
        graph: Some(graph),
        opset_import: vec![opset],
        ..ModelProto::default()
    };
    model.write_buf().unwrap()
}

fn run(bytes: Vec<u8>) -> Result<(), NetworkError> {
    let classifier = Classifier::from_onnx_bytes(bytes, "test.onnx")?;
    let session = Session::new(&classifier, &SessionOptions::default())?;
    let [height, width] = classifier.input_size().unwrap_or([16, 16]);
    let picture = Array3::from_elem((classifier.channels(), height, width), 0.5);
    let observation = session.observe(picture.view())?;
    let rows = ndarray::Array2::eye(classifier.classes());
    session.alpha(&observation, rows.view())?;
    features(&classifier, [height, width])
}

/// Whatever has logits may lack features, with an error that says so; it must not panic.
fn features(classifier: &Classifier, [height, width]: [usize; 2]) -> Result<(), NetworkError> {
    let _ = classifier.last_layer();
    for statistics in [Statistics::Stored, Statistics::Batch] {
        let options = ExtractorOptions { statistics, ..ExtractorOptions::default() };
        match Extractor::new(classifier, &options) {
            Ok(extractor) => {
                let pictures = Array4::from_elem((2, classifier.channels(), height, width), 0.5);
                let Features { h, z, .. } = extractor.extract(pictures.view())?;
                assert_eq!(h.dim(), (2, extractor.width()));
                assert_eq!(z.dim(), (2, classifier.classes()));
            }
            Err(
                NetworkError::NoPenultimate { .. }
                | NetworkError::NoBatchNorms { .. }
                | NetworkError::BatchStatistics { .. },
            ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn change(edit: impl FnOnce(&mut GraphProto)) -> Result<(), NetworkError> {
    let mut graph = network();
    edit(&mut graph);
    run(bytes(graph))
}

#[track_caller]
fn refused(parts: &[&str], edit: impl FnOnce(&mut GraphProto)) {
    let start = Instant::now();
    let error = change(edit).expect_err("an error").to_string();
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn the_unchanged_network_runs() {
    change(|_| {}).unwrap();
}

#[test]
fn a_softmax_is_stripped_and_one_over_four_axes_too() {
    change(|graph| {
        graph.node.push(node("Softmax", &["z"], "p"));
        graph.output = vec![value("p", &[1, 3])];
    })
    .unwrap();
    // without Flatten: logits 1 x 4 x 1 x 1
    change(|graph| {
        graph.node.truncate(3);
        graph.node.push(node("Softmax", &["pooled"], "p"));
        graph.output = vec![value("p", &[1, 4, 1, 1])];
    })
    .unwrap();
}

#[test]
fn dropout_does_nothing() {
    change(|graph| {
        let mut dropout = node("Dropout", &["flat"], "dropped");
        dropout.output.push("mask".to_owned());
        graph.node.insert(4, dropout);
        graph.node[5].input[0] = "dropped".to_owned();
    })
    .unwrap();
}

#[test]
fn graphs_that_cannot_be_computed() {
    refused(&["not a valid ONNX file", "the_Conv", "depends on itself"], |graph| {
        graph.node[0].input[0] = "relu".to_owned();
    });
    // a circle behind the logits, through what is looked through there
    refused(&["depends on itself"], |graph| {
        graph.node.push(node("Identity", &["b"], "a"));
        graph.node.push(node("Softmax", &["a"], "b"));
        graph.output = vec![value("b", &[1, 3])];
    });
    refused(&["4001 nodes; expected 4000 at most"], |graph| {
        let last = graph.node.len();
        graph.node.extend((last..4_001).map(|i| node("Relu", &["x"], &format!("unused{i}"))));
    });
    refused(&["the_Conv", "reads w, which is neither stored nor computed"], |graph| {
        graph.initializer.remove(0);
    });
    refused(&["value relu is computed twice"], |graph| {
        graph.node.push(node("Relu", &["maps"], "relu"));
    });
    refused(&["output nowhere is never computed"], |graph| {
        graph.output = vec![value("nowhere", &[1, 3])];
    });
    refused(&["no graph"], |graph| graph.node.clear());
    refused(&["Bogus"], |graph| graph.node[1].op_type = Some("Bogus".to_owned()));
}

#[test]
fn graphs_that_are_no_classifier_of_pictures() {
    refused(&["cannot be explained", "2 inputs (x, y)"], |graph| {
        graph.input.push(value("y", &[1]));
    });
    refused(&["2 outputs (z, flat)"], |graph| graph.output.push(value("flat", &[1, 4])));
    refused(&["input x has shape 1 x 300"], |graph| graph.input = vec![value("x", &[1, 300])]);
    refused(&["fixed batch of several"], |graph| {
        graph.input = vec![value("x", &[8, 3, 16, 16])];
    });
    refused(&["ends in a Sigmoid (the_Sigmoid)"], |graph| {
        graph.node.push(node("Sigmoid", &["z"], "p"));
        graph.output = vec![value("p", &[1, 3])];
    });
    refused(&["type uint8"], |graph| {
        let kind = graph.input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        kind.elem_type = Some(DataType::UINT8);
    });
    refused(&["the_Relu (Relu) is of the operator set com.example"], |graph| {
        graph.node[1].domain = Some("com.example".to_owned());
    });
    refused(&["the_Relu (Relu) holds a graph of its own"], |graph| {
        let inner = AttributeProto {
            name: Some("body".to_owned()),
            g: Some(network()),
            ..Default::default()
        };
        graph.node[1].attribute.push(inner);
    });
}

#[test]
fn maps_of_classes_are_no_logits() {
    refused(&["cannot be explained", "its output", "expected 1 x classes"], |graph| {
        graph.node.truncate(2);
        graph.output = vec![value("relu", &[1, 4, 14, 14])];
    });
}

#[test]
fn the_default_layer_may_have_as_many_channels_as_there_are_classes() {
    let mut graph = network();
    let square: Vec<f32> = (0..16).map(|i| i as f32 / 10.0).collect();
    graph.initializer[1] = tensor("head", &[4, 4], &square);
    graph.output = vec![value("z", &[1, 4])];
    let classifier = Classifier::from_onnx_bytes(bytes(graph), "test.onnx").unwrap();
    assert_eq!((classifier.classes(), classifier.default_layer()), (4, "relu"));
}

/// As Swin and some of TensorFlow's graphs end: the mean over height and width of values with channels last.
#[test]
fn values_with_channels_last_carry_no_maps() {
    let mut graph = network();
    graph.node.drain(2..4);
    let mut transpose = node("Transpose", &["relu"], "last");
    transpose.attribute.push(ints("perm", &[0, 2, 3, 1]));
    let mut mean = node("ReduceMean", &["doubled"], "flat");
    mean.attribute.push(ints("axes", &[1, 2]));
    mean.attribute.push(AttributeProto {
        name: Some("keepdims".to_owned()),
        r#type: Some(AttributeType::INT),
        i: Some(0),
        ..AttributeProto::default()
    });
    let added = [transpose, node("Add", &["last", "last"], "doubled"), mean];
    graph.node.splice(2..2, added);
    let classifier = Classifier::from_onnx_bytes(bytes(graph), "test.onnx").unwrap();
    let open = |layer: Option<&str>| {
        let layer = layer.map(str::to_owned);
        Session::new(&classifier, &SessionOptions { layer, ..SessionOptions::default() }).err()
    };
    assert!(matches!(open(None), Some(NetworkError::NoDefaultLayer { .. })));
    for layer in ["last", "doubled"] {
        assert!(matches!(open(Some(layer)), Some(NetworkError::ChannelsLast { .. })), "{layer}");
    }
    assert!(open(Some("relu")).is_none());
}

#[test]
fn a_long_chain_runs_on_the_stack_of_a_thread() {
    let run = || {
        change(|graph| {
            for i in 0..3_900 {
                let from = if i == 0 { "maps".to_owned() } else { format!("r{}", i - 1) };
                graph.node.insert(1 + i, node("Relu", &[&from], &format!("r{i}")));
            }
            graph.node[3_901].input[0] = "r3899".to_owned();
        })
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap().unwrap();
}

#[test]
fn tensors_that_lie_about_their_size() {
    refused(&["tensor w has 432 bytes of data", "asks for 4320000000"], |graph| {
        graph.initializer[0].dims = vec![10_000_000, 108];
    });
    refused(&["tensor w has a negative or absurd size"], |graph| {
        graph.initializer[0].dims = vec![-4, 3, 3, 3];
    });
    refused(&["tensor w has a negative or absurd size"], |graph| {
        graph.initializer[0].dims = vec![i64::MAX, i64::MAX, 3];
    });
    refused(&["tensor w has a negative or absurd size"], |graph| {
        graph.initializer[0].dims = vec![1; 10_000];
    });
    refused(&["tensor w has element type 8"], |graph| {
        graph.initializer[0].data_type = Some(DataType::STRING);
    });
    refused(&["could not be run"], |graph| graph.initializer[0].dims = vec![4, 27, 1, 1]);
    refused(&["the_Conv", "weight of shape [108]"], |graph| graph.initializer[0].dims = vec![108]);
}

#[test]
fn graphs_that_ask_for_absurd_amounts_of_memory() {
    // 10^9 elements out of nothing
    refused(&["the_ConstantOfShape", "too large to compute"], |graph| {
        graph.initializer.push(indices("shape", &[1000, 1000, 1000]));
        graph.node.push(node("ConstantOfShape", &["shape"], "huge"));
        graph.node.push(node("ReduceMean", &["huge"], "mean"));
        graph.node.push(node("Add", &["z", "mean"], "out"));
        graph.output = vec![value("out", &[1, 3])];
    });
    refused(&["the_Tile", "too large to compute"], |graph| {
        graph.initializer.push(indices("times", &[1, 1, 2000, 2000]));
        graph.node.insert(0, node("Tile", &["x", "times"], "many"));
        graph.node[1].input[0] = "many".to_owned();
    });
    // a size that is known only when it is computed
    refused(&["the_ConstantOfShape", "size cannot be told"], |graph| {
        graph.initializer.push(tensor("sizes", &[2], &[1e5, 1e5]));
        let mut cast = node("Cast", &["sizes"], "whole");
        cast.attribute.push(AttributeProto {
            name: Some("to".to_owned()),
            r#type: Some(AttributeType::INT),
            i: Some(7),
            ..AttributeProto::default()
        });
        graph.node.push(cast);
        graph.node.push(node("ConstantOfShape", &["whole"], "huge"));
        graph.node.push(node("ReduceMean", &["huge"], "mean"));
        graph.node.push(node("Add", &["z", "mean"], "out"));
        graph.output = vec![value("out", &[1, 3])];
    });
    // doubling forty times
    refused(&["(Concat)", "too large to compute"], |graph| {
        for index in 0..40 {
            let from = if index == 0 { "x".to_owned() } else { format!("c{}", index - 1) };
            let mut concat = node("Concat", &[&from, &from], &format!("c{index}"));
            concat.attribute.push(AttributeProto {
                name: Some("axis".to_owned()),
                r#type: Some(AttributeType::INT),
                i: Some(2),
                ..AttributeProto::default()
            });
            graph.node.insert(index, concat);
        }
        graph.node[40].input[0] = "c39".to_owned();
    });
    let cases: [(&str, &[i64]); 5] = [
        ("pads", &[1 << 20; 4]),
        ("pads", &[-1; 4]),
        ("strides", &[0; 2]),
        ("dilations", &[1 << 40; 2]),
        ("kernel_shape", &[0; 2]),
    ];
    for (name, values) in cases {
        refused(&["the_Conv", name, "numbers from"], |graph| {
            graph.node[0].attribute.push(ints(name, values));
        });
    }
    refused(&["the_Conv", "strides [1]"], |graph| {
        graph.node[0].attribute.push(ints("strides", &[1]));
    });
    refused(&["the_Conv", "kernel_shape [5, 5]", "weight is [4, 3, 3, 3]"], |graph| {
        graph.node[0].attribute.push(ints("kernel_shape", &[5, 5]));
    });
}

#[test]
fn external_data_stay_in_the_folder_and_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("w.data"), [0; 500]).unwrap();
    std::fs::write(folder.path().parent().unwrap().join("outside.data"), [0; 500]).unwrap();
    let refused = |location: &str, offset: &str, length: &str, expected: &str| {
        let mut graph = network();
        let entry = |key: &str, value: &str| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value.to_owned()),
        };
        graph.initializer[0].raw_data = None;
        graph.initializer[0].data_location = Some(DataLocation::EXTERNAL);
        graph.initializer[0].external_data =
            vec![entry("location", location), entry("offset", offset), entry("length", length)];
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, bytes(graph)).unwrap();
        match Classifier::from_onnx(&path) {
            Ok(_) => assert_eq!(expected, "fine"),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains(expected), "{expected:?} is not in: {error}");
            }
        }
    };
    refused("w.data", "0", "432", "fine");
    refused("w.data", "68", "432", "fine");
    refused("w.data", "69", "432", "wants bytes 69 to 501 of w.data, which has 500");
    refused("w.data", "18446744073709551615", "432", "wants bytes");
    refused("w.data", "0", "400", "no valid location, offset or length");
    refused("w.data", "-1", "432", "no valid location, offset or length");
    refused("../outside.data", "0", "432", "points out of the model's folder");
    refused("/etc/passwd", "0", "432", "points out of the model's folder");
    refused("missing.data", "0", "432", "must lie beside the .onnx file");
}

#[test]
fn weights_that_are_not_numbers() {
    let mut graph = network();
    let many: Vec<f32> = (0..512).map(|i| if i == 500 { f32::NAN } else { 0.1 }).collect();
    graph.initializer[1] = tensor("head", &[4, 128], &many);
    graph.output = vec![value("z", &[1, 128])];
    let error = run(bytes(graph)).unwrap_err().to_string();
    assert!(error.contains("tensor head in test.onnx has values that are infinite"), "{error}");
    // small ones too
    refused(&["tensor bias in test.onnx has values that are infinite"], |graph| {
        graph.initializer.push(tensor("bias", &[4], &[f32::NAN; 4]));
        graph.node[0].input.push("bias".to_owned());
    });
}

#[test]
fn a_cut_file_is_an_error_at_every_length() {
    let whole = bytes(network());
    run(whole.clone()).unwrap();
    // the operator set stands behind the graph and is not missed
    let graph_ends = whole.len() - 4;
    for end in 0..graph_ends {
        assert!(run(whole[..end].to_vec()).is_err(), "cut at {end}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever a few flipped bytes make of it: an error or a network, in a short time.
    #[test]
    fn damaged_files_do_no_harm(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = bytes(network());
        for (place, byte) in flips {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let start = Instant::now();
        let _ = run(bytes);
        prop_assert!(start.elapsed() < Duration::from_secs(5));
    }
}
