//! Labelled sets of every layout, made on the spot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::io::Write;
use std::path::Path;

use image::{Rgb, RgbImage};
use introspective_data::{LabelledSet, OpenOptions, SetError, SetKind, Split};
use ndarray::s;

/// A 3 x 2 picture all of one colour.
fn png(path: impl AsRef<Path>, colour: [u8; 3]) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(3, 2, Rgb(colour)).save(path).unwrap();
}

fn open(path: &Path) -> Result<LabelledSet, SetError> {
    LabelledSet::open(path, OpenOptions::default())
}

fn open_part(path: &Path, split: Split) -> Result<LabelledSet, SetError> {
    LabelledSet::open(path, OpenOptions { split: Some(split), ..OpenOptions::default() })
}

fn names(set: &LabelledSet) -> Vec<String> {
    (0..set.len()).map(|index| set.name(index)).collect()
}

fn error(result: Result<LabelledSet, SetError>) -> SetError {
    result.err().expect("an error")
}

#[test]
fn class_folders_are_sorted_by_bytes_and_their_pictures_as_torchvision_does() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for name in ["b/2.png", "b/10.png", "B/x.PNG", "é/1.png"] {
        png(here.join(name), [1, 2, 3]);
    }
    // nested folders: sorted by the whole path, files of the class folder itself first
    for name in ["a/z.png", "a/n/2.png", "a/n-1/0.png", "a/n/deep/1.png"] {
        png(here.join(name), [9, 8, 7]);
    }
    for hidden in ["a/.h.png", "a/.dir/1.png", ".hidden/1.png", ".DS_Store.png"] {
        png(here.join(hidden), [0, 0, 0]);
    }
    fs::write(here.join("a/notes.txt"), "no picture").unwrap();
    fs::write(here.join("a/n/list.csv"), "no picture").unwrap();
    png(here.join("loose.png"), [0, 0, 0]);
    fs::write(here.join("README"), "no picture").unwrap();
    fs::create_dir(here.join("empty")).unwrap();

    let set = open(here).unwrap();
    assert_eq!(set.kind(), SetKind::Folder);
    assert_eq!(set.part(), None);
    assert_eq!(set.classes(), ["B", "a", "b", "empty", "é"]);
    let expected = [
        ("B/x.PNG", 0),
        ("a/z.png", 1),
        ("a/n/2.png", 1),
        ("a/n-1/0.png", 1),
        ("a/n/deep/1.png", 1),
        ("b/10.png", 2),
        ("b/2.png", 2),
        ("é/1.png", 4),
    ];
    assert_eq!(names(&set), expected.map(|(name, _)| name));
    assert_eq!(set.labels(), expected.map(|(_, label)| label));
    assert_eq!(set.label(7), 4);
    assert_eq!((set.passed_over(), set.loose(), set.empty_classes()), (2, 1, vec![3]));
    assert!(!set.grey() && !set.is_empty());
    let picture = set.picture(1).unwrap();
    assert_eq!(picture.pixels.dim(), (2, 3, 3));
    assert_eq!(picture.pixels.slice(s![1, 2, ..]).to_vec(), [9, 8, 7]);
    assert_eq!(set.file(1).unwrap(), here.join("a/z.png"));
}

#[test]
fn one_class_is_a_set_and_a_broken_picture_is_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    png(folder.path().join("only/1.png"), [1, 1, 1]);
    fs::write(folder.path().join("only/0.jpg"), "not a picture").unwrap();
    let set = open(folder.path()).unwrap();
    assert_eq!(set.classes(), ["only"]);
    assert_eq!(names(&set), ["only/0.jpg", "only/1.png"]);
    let error = set.picture(0).unwrap_err().to_string();
    assert!(error.contains("only/0.jpg") && error.contains("text"), "{error}");
    assert!(set.picture(1).is_ok());
}

#[test]
fn parts_are_picked_by_the_split() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    png(here.join("train/cat/1.png"), [1, 1, 1]);
    png(here.join("train/dog/1.png"), [1, 1, 1]);
    png(here.join("valid/cat/2.png"), [2, 2, 2]);
    let train = open_part(here, Split::Train).unwrap();
    assert_eq!((train.part(), train.len(), train.root()), (Some("train"), 2, &*here.join("train")));
    assert_eq!(train.classes(), ["cat", "dog"]);
    let valid = open_part(here, Split::Test).unwrap();
    assert_eq!((valid.part(), names(&valid)), (Some("valid"), vec!["cat/2.png".to_owned()]));

    // a folder `test` goes before one called `valid`
    png(here.join("Test/cat/3.png"), [2, 2, 2]);
    let test = open_part(here, Split::Test).unwrap();
    assert_eq!((test.part(), names(&test)), (Some("Test"), vec!["cat/3.png".to_owned()]));
    // a part alone is a set without parts
    assert_eq!(open_part(&here.join("train"), Split::Test).unwrap().len(), 2);

    let told = error(open(here));
    assert!(matches!(told, SetError::WhichSplit { .. }), "{told}");
    assert!(told.to_string().contains("Test, train, valid"), "{told}");
}

