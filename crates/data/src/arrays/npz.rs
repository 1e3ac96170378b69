//! `.npz`: a zip archive of `.npy` data, stored or deflated.

use std::io::{BufReader, Read};

use flate2::bufread::DeflateDecoder;
use rawzip::{
    CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive, ZipArchiveEntryWayfinder, ZipLocator,
};

use crate::unpacked::MAX_INFLATION;

use super::entry::{Entry, Place, Stored};
use super::npy;
use super::source::Source;

/// Most members.
const MAX_MEMBERS: usize = 1 << 16;

/// An archive whose directory was read.
pub(super) struct Npz {
    archive: ZipArchive<Source>,
}

/// Where a member lies.
pub(super) struct Member {
    wayfinder: ZipArchiveEntryWayfinder,
    deflated: bool,
    /// Bytes before the first value.
    header: u64,
}

impl Member {
    /// Whether its size is known only when all of it was read.
    pub fn deflated(&self) -> bool {
        self.deflated
    }
}

impl Npz {
    /// Reads the directory, and the header of each member.
    pub fn open(source: Source) -> Result<(Self, Vec<Entry>), String> {
        let told = |error: rawzip::Error| format!("its zip archive: {error}");
        let length = source.length();
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let archive = ZipLocator::new()
            .locate_in_reader(source, &mut buffer, length)
            .map_err(|(_, error)| told(error))?;
        let mut members = Vec::new();
        let mut directory = archive.entries(&mut buffer);
        while let Some(record) = directory.next_entry().map_err(told)? {
            if record.is_dir() {
                continue;
            }
            if members.len() == MAX_MEMBERS {
                return Err(format!("it holds more than {MAX_MEMBERS} arrays"));
            }
            let name = String::from_utf8_lossy(record.file_path().as_ref()).into_owned();
            let method = record.compression_method();
            members.push((name, record.wayfinder(), method, record.flags().is_encrypted()));
        }

        let npz = Self { archive };
        let mut entries = Vec::with_capacity(members.len());
        for (name, wayfinder, method, encrypted) in members {
            let name = name.strip_suffix(".npy").unwrap_or(&name).to_owned();
            let stored = match method {
                _ if encrypted => Err("encrypted".to_owned()),
                CompressionMethod::STORE => npz.member(wayfinder, false, length),
                CompressionMethod::DEFLATE => npz.member(wayfinder, true, length),
                _ => Err("compressed in a way that NumPy does not use".to_owned()),
            };
            entries.push(Entry { name, stored });
        }
        Ok((npz, entries))
    }

    /// Reads a member's header and holds what it says against the member's size, and that against
    /// the bytes that are there.
    fn member(
        &self,
        wayfinder: ZipArchiveEntryWayfinder,
        deflated: bool,
        length: u64,
    ) -> Result<Stored, String> {
        let entry =
            self.archive.get_entry(wayfinder).map_err(|error| format!("damaged: {error}"))?;
        let (start, end) = entry.compressed_data_range();
        let (packed, size) = (end.saturating_sub(start), wayfinder.uncompressed_size_hint());
        if end > length {
            return Err("cut short: it reaches beyond the file".to_owned());
        }
        let at_most = if deflated { packed.saturating_mul(MAX_INFLATION) } else { packed };
        if size > at_most || !deflated && size != packed {
            return Err(format!(
                "damaged: {packed} bytes cannot hold the {size} that it is said to have"
            ));
        }
        let mut member = Member { wayfinder, deflated, header: 0 };
        let (header, read) = npy::read(&mut self.bytes(&member)?)?;
        member.header = read;
        let stored = Stored { header, place: Place::Member(member) };
        match stored.bytes() {
            Some(bytes) if read.checked_add(bytes) == Some(size) => Ok(stored),
            _ => Err(format!(
                "damaged: its {size} bytes are not those of {} with a header of {read}",
                stored.described()
            )),
        }
    }

    /// The values of a member. Reading the last of them also checks the archive's checksum.
    pub fn values(&self, member: &Member) -> Result<impl Read, String> {
        let mut reader = self.bytes(member)?;
        let mut header = vec![0; usize::try_from(member.header).unwrap_or(usize::MAX)];
        reader.read_exact(&mut header).map_err(|error| error.to_string())?;
        Ok(reader)
    }

    fn bytes(&self, member: &Member) -> Result<impl Read, String> {
        let entry = self
            .archive
            .get_entry(member.wayfinder)
            .map_err(|error| format!("damaged: {error}"))?;
        let stored = BufReader::with_capacity(1 << 16, entry.reader());
        let reader: Box<dyn Read + '_> = match member.deflated {
            true => Box::new(DeflateDecoder::new(stored)),
            false => Box::new(stored),
        };
        Ok(entry.verifying_reader(reader))
    }
}
