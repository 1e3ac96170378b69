//! A run folder as one file.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use anyhow::Result;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The files of a folder as an archive; pictures and arrays are stored as they are.
pub fn zipped(folder: &Path) -> Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut files: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    files.sort_by_key(|file| file.file_name());
    for file in files {
        let name = format!("introspect/{}", file.file_name().to_string_lossy());
        let options =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        archive.start_file(name, options)?;
        archive.write_all(&fs::read(file.path())?)?;
    }
    Ok(archive.finish()?.into_inner())
}
