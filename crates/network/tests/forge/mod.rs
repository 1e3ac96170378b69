//! Pickles and zip archives made by hand, truthful or not.

/// A pickle, opcode by opcode.
#[derive(Clone, Default)]
pub struct Pickle(pub Vec<u8>);

impl Pickle {
    pub fn new() -> Self {
        Self(vec![0x80, 2])
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn text(self, text: &str) -> Self {
        self.raw(b"X").raw(&u32::try_from(text.len()).unwrap().to_le_bytes()).raw(text.as_bytes())
    }

    pub fn int(self, value: u64) -> Self {
        assert!(i64::try_from(value).is_ok());
        self.raw(&[0x8a, 8]).raw(&value.to_le_bytes())
    }

    pub fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    pub fn ints(self, values: &[u64]) -> Self {
        values.iter().fold(self.raw(b"("), |pickle, &value| pickle.int(value)).raw(b"t")
    }

    /// A float tensor over storage `0`.
    pub fn tensor(self, elements: u64, offset: u64, shape: &[u64], strides: &[u64]) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"((")
            .text("storage")
            .global("torch", "FloatStorage")
            .text("0")
            .text("cpu")
            .int(elements)
            .raw(b"tQ")
            .int(offset)
            .ints(shape)
            .ints(strides)
            .raw(b"\x89}tR")
    }

    /// `{"fc.weight": <what follows>}` so far.
    pub fn state_dict() -> Self {
        Self::new().raw(b"}").text("fc.weight")
    }

    pub fn stop(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// An entry of a zip archive as its two headers describe it, truthfully or not.
#[derive(Clone)]
pub struct Entry {
    pub name: String,
    pub data: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub stored: u32,
    pub size: u32,
    /// Where the directory says that the local header is, if not where it is.
    pub at: Option<u32>,
}

pub fn entry(name: &str, data: &[u8]) -> Entry {
    let size = u32::try_from(data.len()).unwrap();
    let (name, data) = (name.to_owned(), data.to_vec());
    Entry { name, data, method: 0, flags: 0, stored: size, size, at: None }
}

pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let at = entry.at.unwrap_or(out.len() as u32);
        let name_length = entry.name.len() as u16;
        let shared = |out: &mut Vec<u8>| {
            for value in [20, entry.flags, entry.method, 0, 0] {
                out.extend(value.to_le_bytes());
            }
            for value in [0, entry.stored, entry.size] {
                out.extend(value.to_le_bytes());
            }
            out.extend(name_length.to_le_bytes());
            out.extend(0u16.to_le_bytes());
        };
        out.extend(b"PK\x03\x04");
        shared(&mut out);
        out.extend(entry.name.as_bytes());
        out.extend(&entry.data);
        directory.extend(b"PK\x01\x02\x14\x00");
        shared(&mut directory);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(entry.name.as_bytes());
    }
    let (start, length, count) = (out.len() as u32, directory.len() as u32, entries.len() as u16);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// A checkpoint with this pickle and a storage `0` of four floats.
pub fn checkpoint(pickle: Vec<u8>) -> Vec<u8> {
    let storage: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    zip(&[
        entry("a/data.pkl", &pickle),
        entry("a/byteorder", b"little"),
        entry("a/data/0", &storage),
    ])
}
