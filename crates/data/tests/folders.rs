//! Lists of pictures: files as they are, folders looked through.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use introspective_data::{ListError, find_pictures};

fn touch(folder: &Path, names: &[&str]) {
    for name in names {
        fs::write(folder.join(name), b"x").unwrap();
    }
}

#[test]
fn a_folder_gives_its_pictures_sorted_by_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    touch(
        here,
        &[
            "b.PNG",
            "a.jpeg",
            "B.webp",
            "a10.tif",
            "a9.Jpg",
            "é.gif",
            "no.txt",
            "png",
            ".hidden.png",
            "c.png.bak",
        ],
    );
    fs::create_dir(here.join("folder.png")).unwrap();
    touch(&here.join("folder.png"), &["deep.png"]);

    let found = find_pictures(&[here.to_owned()]).unwrap();
    let expected = ["B.webp", "a.jpeg", "a10.tif", "a9.Jpg", "b.PNG", "é.gif"];
    assert_eq!(found, expected.map(|name| here.join(name)));
}

#[test]
fn the_order_of_the_inputs_is_kept_and_files_are_taken_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::create_dir(here.join("z")).unwrap();
    touch(&here.join("z"), &["2.bmp", "1.pgm"]);
    touch(here, &["photo.unknown"]);

    let missing = here.join("missing.png");
    let inputs = [missing.clone(), here.join("z"), here.join("photo.unknown"), missing.clone()];
    let expected = vec![
        missing.clone(),
        here.join("z/1.pgm"),
        here.join("z/2.bmp"),
        here.join("photo.unknown"),
        missing,
    ];
    assert_eq!(find_pictures(&inputs).unwrap(), expected);
    assert_eq!(find_pictures(&[]).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn a_folder_without_pictures_is_named_with_what_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    touch(folder.path(), &["notes.txt"]);
    let error = find_pictures(&[folder.path().to_owned()]).unwrap_err();
    assert!(matches!(error, ListError::NoPictures { .. }));
    let text = error.to_string();
    assert!(text.contains(&folder.path().display().to_string()), "{text}");
    assert!(text.contains("*.png") && text.contains("*.webp"), "{text}");
}

#[cfg(unix)]
#[test]
fn links_count_as_what_they_lead_to() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    touch(here, &["real"]);
    fs::create_dir(here.join("inner")).unwrap();
    std::os::unix::fs::symlink(here.join("real"), here.join("a.png")).unwrap();
    std::os::unix::fs::symlink(here.join("gone"), here.join("b.png")).unwrap();
    std::os::unix::fs::symlink(here.join("inner"), here.join("c.png")).unwrap();
    let found = find_pictures(&[here.to_owned()]).unwrap();
    assert_eq!(found, [here.join("a.png"), here.join("b.png")], "a broken link is reported later");
}