#[test]
fn a_part_that_is_not_there_is_named_and_a_class_may_be_called_train() {
    let folder = tempfile::tempdir().unwrap();
    png(folder.path().join("train/cat/1.png"), [1, 1, 1]);
    let told = error(open_part(folder.path(), Split::Test));
    assert!(matches!(told, SetError::NoSplit { split: Split::Test, .. }), "{told}");
    assert!(told.to_string().ends_with("has no test part, only train"), "{told}");
    assert_eq!(open(folder.path()).unwrap().part(), Some("train"));

    png(folder.path().join("bicycle/1.png"), [1, 1, 1]);
    let vehicles = open_part(folder.path(), Split::Test).unwrap();
    assert_eq!(vehicles.classes(), ["bicycle", "train"]);
}

#[test]
fn folders_that_are_no_set_say_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let told = error(open(&here.join("absent")));
    assert!(matches!(told, SetError::Missing { .. }), "{told}");

    let told = error(open(here));
    assert!(matches!(told, SetError::NoClassFolders { loose: 0, .. }), "{told}");
    png(here.join("1.png"), [0; 3]);
    png(here.join("2.png"), [0; 3]);
    let told = error(open(here)).to_string();
    assert!(told.contains("2 loose picture(s)") && told.contains("<class>/*.jpg"), "{told}");

    fs::create_dir(here.join("cat")).unwrap();
    let told = error(open(here));
    assert!(matches!(told, SetError::NoPictures { classes: 1, .. }), "{told}");
    let told = error(open(&here.join("1.png")));
    assert!(matches!(told, SetError::NotASet { .. }), "{told}");

    let class_names = Some(vec!["cat".to_owned()]);
    let given = LabelledSet::open(here, OpenOptions { class_names, ..OpenOptions::default() });
    assert!(matches!(error(given), SetError::NamesGiven { .. }));
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    png(here.join("elsewhere/1.png"), [1, 1, 1]);
    fs::create_dir_all(here.join("set/cat")).unwrap();
    std::os::unix::fs::symlink("../../elsewhere", here.join("set/cat/more")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", here.join("set/dog")).unwrap();
    std::os::unix::fs::symlink("nowhere.png", here.join("set/cat/broken.png")).unwrap();
    let set = open(&here.join("set")).unwrap();
    assert_eq!(names(&set), ["cat/broken.png", "cat/more/1.png", "dog/1.png"]);
    assert!(set.picture(0).is_err() && set.picture(1).is_ok());

    std::os::unix::fs::symlink("../set", here.join("elsewhere/back")).unwrap();
    let told = error(open(&here.join("set")));
    assert!(matches!(told, SetError::LinkCircle { .. }), "{told}");
}

/// A record of CIFAR: `labels`, then 1024 bytes each of red, green and blue.
fn record(labels: &[u8], start: u8) -> Vec<u8> {
    let mut record = labels.to_vec();
    record.extend((0..3072).map(|i| (i / 1024 * 50 + i % 32 + i % 1024 / 32 * 3) as u8 ^ start));
    record
}

