//! Where the library of ONNX Runtime may lie, found without running Python, and loading it.
//!
//! In this order: `ORT_DYLIB_PATH` and then nothing else; beside the executable; what `pip install
//! onnxruntime` left in the active environment, in that of the first `python3` or `python` on the path, and
//! in the user's; the system's folders of libraries.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::Environment;

use super::RuntimeInfo;
use crate::error::{NetworkError, Result};

/// The variable that names the library.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// The library, loaded once a process, and what it is.
///
/// # Errors
/// [`NetworkError::RuntimeNotFound`] if there is none, [`NetworkError::RuntimeUnusable`] if none of those
/// found can be loaded.
pub(super) fn environment() -> Result<&'static (Environment, RuntimeInfo)> {
    static LOADED: OnceLock<(Environment, RuntimeInfo)> = OnceLock::new();
    static LOADING: Mutex<()> = Mutex::new(());
    if let Some(loaded) = LOADED.get() {
        return Ok(loaded);
    }
    let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = LOADED.get() {
        return Ok(loaded);
    }
    let loaded = load_first(&Surroundings::of_this_process())?;
    Ok(LOADED.get_or_init(|| loaded))
}

fn load_first(surroundings: &Surroundings) -> Result<(Environment, RuntimeInfo)> {
    let Search { looked, found } = surroundings.search();
    if found.is_empty() {
        return Err(NetworkError::RuntimeNotFound { looked });
    }
    let mut failures = Vec::new();
    for path in found {
        match load(&path) {
            Ok(loaded) => return Ok(loaded),
            Err(reason) => failures.push(format!("{}: {reason}", path.display())),
        }
    }
    Err(NetworkError::RuntimeUnusable { reason: failures.join("; ") })
}

fn load(path: &Path) -> Result<(Environment, RuntimeInfo), String> {
    is_complete(path)?;
    // the binding asserts where a library has the right names but does not behave
    let loaded = catch_unwind(AssertUnwindSafe(|| {
        let builder = ort::init_from(path).map_err(|error| match error {
            ort::LoadDynamicError::BadVersion { version_str, .. } => {
                format!("it is version {version_str}; expected 1.{} or later", ort::MINOR_VERSION)
            }
            ort::LoadDynamicError::MissingApi { .. } => "it is no ONNX Runtime".to_owned(),
            ort::LoadDynamicError::Dlopen { error, .. } => std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), |source| format!("{error}: {source}")),
            other => other.to_string(),
        })?;
        let environment = builder
            .with_name("introspective")
            .with_telemetry(false)
            .build()
            .map_err(|error| error.to_string())?;
        Ok((environment, version(path, ort::info())))
    }));
    let (environment, version) =
        loaded.unwrap_or_else(|_| Err("it failed while it started".to_owned()))?;
    let library = Some(path.to_owned());
    let info = RuntimeInfo { name: "onnxruntime", version, library };
    tracing::debug!(runtime = %info, "loaded");
    Ok((environment, info))
}

