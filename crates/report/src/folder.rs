//! The folder of a run: everything or nothing, and never over somebody else's work.

mod earlier;
mod error;
mod moves;
mod place;

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use self::earlier::{Contents, survey};
pub use self::error::FolderError;
use self::moves::Moves;
use self::place::{MadeParents, is_folder, is_real_folder, parent};

/// The file by which a folder is known as ours.
pub(crate) const MANIFEST: &str = "manifest.json";
/// How the hidden folders begin in which a run gathers its files.
const STAGING: &str = ".introspect-";

/// What to do when the folder of a run is not new.
///
/// A folder is *ours* when it holds a `manifest.json` that is a JSON object with `"tool": "introspect"` and an array
/// `"files"` of names inside the folder (a name may be a sub-folder with such a manifest of its own), or when it holds
/// nothing but sub-folders that are ours, as an interrupted run over many pictures leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Existing {
    /// For the default place: an absent, an empty or our own folder will do; our earlier files are replaced.
    ReplaceOurs,
    /// For a place that a person named: it has to be absent or empty.
    Refuse,
    /// As [`Existing::ReplaceOurs`], and into any other folder our files are put too, replacing files of the same
    /// names and nothing else.
    Force,
}

/// A folder into which a run puts its results, each in one step.
///
/// Files are written into a hidden folder on the same file system ([`RunFolder::stage`]) and moved into place when
/// all are there ([`Staged::commit_into`]). Until then the folder is untouched; when anything fails it is as it was.
/// The files that our earlier run listed in its manifests go when the first result is moved in, whatever else lies in
/// the folder stays.
///
/// ```
/// use introspective_report::{Existing, RunFolder};
///
/// # let parent = tempfile::tempdir()?;
/// # let dir = parent.path().join("introspect-out");
/// let run = RunFolder::open(&dir, Existing::ReplaceOurs)?;
/// let staged = run.stage()?;
/// std::fs::write(staged.path().join("manifest.json"), r#"{"tool": "introspect", "files": []}"#)?;
/// staged.commit_into(None)?;
/// assert!(dir.join("manifest.json").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RunFolder {
    dir: PathBuf,
    existing: Existing,
    state: Mutex<State>,
    /// Held for its drop.
    _parents: MadeParents,
}

#[derive(Debug, Default)]
struct State {
    /// Files of our earlier run, relative to the folder; gone with the first commit.
    outdated: Vec<PathBuf>,
    /// Places taken by this run.
    taken: HashSet<Option<String>>,
}

impl RunFolder {
    /// Looks whether `dir` may be used, before any work is done. Missing parents are created (and removed again when
    /// nothing is committed), `dir` itself is not.
    ///
    /// # Errors
    /// `dir` is not empty and `existing` does not allow for what it holds; it is a file, or below a file; it cannot be
    /// read, created or written into.
    pub fn open(dir: impl AsRef<Path>, existing: Existing) -> Result<Self, FolderError> {
        let dir = dir.as_ref().to_owned();
        let mut state = State::default();
        let parents = if is_folder(&dir)? {
            match (survey(&dir)?, existing) {
                (Contents::Nothing, _) | (Contents::Foreign(_), Existing::Force) => {}
                (Contents::Ours(files), Existing::ReplaceOurs | Existing::Force) => {
                    state.outdated = files
                }
                (_, Existing::Refuse) => return Err(FolderError::Exists { path: dir }),
                (Contents::Foreign(holds), Existing::ReplaceOurs) => {
                    return Err(FolderError::NotOurs { path: dir, holds });
                }
            }
            MadeParents::default()
        } else {
            MadeParents::above(&dir)?
        };
        let run = RunFolder { dir, existing, state: Mutex::new(state), _parents: parents };
        // Finding out now that nothing can be written spares the work in between.
        run.hidden()?;
        Ok(run)
    }

    /// The folder's path, as it was given.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// A new hidden folder to write files into; it vanishes when it is dropped without being committed.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn stage(&self) -> Result<Staged<'_>, FolderError> {
        let hidden = self.hidden()?;
        // A folder of its own inside, because the outer one is closed to other users and also takes what is replaced.
        let files = hidden.path().join("new");
        fs::create_dir(&files)
            .map_err(|source| FolderError::Create { path: files.clone(), source })?;
        Ok(Staged { run: self, hidden, files })
    }

    /// Beside the folder as long as it is absent, then inside it: either way on its file system, and nothing else than
    /// the folder itself need be writable once it exists (it may be a mount point, or `.`).
    fn hidden(&self) -> Result<TempDir, FolderError> {
        let base = if self.dir.is_dir() { &self.dir } else { parent(&self.dir) };
        tempfile::Builder::new()
            .prefix(STAGING)
            .tempdir_in(base)
            .map_err(|source| FolderError::Unwritable { path: base.to_owned(), source })
    }
}

/// Files of a result, gathered and not yet in place.
#[derive(Debug)]
pub struct Staged<'a> {
    run: &'a RunFolder,
    hidden: TempDir,
    files: PathBuf,
}