#[test]
fn cifar10_batches() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("data_batch_10.bin"), record(&[4], 3)).unwrap();
    fs::write(here.join("data_batch_2.bin"), [record(&[9], 1), record(&[0], 2)].concat()).unwrap();
    fs::write(here.join("test_batch.bin"), record(&[7], 0)).unwrap();
    let set = open_part(here, Split::Train).unwrap();
    assert_eq!((set.kind(), set.part()), (SetKind::Cifar10, Some("train")));
    assert_eq!(set.labels(), [9, 0, 4]);
    assert_eq!(names(&set), ["data_batch_2.bin#0", "data_batch_2.bin#1", "data_batch_10.bin#0"]);
    assert_eq!(set.classes()[3], "3");
    assert_eq!(set.empty_classes(), [1, 2, 3, 5, 6, 7, 8]);
    let picture = set.picture(2).unwrap();
    assert_eq!(picture.pixels.dim(), (32, 32, 3));
    assert_eq!(picture.info.colour, "rgb8");
    for (y, x, channel) in [(0, 0, 0), (5, 17, 1), (31, 30, 2)] {
        let stored = (channel * 50 + x + y * 3) as u8 ^ 3;
        assert_eq!(picture.pixels[[y, x, channel]], stored);
    }
    assert!(!set.grey());

    fs::write(here.join("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap();
    let test = open_part(here, Split::Test).unwrap();
    assert_eq!(test.classes()[test.label(0)], "h");
    assert!(matches!(error(open(here)), SetError::WhichSplit { .. }));
    fs::write(here.join("batches.meta.txt"), "a\nb\n").unwrap();
    let told = error(open_part(here, Split::Test)).to_string();
    assert!(told.contains("label 7 has no name") && told.contains("batches.meta.txt"), "{told}");
    let class_names = Some((0..10).map(|class| format!("class {class}")).collect());
    let options = OpenOptions { split: Some(Split::Test), class_names };
    assert_eq!(LabelledSet::open(here, options).unwrap().classes()[7], "class 7");
}

#[test]
fn cifar100_and_single_files() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let records = [record(&[19, 99], 1), record(&[1, 11], 2)].concat();
    fs::write(here.join("train.bin"), &records).unwrap();
    fs::write(here.join("test.bin"), record(&[3, 5], 2)).unwrap();
    let names: Vec<_> = (0..100).map(|class| format!("fine {class}")).collect();
    fs::write(here.join("fine_label_names.txt"), names.join("\r\n")).unwrap();
    let set = open_part(here, Split::Train).unwrap();
    assert_eq!((set.kind(), set.labels()), (SetKind::Cifar100, &[99, 11][..]));
    assert_eq!(set.classes(), names);
    let single = open(&here.join("train.bin")).unwrap();
    assert_eq!((single.len(), single.part(), single.classes().len()), (2, None, 100));
    assert_eq!(single.name(1), "train.bin#1");
    assert_eq!(set.picture(1).unwrap(), single.picture(1).unwrap());

    fs::write(here.join("test.bin"), &record(&[3, 5], 2)[1..3000]).unwrap();
    let told = error(open_part(here, Split::Test)).to_string();
    assert!(told.contains("2999 bytes") && told.contains("3073"), "{told}");
    fs::write(here.join("test.bin"), record(&[3, 100], 2)).unwrap();
    let told = error(open_part(here, Split::Test)).to_string();
    assert!(told.contains("record 0 has label 100"), "{told}");
    fs::write(here.join("test.bin"), "").unwrap();
    assert!(matches!(error(open_part(here, Split::Test)), SetError::Damaged { .. }));
}

#[test]
fn pickled_cifar_is_told_from_the_binary_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data_batch_1"), "pickle").unwrap();
    assert!(matches!(error(open(folder.path())), SetError::PickledCifar { .. }));
}

fn idx(dimensions: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    bytes.extend(dimensions.iter().flat_map(|d| d.to_be_bytes()));
    bytes.extend(values);
    bytes
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn idx_files_plain_and_gzipped() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let pixels: Vec<u8> = (0..24).collect();
    fs::write(here.join("train-images-idx3-ubyte.gz"), gz(&idx(&[2, 3, 4], &pixels))).unwrap();
    fs::write(here.join("train-labels.idx1-ubyte"), idx(&[2], &[1, 0])).unwrap();
    fs::write(here.join("t10k-images.idx3-ubyte"), idx(&[1, 3, 4], &pixels[..12])).unwrap();
    fs::write(here.join("t10k-labels-idx1-ubyte.gz"), gz(&idx(&[1], &[3]))).unwrap();

    let train = open_part(here, Split::Train).unwrap();
    assert_eq!((train.kind(), train.part()), (SetKind::Idx, Some("train")));
    // the other part has label 3
    assert_eq!(train.classes(), ["0", "1", "2", "3"]);
    assert_eq!(train.labels(), [1, 0]);
    assert!(train.grey());
    assert_eq!(train.name(1), "train-images-idx3-ubyte.gz#1");
    let picture = train.picture(1).unwrap();
    assert_eq!(picture.pixels.dim(), (3, 4, 3));
    assert_eq!(picture.pixels.slice(s![2, 1, ..]).to_vec(), [12 + 9; 3]);
    assert_eq!(picture.info.colour, "l8");

    fs::write(here.join("classes.txt"), "zero\n one \ntwo\nthree\nfour").unwrap();
    let test = open_part(here, Split::Test).unwrap();
    assert_eq!(test.classes(), ["zero", "one", "two", "three", "four"]);
    assert_eq!(test.labels(), [3]);
}