/// The version stands in the file's name (perhaps behind a link); else what the build says about itself.
fn version(path: &Path, build: &str) -> String {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let digits = name.trim_end_matches(".dylib").trim_start_matches(|c: char| !c.is_ascii_digit());
    if digits.contains('.') {
        return digits.to_owned();
    }
    let field = |key: &str| {
        let (_, rest) = build.split_once(key)?;
        Some(rest.split([',', ' ']).next().unwrap_or(rest).to_owned())
    };
    field("git-branch=rel-")
        .or_else(|| Some(format!("commit {}", field("git-commit-id=")?)))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The system's loader kills the process over a library that was cut short, so this is looked at first.
/// (Only for ELF, the format of Linux, whose last table lies at the end of the file.)
fn is_complete(path: &Path) -> Result<(), String> {
    let mut header = Vec::new();
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    file.by_ref().take(64).read_to_end(&mut header).map_err(|error| error.to_string())?;
    let number = |at: usize, width: usize| {
        let bytes = header.get(at..at + width).unwrap_or_default();
        bytes.iter().rev().fold(0u64, |value, &byte| value << 8 | u64::from(byte))
    };
    if !header.starts_with(b"\x7fELF") {
        return if cfg!(target_os = "linux") { Err("it is no library".to_owned()) } else { Ok(()) };
    }
    // 64-bit, little-endian: offset of the section headers, their size and number
    let (start, entries) = (number(40, 8), number(58, 2) * number(60, 2));
    let cut = header.len() < 64 || start.saturating_add(entries) > length;
    if header.get(4..6) == Some(&[2, 1]) && cut {
        return Err("it is cut short".to_owned());
    }
    Ok(())
}

/// What decides where to look; of the process, or made up by a test.
#[derive(Debug, Default)]
struct Surroundings {
    /// `ORT_DYLIB_PATH`.
    named: Option<PathBuf>,
    /// Folder of the executable.
    beside: Option<PathBuf>,
    /// `VIRTUAL_ENV`, `CONDA_PREFIX`.
    environments: Vec<PathBuf>,
    /// `PATH`.
    path: Option<OsString>,
    home: Option<PathBuf>,
    /// `PYENV_VERSION`.
    pyenv: Option<String>,
    /// Folders of libraries.
    system: Vec<PathBuf>,
}

/// Where was looked, and the libraries found there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Search {
    looked: Vec<PathBuf>,
    found: Vec<PathBuf>,
}

impl Surroundings {
    fn of_this_process() -> Self {
        let folder = |name: &str| {
            std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        let executable = std::env::current_exe().ok().and_then(|exe| fs::canonicalize(exe).ok());
        let mut system: Vec<PathBuf> = ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"]
            .into_iter()
            .filter_map(std::env::var_os)
            .flat_map(|value| std::env::split_paths(&value).collect::<Vec<_>>())
            .filter(|folder| folder.is_absolute())
            .collect();
        let triple = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let usual = ["/usr/local/lib", "/usr/lib", "/usr/lib64", &triple, "/opt/homebrew/lib"];
        system.extend(usual.map(PathBuf::from));
        Self {
            named: folder(VARIABLE),
            beside: executable.and_then(|exe| exe.parent().map(Path::to_owned)),
            environments: ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(folder).collect(),
            path: std::env::var_os("PATH"),
            pyenv: std::env::var("PYENV_VERSION").ok(),
            home: folder("HOME").or_else(|| folder("USERPROFILE")),
            system,
        }
    }

    fn search(&self) -> Search {
        let mut search = Search::default();
        if let Some(named) = &self.named {
            if named.is_dir() {
                search.look_into(named);
            } else {
                search.looked.push(named.clone());
                // a file that is not there shall be named as such, not passed over
                search.found.push(named.clone());
            }
            return search;
        }
        if let Some(beside) = &self.beside {
            search.look_into(beside);
        }
        for prefix in self.prefixes() {
            for packages in packages(&prefix).into_iter().filter(|folder| folder.is_dir()) {
                search.looked.push(packages.clone());
                search.found.extend(library_in(&packages.join("onnxruntime").join("capi")));
            }
        }
        for folder in &self.system {
            search.look_into(folder);
        }
        search
    }

    /// Where Pythons are installed, in the order in which they are looked through.
    fn prefixes(&self) -> Vec<PathBuf> {
        let mut prefixes = self.environments.clone();
        let folders =
            self.path.as_ref().map(|path| std::env::split_paths(path).collect::<Vec<_>>());
        let absolute =
            folders.unwrap_or_default().into_iter().filter(|folder| folder.is_absolute());
        let python = absolute
            .flat_map(|folder| ["python3", "python", "python.exe"].map(|name| folder.join(name)))
            .find(|python| python.is_file());
        if let Some(python) = python {
            // in an environment of its own the executable is a link out of it: both count
            let real = fs::canonicalize(&python).unwrap_or_else(|_| python.clone());
            for python in [python, real] {
                prefixes.extend(self.prefix_of(&python));
            }
        }
        prefixes.extend(self.home.as_ref().map(|home| home.join(".local")));
        let mut seen = HashSet::new();
        prefixes.retain(|prefix| seen.insert(prefix.clone()));
        prefixes
    }

    /// `/usr/bin/python3` -> `/usr`; a stand-in of pyenv's -> the version that it would start.
    fn prefix_of(&self, python: &Path) -> Option<PathBuf> {
        let folder = python.parent()?;
        let above = folder.parent()?;
        if folder.file_name().is_some_and(|name| name == "shims") {
            let chosen = self.pyenv.clone();
            let version = chosen.or_else(|| fs::read_to_string(above.join("version")).ok())?;
            let version = version.split([':', '\n']).next()?.trim();
            return Some(above.join("versions").join(version));
        }
        let bin = folder.file_name().is_some_and(|name| name == "bin" || name == "Scripts");
        Some(if bin { above.to_owned() } else { folder.to_owned() })
    }
}

/// Folders of packages under a prefix, those of the newest Python first.
fn packages(prefix: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for lib in ["lib", "lib64"].map(|lib| prefix.join(lib)) {
        let mut versions: Vec<(Vec<u32>, PathBuf)> = entries(&lib)
            .into_iter()
            .filter_map(|(name, path)| {
                let version = name.strip_prefix("python")?;
                Some((version.split('.').filter_map(|part| part.parse().ok()).collect(), path))
            })
            .collect();
        versions.sort();
        for (_, folder) in versions.into_iter().rev() {
            folders.extend(["site-packages", "dist-packages"].map(|name| folder.join(name)));
        }
    }
    folders.push(prefix.join("Lib").join("site-packages"));
    folders
}

impl Search {
    /// Notes a folder, if there is one, and the library in it.
    fn look_into(&mut self, folder: &Path) {
        if folder.is_dir() {
            self.looked.push(folder.to_owned());
            self.found.extend(library_in(folder));
        }
    }
}

/// The library in a folder: of several the one with the shortest name, which is the link to the one that the
/// system would take.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let libraries = entries(folder).into_iter();
    libraries
        .filter(|(name, path)| is_library(name) && path.is_file())
        .min_by_key(|(name, _)| (name.len(), name.clone()))
        .map(|(_, path)| path)
}