impl Staged<'_> {
    /// Where to write the files.
    pub fn path(&self) -> &Path {
        &self.files
    }

    /// Moves the files into the run's folder, or into its sub-folder of this name, and returns where they are now.
    ///
    /// A place that is absent takes them in one step. Otherwise they are moved in one by one, `manifest.json` last,
    /// and moved back if one fails. The first commit of a run also removes the files of our earlier run.
    ///
    /// # Errors
    /// The name is no plain file name or was used before in this run; something of that name is in the way that may
    /// not be replaced; files cannot be moved. Everything is then as it was before, or, if even that fails,
    /// [`FolderError::Stranded`] says where the replaced files are.
    pub fn commit_into(self, name: Option<&str>) -> Result<PathBuf, FolderError> {
        let mut state = self.run.state.lock().unwrap_or_else(PoisonError::into_inner);
        let target = match name {
            Some(name) => self.run.dir.join(plain_name(name)?),
            None => self.run.dir.clone(),
        };
        let place = name.map(str::to_owned);
        if state.taken.contains(&place) {
            return Err(FolderError::Taken { path: target });
        }
        let mut moves = Moves::new(self.hidden.path().join("old"));
        match self.moves(&mut moves, &state.outdated, &target) {
            Ok(()) => {
                state.outdated.clear();
                state.taken.insert(place);
                Ok(target)
            }
            Err(cause) => match moves.undo() {
                Ok(()) => Err(cause),
                Err(source) => Err(FolderError::Stranded {
                    kept: self.hidden.keep(),
                    cause: Box::new(cause),
                    source,
                }),
            },
        }
    }

    fn moves(
        &self,
        moves: &mut Moves,
        outdated: &[PathBuf],
        target: &Path,
    ) -> Result<(), FolderError> {
        let dir = &self.run.dir;
        let mut outdated: Vec<PathBuf> = outdated.iter().map(|file| dir.join(file)).collect();
        if target != dir {
            if !is_folder(dir)? {
                moves.make(dir)?;
            }
            // Of a sub-folder that is ours in a folder that is not, the files go too.
            let replaces = self.run.existing != Existing::Refuse && is_real_folder(target);
            if replaces && let Contents::Ours(files) = survey(target)? {
                outdated.extend(files.into_iter().map(|file| target.join(file)));
                outdated.sort();
                outdated.dedup();
            }
        }
        // The manifest goes last: as long as it is there the folder is known as ours, even if the power fails now.
        let (manifests, files): (Vec<_>, Vec<_>) = outdated
            .into_iter()
            .partition(|file| file.parent() == Some(dir) && file.ends_with(MANIFEST));
        let renewed = target == dir && self.files.join(MANIFEST).exists();
        for file in &files {
            moves.put_aside(file)?;
        }
        for file in &files {
            moves.remove_emptied(file, dir);
        }
        if fs::symlink_metadata(target).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            moves.rename(&self.files, target)?;
        } else {
            self.merge(moves, &self.files, target, &manifests)?;
        }
        if !renewed {
            for manifest in &manifests {
                moves.put_aside(manifest)?;
            }
        }
        Ok(())
    }

    /// Moves what lies in `from` into the folder `to`, which exists; `ours` may be replaced whatever the rules.
    fn merge(
        &self,
        moves: &mut Moves,
        from: &Path,
        to: &Path,
        ours: &[PathBuf],
    ) -> Result<(), FolderError> {
        if !is_real_folder(to) && to != self.run.dir {
            return Err(FolderError::InTheWay { path: to.to_owned(), what: "no folder" });
        }
        let inspect = |source| FolderError::Inspect { path: from.to_owned(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(from).map_err(inspect)? {
            names.push(entry.map_err(inspect)?.file_name());
        }
        names.sort_by_key(|name| (name == MANIFEST, name.clone()));
        for name in names {
            let (source, goal) = (from.join(&name), to.join(&name));
            match fs::symlink_metadata(&goal) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    moves.rename(&source, &goal)?
                }
                Err(source) => return Err(FolderError::Inspect { path: goal, source }),
                Ok(_) if source.is_dir() => self.merge(moves, &source, &goal, ours)?,
                Ok(there) if there.is_dir() => {
                    return Err(FolderError::InTheWay { path: goal, what: "a folder" });
                }
                Ok(_) if ours.contains(&goal) || self.run.existing == Existing::Force => {
                    moves.replace(&source, &goal)?;
                }
                Ok(_) => {
                    let what = "a file that no earlier run wrote (--force replaces it)";
                    return Err(FolderError::InTheWay { path: goal, what });
                }
            }
        }
        Ok(())
    }
}

fn plain_name(name: &str) -> Result<&str, FolderError> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(part)), None) if part == name && !name.starts_with(STAGING) => {
            Ok(name)
        }
        _ => Err(FolderError::Name { name: name.to_owned() }),
    }
}