#[test]
fn idx_headers_that_lie_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let pixels: Vec<u8> = (0..24).collect();
    let labels = idx(&[2], &[1, 0]);
    let told = |images: &[u8], labels: &[u8]| {
        fs::write(here.join("train-images-idx3-ubyte"), images).unwrap();
        fs::write(here.join("train-labels-idx1-ubyte"), labels).unwrap();
        error(open(here)).to_string()
    };
    for (images, labels, expected) in [
        (idx(&[2, 3, 4], &pixels[..20]), labels.clone(), "ends after 20 bytes"),
        (idx(&[2, 3, 3], &pixels), labels.clone(), "goes on after the 2 pictures of 3 x 3"),
        (idx(&[3, 2, 4], &pixels), labels.clone(), "train-labels-idx1-ubyte has 2 labels"),
        (idx(&[2, 0, 4], &[]), labels.clone(), "2 pictures of 0 x 4"),
        (
            idx(&[2, 1 << 16, 1 << 16], &pixels),
            labels.clone(),
            "a picture has 1 to 200000000 pixels",
        ),
        (idx(&[2, 10_000, 10_000], &pixels), labels.clone(), "more than its bytes can be"),
        (
            gz(&idx(&[2, 10_000, 10_000], &pixels)),
            labels.clone(),
            "more than its gzipped bytes can be",
        ),
        (idx(&[2, 3, 4, 1], &pixels), labels.clone(), "has 4 dimension(s); pictures have 3"),
        (b"\0\0\x0d\x03".to_vec(), labels.clone(), "numbers of type 0x0d"),
        (b"PK\x03\x04".to_vec(), labels.clone(), "begins with [50, 4b, 03, 04]"),
        (b"\0\0".to_vec(), labels.clone(), "begins with [00, 00]"),
        (b"\0\0\x08\x03\0\0".to_vec(), labels.clone(), "ends within its header"),
        (idx(&[0, 3, 4], &[]), idx(&[0], &[]), "has no pictures"),
        (idx(&[2, 3, 4], &pixels), idx(&[3], &[1, 0]), "says that it holds 3 labels"),
    ] {
        let message = told(&images, &labels);
        assert!(message.contains(expected), "{message}\nlacks: {expected}");
    }
    // an intact beginning, then damage in the compressed data
    let mut packed = gz(&idx(&[2, 3, 4], &pixels));
    let end = packed.len();
    packed[end - 6] ^= 1;
    assert!(told(&packed, &labels).contains("cannot be read"));
    packed.truncate(end - 12);
    assert!(told(&packed, &labels).contains("cannot be read"));
}

#[test]
fn idx_files_need_their_partner() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t10k-images-idx3-ubyte"), idx(&[1, 1, 1], &[0])).unwrap();
    let told = error(open(folder.path())).to_string();
    assert!(told.contains("t10k-labels-idx1-ubyte"), "{told}");
}

#[test]
fn the_fingerprint_notices_files_names_labels_lengths_and_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    png(here.join("a/1.png"), [1, 1, 1]);
    png(here.join("b/1.png"), [1, 1, 1]);
    let print = || open(here).unwrap().fingerprint();
    let first = print();
    assert_eq!(first.len(), 64);
    assert_eq!(first, print());
    let mut seen = vec![first.clone()];
    let mut differs = |what: &str| {
        let now = print();
        assert!(!seen.contains(&now), "{what}");
        seen.push(now);
    };
    png(here.join("b/2.png"), [1, 1, 1]);
    differs("a picture more");
    fs::rename(here.join("b/2.png"), here.join("b/3.png")).unwrap();
    differs("a name");
    fs::rename(here.join("b/3.png"), here.join("a/3.png")).unwrap();
    differs("a label");
    fs::write(here.join("a/3.png"), "shorter").unwrap();
    differs("a length");
    fs::remove_file(here.join("a/3.png")).unwrap();
    assert_eq!(print(), first);
    fs::create_dir(here.join("c")).unwrap();
    differs("an empty class");

    let file = here.join("x.bin");
    let mut bytes = record(&[3], 0);
    fs::write(&file, &bytes).unwrap();
    let before = open(&file).unwrap().fingerprint();
    bytes[3000] ^= 1;
    fs::write(&file, &bytes).unwrap();
    assert_ne!(before, open(&file).unwrap().fingerprint());
}