/// `libonnxruntime.so.1.24.1`, `libonnxruntime.1.24.1.dylib`, `onnxruntime.dll`.
fn is_library(name: &str) -> bool {
    if cfg!(target_os = "windows") {
        name.eq_ignore_ascii_case("onnxruntime.dll")
    } else if cfg!(target_os = "macos") {
        name.starts_with("libonnxruntime.") && name.ends_with(".dylib")
    } else {
        name == "libonnxruntime.so" || name.starts_with("libonnxruntime.so.")
    }
}

/// What a folder holds; nothing if it cannot be read.
fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(listing) = fs::read_dir(folder) else { return Vec::new() };
    listing
        .flatten()
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    const CAPI: &str = "site-packages/onnxruntime/capi";

    fn file(path: &Path) -> PathBuf {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
        path.to_owned()
    }

    /// An environment made from a system's Python, and everything else a machine may have.
    #[test]
    fn environments_come_before_the_system() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let in_capi = |prefix: &str, version: &str, name: &str| {
            file(&at(&format!("{prefix}/lib/{version}/{CAPI}/{name}")))
        };
        let beside = file(&at("app/libonnxruntime.so"));
        let active = in_capi("venv", "python3.12", "libonnxruntime.so.1.24.1");
        in_capi("venv", "python3.12", "libonnxruntime_providers_shared.so");
        let newest = in_capi("usr", "python3.11", "libonnxruntime.so.1.20.0");
        let older = in_capi("usr", "python3.9", "libonnxruntime.so.1.16.0");
        let user = in_capi("home/.local", "python3.11", "libonnxruntime.so.1.19.0");
        let system = file(&at("usr/lib/libonnxruntime.so"));
        file(&at("usr/lib/libonnxruntime.so.1.18.0"));
        file(&at("usr/bin/python3"));
        fs::create_dir_all(at("other/bin")).unwrap();
        symlink(at("usr/bin/python3"), at("other/bin/python")).unwrap();
        let path = std::env::join_paths([PathBuf::from("bin"), at("none"), at("other/bin")]);
        let surroundings = Surroundings {
            beside: Some(at("app")),
            environments: vec![at("venv")],
            path: Some(path.unwrap()),
            home: Some(at("home")),
            system: vec![at("usr/lib"), at("nowhere")],
            ..Surroundings::default()
        };
        let Search { looked, found } = surroundings.search();
        assert_eq!(found, [beside, active, newest, older, user, system]);
        assert!(looked.contains(&at("venv/lib/python3.12/site-packages")));
        assert!(!looked.contains(&at("nowhere")));

        let named = Surroundings { named: Some(at("x/y.so")), ..surroundings };
        let only = vec![at("x/y.so")];
        assert_eq!(named.search(), Search { looked: only.clone(), found: only });
        let folder = Surroundings { named: Some(at("usr/lib")), ..named };
        assert_eq!(folder.search().found, [at("usr/lib/libonnxruntime.so")]);
    }

    #[test]
    fn a_stand_in_of_pyenv_leads_to_the_version_that_it_starts() {
        let root = tempfile::tempdir().unwrap();
        file(&root.path().join("shims/python3"));
        fs::write(root.path().join("version"), "3.11.2\n3.9.1\n").unwrap();
        let path = Some(root.path().join("shims").into_os_string());
        let of = |pyenv| {
            let surroundings = Surroundings { path: path.clone(), pyenv, ..Default::default() };
            surroundings.prefixes().remove(0)
        };
        assert_eq!(of(None), root.path().join("versions/3.11.2"));
        assert_eq!(of(Some("3.9.1".to_owned())), root.path().join("versions/3.9.1"));
    }

    #[test]
    fn what_is_no_library_is_said_and_not_loaded() {
        let root = tempfile::tempdir().unwrap();
        let load_error = |bytes: &[u8]| {
            let named = Some(root.path().join("library.so"));
            fs::write(named.as_ref().unwrap(), bytes).unwrap();
            match load_first(&Surroundings { named, ..Surroundings::default() }) {
                Err(NetworkError::RuntimeUnusable { reason }) => reason,
                Err(other) => other.to_string(),
                Ok(_) => "it was loaded".to_owned(),
            }
        };
        let whole = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(load_error(b"text").ends_with("library.so: it is no library"));
        assert!(load_error(b"").ends_with("it is no library"));
        assert!(load_error(&whole[..whole.len() / 2]).ends_with("it is cut short"));
        assert!(load_error(&whole[..40]).ends_with("it is cut short"));
        // a program is complete, and still none that can be loaded
        is_complete(&std::env::current_exe().unwrap()).unwrap();

        let nothing = load_first(&Surroundings::default());
        assert!(matches!(nothing, Err(NetworkError::RuntimeNotFound { .. })));
    }

    #[test]
    fn versions() {
        let of = |name: &str, build: &str| version(Path::new(name), build);
        assert_eq!(of("/x/libonnxruntime.so.1.24.1", ""), "1.24.1");
        assert_eq!(of("/x/libonnxruntime.1.24.1.dylib", ""), "1.24.1");
        let build =
            "ORT Build Info: git-branch=rel-1.19.0, git-commit-id=26250ae, build type=Release";
        assert_eq!(of("/x/onnxruntime.dll", build), "1.19.0");
        let build = "ORT Build Info: git-branch=HEAD, git-commit-id=fab30a4, build type=Release";
        assert_eq!(of("/x/libonnxruntime.so", build), "commit fab30a4");
        assert_eq!(of("/x/libonnxruntime.so", ""), "unknown");
    }
}
