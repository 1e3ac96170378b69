//! The run folder's promises: everything or nothing, nobody else's files, nothing left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use introspective_report::{Existing, FolderError, RunFolder};
use tempfile::TempDir;

const ALL: [Existing; 3] = [Existing::ReplaceOurs, Existing::Refuse, Existing::Force];

/// Every file below `dir` with its content; folders as names that end with a slash.
fn tree(dir: &Path) -> BTreeMap<String, String> {
    fn walk(dir: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                found.insert(format!("{name}/"), String::new());
                walk(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(
                    name,
                    fs::read_to_string(entry.path()).unwrap_or_else(|_| "unreadable".into()),
                );
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(dir, "", &mut found);
    found
}

fn names(dir: &Path) -> Vec<String> {
    tree(dir).into_keys().collect()
}

fn manifest(files: &[&str]) -> String {
    format!(r#"{{"schema_version": 1, "tool": "introspect", "files": {files:?}}}"#)
}

/// Writes `files`, each with `content`, and their manifest.
fn fill(dir: &Path, files: &[&str], content: &str) {
    for file in files {
        fs::write(dir.join(file), content).unwrap();
    }
    fs::write(dir.join("manifest.json"), manifest(files)).unwrap();
}

fn run_one(
    dir: &Path,
    existing: Existing,
    files: &[&str],
    content: &str,
) -> Result<PathBuf, FolderError> {
    let run = RunFolder::open(dir, existing)?;
    let staged = run.stage()?;
    fill(staged.path(), files, content);
    staged.commit_into(None)
}

fn run_many(
    dir: &Path,
    existing: Existing,
    pictures: &[&str],
    content: &str,
) -> Result<(), FolderError> {
    let run = RunFolder::open(dir, existing)?;
    for picture in pictures {
        let staged = run.stage()?;
        fill(staged.path(), &["why.png"], content);
        staged.commit_into(Some(picture))?;
    }
    let staged = run.stage()?;
    fs::write(staged.path().join("manifest.json"), manifest(pictures)).unwrap();
    staged.commit_into(None).map(drop)
}

fn home() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("out");
    (home, dir)
}

/// The message with its causes.
fn chain(error: &FolderError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[test]
fn an_absent_folder_appears_whole_and_with_ordinary_permissions() {
    for existing in ALL {
        let (home, dir) = home();
        let run = RunFolder::open(&dir, existing).unwrap();
        let staged = run.stage().unwrap();
        fill(staged.path(), &["why.png"], "1");
        assert!(!dir.exists(), "nothing is there before the commit");
        assert_eq!(staged.commit_into(None).unwrap(), dir);
        drop(run);
        assert_eq!(names(home.path()), ["out/", "out/manifest.json", "out/why.png"]);
        let plain = home.path().join("plain");
        fs::create_dir(&plain).unwrap();
        assert_eq!(
            fs::metadata(&dir).unwrap().permissions(),
            fs::metadata(&plain).unwrap().permissions()
        );
    }
}

#[test]
fn an_empty_folder_is_used() {
    for existing in ALL {
        let (home, dir) = home();
        fs::create_dir(&dir).unwrap();
        run_one(&dir, existing, &["why.png"], "1").unwrap();
        assert_eq!(names(home.path()), ["out/", "out/manifest.json", "out/why.png"]);
    }
}

#[test]
fn nothing_is_left_of_a_run_that_fails() {
    let (home, dir) = home();
    let deep = dir.join("a/b/c");
    {
        let run = RunFolder::open(&deep, Existing::Refuse).unwrap();
        let staged = run.stage().unwrap();
        fill(staged.path(), &["why.png"], "1");
    }
    assert!(names(home.path()).is_empty(), "{:?}", names(home.path()));

    // Parents that were there, or have been used since, stay.
    fs::create_dir(&dir).unwrap();
    {
        let run = RunFolder::open(&deep, Existing::Refuse).unwrap();
        fs::write(dir.join("a/mine.txt"), "").unwrap();
        drop(run);
    }
    assert_eq!(names(home.path()), ["out/", "out/a/", "out/a/mine.txt"]);
    run_one(&deep, Existing::Refuse, &["why.png"], "1").unwrap();
    assert!(deep.join("why.png").exists());
}

#[test]
fn our_earlier_run_is_replaced_when_the_new_one_is_ready_and_not_before() {
    for existing in [Existing::ReplaceOurs, Existing::Force] {
        let (home, dir) = home();
        run_one(&dir, existing, &["why.png", "rather-than-cup.png"], "old").unwrap();
        fs::write(dir.join("notes.txt"), "mine").unwrap();
        fs::create_dir(dir.join("kept")).unwrap();
        let before = tree(home.path());
        {
            let run = RunFolder::open(&dir, existing).unwrap();
            let staged = run.stage().unwrap();
            fs::write(staged.path().join("why.png"), "half").unwrap();
        }
        assert_eq!(tree(home.path()), before, "a failed run changes nothing");

        run_one(&dir, existing, &["why.png", "rather-than-bowl.png"], "new").unwrap();
        let after = tree(home.path());
        let expected = [
            "out/",
            "out/kept/",
            "out/manifest.json",
            "out/notes.txt",
            "out/rather-than-bowl.png",
            "out/why.png",
        ];
        assert_eq!(after.keys().map(String::as_str).collect::<Vec<_>>(), expected);
        assert_eq!((&*after["out/why.png"], &*after["out/notes.txt"]), ("new", "mine"));
    }
}

#[test]
fn a_place_that_a_person_named_is_refused_when_it_holds_anything() {
    let (_home, dir) = home();
    run_one(&dir, Existing::Refuse, &["why.png"], "old").unwrap();
    let before = tree(&dir);
    let error = run_one(&dir, Existing::Refuse, &["why.png"], "new").unwrap_err();
    assert!(matches!(error, FolderError::Exists { .. }));
    assert!(error.to_string().contains("--force") && error.to_string().contains("out"), "{error}");
    assert_eq!(tree(&dir), before);
}

#[test]
fn somebody_elses_folder_is_refused_with_what_it_holds() {
    let foreign = [
        vec![("thesis.tex", "")],
        vec![("manifest.json", "{}")],
        vec![("manifest.json", "not json")],
        vec![("manifest.json", r#"{"tool": "webpack", "files": ["a"]}"#)],
        vec![("manifest.json", r#"{"tool": "introspect", "files": "a"}"#)],
        vec![("manifest.json", r#"{"tool": "introspect", "files": ["../precious.txt"]}"#)],
        vec![("manifest.json", r#"{"tool": "introspect", "files": ["/precious.txt"]}"#)],
        vec![("manifest.json", r#"{"tool": "introspect", "files": [""]}"#)],
    ];
    for files in foreign {
        let (_home, dir) = home();
        fs::create_dir(&dir).unwrap();
        files.iter().for_each(|(name, text)| fs::write(dir.join(name), text).unwrap());
        let before = tree(&dir);
        let error = run_one(&dir, Existing::ReplaceOurs, &["why.png"], "new").unwrap_err();
        assert!(matches!(error, FolderError::NotOurs { .. }), "{files:?}: {error}");
        assert!(
            error.to_string().contains(files[0].0) && error.to_string().contains("--force"),
            "{error}"
        );
        assert_eq!(tree(&dir), before);
    }
}

#[test]
fn force_adds_to_a_foreign_folder_and_replaces_only_the_same_names() {
    let (home, dir) = home();
    fs::create_dir_all(dir.join("sub")).unwrap();
    for (name, text) in [
        ("thesis.tex", "mine"),
        ("why.png", "mine"),
        ("sub/why.png", "mine"),
        ("manifest.json", "{}"),
    ] {
        fs::write(dir.join(name), text).unwrap();
    }
    fs::write(home.path().join("precious.txt"), "mine").unwrap();
    run_one(&dir, Existing::Force, &["why.png"], "new").unwrap();
    let after = tree(&dir);
    assert_eq!(
        (&*after["thesis.tex"], &*after["why.png"], &*after["sub/why.png"]),
        ("mine", "new", "mine")
    );
    assert_eq!(after.len(), 5, "{after:?}");
    assert_eq!(names(home.path()).len(), 7, "{:?}", names(home.path()));
}

#[test]
fn a_file_that_a_person_put_beside_ours_is_not_overwritten() {
    let (_home, dir) = home();
    run_one(&dir, Existing::ReplaceOurs, &["why.png"], "old").unwrap();
    fs::write(dir.join("what-if-not.png"), "mine").unwrap();
    let before = tree(&dir);
    let error =
        run_one(&dir, Existing::ReplaceOurs, &["what-if-not.png", "why.png"], "new").unwrap_err();
    assert!(
        matches!(&error, FolderError::InTheWay { path, .. } if path.ends_with("what-if-not.png")),
        "{error}"
    );
    assert_eq!(tree(&dir), before, "all was put back");
    run_one(&dir, Existing::Force, &["what-if-not.png", "why.png"], "new").unwrap();
    assert_eq!(tree(&dir)["what-if-not.png"], "new");
}

#[test]
fn a_folder_in_the_way_is_never_replaced_and_all_is_put_back() {
    for existing in [Existing::ReplaceOurs, Existing::Force] {
        let (home, dir) = home();
        run_one(&dir, existing, &["a.png", "z.png"], "old").unwrap();
        fs::create_dir(dir.join("why.png")).unwrap();
        let before = tree(home.path());
        let error = run_one(&dir, existing, &["a.png", "b.png", "why.png"], "new").unwrap_err();
        assert!(
            matches!(&error, FolderError::InTheWay { path, .. } if path.ends_with("why.png")),
            "{error}"
        );
        assert_eq!(tree(home.path()), before);
    }
}

#[test]
fn many_pictures_come_one_by_one() {
    let (home, dir) = home();
    let run = RunFolder::open(&dir, Existing::ReplaceOurs).unwrap();
    let (first, second) = (run.stage().unwrap(), run.stage().unwrap());
    fill(first.path(), &["why.png"], "1");
    fill(second.path(), &["why.png"], "1");
    assert_eq!(first.commit_into(Some("cat")).unwrap(), dir.join("cat"));
    assert!(dir.join("cat/why.png").exists(), "it is there before the others are ready");
    drop(second);
    drop(run);
    assert_eq!(
        names(home.path()),
        ["out/", "out/cat/", "out/cat/manifest.json", "out/cat/why.png"]
    );

    // What the interrupted run left is known as ours.
    run_many(&dir, Existing::ReplaceOurs, &["dog", "owl"], "2").unwrap();
    let expected = [
        "dog/",
        "dog/manifest.json",
        "dog/why.png",
        "manifest.json",
        "owl/",
        "owl/manifest.json",
        "owl/why.png",
    ];
    assert_eq!(names(&dir), expected);
}

#[test]
fn an_earlier_run_over_many_makes_way_but_not_what_was_put_beside_it() {
    let (home, dir) = home();
    run_many(&dir, Existing::ReplaceOurs, &["cat", "dog"], "old").unwrap();
    fs::write(dir.join("cat/notes.txt"), "mine").unwrap();
    let before = tree(&dir);
    drop(RunFolder::open(&dir, Existing::ReplaceOurs).unwrap().stage().unwrap());
    assert_eq!(tree(&dir), before);

    run_many(&dir, Existing::ReplaceOurs, &["cat", "owl"], "new").unwrap();
    let after = tree(&dir);
    assert_eq!(after["cat/notes.txt"], "mine");
    assert_eq!(after["cat/why.png"], "new");
    assert!(!after.contains_key("dog/") && after.contains_key("owl/why.png"), "{after:?}");

    run_one(&dir, Existing::ReplaceOurs, &["why.png"], "one").unwrap();
    assert_eq!(names(&dir), ["cat/", "cat/notes.txt", "manifest.json", "why.png"]);
    assert_eq!(names(home.path()).len(), 5);
}

#[test]
fn the_first_commit_of_many_removes_the_earlier_runs_files_and_its_manifest() {
    let (_home, dir) = home();
    run_one(&dir, Existing::ReplaceOurs, &["why.png"], "old").unwrap();
    let run = RunFolder::open(&dir, Existing::ReplaceOurs).unwrap();
    let staged = run.stage().unwrap();
    fill(staged.path(), &["why.png"], "1");
    staged.commit_into(Some("cat")).unwrap();
    drop(run);
    assert_eq!(names(&dir), ["cat/", "cat/manifest.json", "cat/why.png"]);
}

#[test]
fn force_refreshes_our_sub_folder_in_a_foreign_folder() {
    let (_home, dir) = home();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("thesis.tex"), "mine").unwrap();
    for (files, content) in
        [(["why.png", "rather-than-cup.png"], "old"), (["why.png", "rather-than-bowl.png"], "new")]
    {
        let run = RunFolder::open(&dir, Existing::Force).unwrap();
        let staged = run.stage().unwrap();
        fill(staged.path(), &files, content);
        staged.commit_into(Some("cat")).unwrap();
    }
    let expected =
        ["cat/", "cat/manifest.json", "cat/rather-than-bowl.png", "cat/why.png", "thesis.tex"];
    assert_eq!(names(&dir), expected);
}

#[test]
fn one_place_is_given_once_and_names_are_plain() {
    let (_home, dir) = home();
    let run = RunFolder::open(&dir, Existing::Force).unwrap();
    let commit = |name: Option<&str>| {
        let staged = run.stage().unwrap();
        fill(staged.path(), &["why.png"], "1");
        staged.commit_into(name).map(drop)
    };
    commit(Some("cat")).unwrap();
    assert!(matches!(commit(Some("cat")), Err(FolderError::Taken { .. })));
    for name in ["", ".", "..", "a/b", "/a", "a/", "../a", ".introspect-x"] {
        assert!(matches!(commit(Some(name)), Err(FolderError::Name { .. })), "{name:?}");
    }
    assert_eq!(names(&dir), ["cat/", "cat/manifest.json", "cat/why.png"]);
}

#[test]
fn left_over_staging_folders_do_not_count_and_stay() {
    let (_home, dir) = home();
    fs::create_dir_all(dir.join(".introspect-killed/new")).unwrap();
    run_one(&dir, Existing::Refuse, &["why.png"], "1").unwrap();
    assert!(dir.join(".introspect-killed/new").exists());
}

#[test]
fn a_file_in_the_way_is_named() {
    let (home, dir) = home();
    fs::write(&dir, "mine").unwrap();
    for existing in ALL {
        for place in [dir.clone(), dir.join("deeper"), dir.join("deeper/still")] {
            let error = RunFolder::open(&place, existing).unwrap_err();
            assert!(
                matches!(&error, FolderError::NotAFolder { path } if *path == dir),
                "{place:?}: {error}"
            );
        }
    }
    assert_eq!(tree(home.path()).len(), 1);
}

#[test]
fn pictures_may_be_committed_from_several_threads() {
    let (home, dir) = home();
    run_one(&dir, Existing::ReplaceOurs, &["why.png"], "old").unwrap();
    let run = RunFolder::open(&dir, Existing::ReplaceOurs).unwrap();
    std::thread::scope(|scope| {
        for k in 0..8 {
            let run = &run;
            scope.spawn(move || {
                let staged = run.stage().unwrap();
                fill(staged.path(), &["why.png"], "new");
                staged.commit_into(Some(&format!("p{k}"))).unwrap();
            });
        }
    });
    drop(run);
    assert_eq!(names(home.path()).len(), 1 + 8 * 3, "{:?}", names(home.path()));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn close(dir: &Path, mode: u32) {
        fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The superuser writes everywhere, so there nothing can be shown.
    fn can_be_locked_out(home: &Path) -> bool {
        let probe = home.join("probe");
        fs::create_dir(&probe).unwrap();
        close(&probe, 0o500);
        let locked = fs::write(probe.join("x"), "").is_err();
        close(&probe, 0o700);
        fs::remove_dir_all(&probe).unwrap();
        locked
    }

    #[test]
    fn a_closed_folder_is_named_with_the_cause() {
        let (home, dir) = home();
        if !can_be_locked_out(home.path()) {
            return;
        }
        fs::create_dir(&dir).unwrap();
        close(&dir, 0o500);
        for (place, existing) in
            [(dir.clone(), Existing::Refuse), (dir.join("new"), Existing::ReplaceOurs)]
        {
            let error = RunFolder::open(&place, existing).unwrap_err();
            let text = chain(&error);
            assert!(
                text.contains("out") && text.to_lowercase().contains("permission denied"),
                "{text}"
            );
        }
        close(&dir, 0o700);
    }

    #[test]
    fn a_place_that_nobody_can_write_is_named_with_the_cause() {
        // Not even the superuser creates folders here.
        let place = Path::new("/proc/introspect-out");
        if !Path::new("/proc/self").exists() {
            return;
        }
        let error = RunFolder::open(place, Existing::ReplaceOurs).unwrap_err();
        assert!(matches!(error, FolderError::Unwritable { .. }), "{error}");
        assert!(chain(&error).contains("/proc"), "{}", chain(&error));
        assert!(error.source().is_some());
    }

    #[test]
    fn files_that_cannot_be_moved_out_leave_all_as_it_was() {
        let (home, dir) = home();
        if !can_be_locked_out(home.path()) {
            return;
        }
        run_many(&dir, Existing::ReplaceOurs, &["cat", "dog"], "old").unwrap();
        let before = tree(home.path());
        close(&dir.join("dog"), 0o500);
        let error = run_many(&dir, Existing::ReplaceOurs, &["owl"], "new").unwrap_err();
        close(&dir.join("dog"), 0o700);
        assert!(matches!(error, FolderError::Move { .. }), "{error}");
        assert_eq!(tree(home.path()), before);
    }

    #[test]
    fn a_link_to_a_folder_is_followed_but_links_inside_are_not() {
        let (home, dir) = home();
        let (real, outside) = (home.path().join("real"), home.path().join("outside"));
        fs::create_dir_all(real.join("sub")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("why.png"), "precious").unwrap();
        symlink(&real, &dir).unwrap();
        // A manifest of ours, whose sub-folder and one of whose files a person has made links to elsewhere.
        fs::remove_dir(real.join("sub")).unwrap();
        symlink(&outside, real.join("sub")).unwrap();
        symlink(outside.join("why.png"), real.join("linked.png")).unwrap();
        fs::write(
            real.join("manifest.json"),
            manifest(&["sub/why.png", "sub", "linked.png", "gone.png"]),
        )
        .unwrap();
        run_one(&dir, Existing::ReplaceOurs, &["why.png"], "new").unwrap();
        assert_eq!(fs::read_to_string(outside.join("why.png")).unwrap(), "precious");
        assert!(real.join("sub").is_symlink() && real.join("linked.png").is_symlink());
        assert_eq!(fs::read_to_string(real.join("why.png")).unwrap(), "new");

        // Nor is anything written through them.
        let run = RunFolder::open(&dir, Existing::Force).unwrap();
        let staged = run.stage().unwrap();
        fill(staged.path(), &["why.png"], "new");
        let error = staged.commit_into(Some("sub")).unwrap_err();
        assert!(matches!(error, FolderError::InTheWay { .. }), "{error}");
        drop(run);
        assert_eq!(fs::read_to_string(outside.join("why.png")).unwrap(), "precious");
        assert_eq!(fs::read_to_string(real.join("why.png")).unwrap(), "new");
    }

    #[test]
    fn a_link_to_nothing_is_named() {
        let (home, dir) = home();
        symlink(home.path().join("nowhere"), &dir).unwrap();
        let error = RunFolder::open(&dir, Existing::Force).unwrap_err();
        assert!(matches!(&error, FolderError::BrokenLink { path } if *path == dir), "{error}");
    }
}
