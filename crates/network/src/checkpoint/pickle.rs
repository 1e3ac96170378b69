//! A stack machine that reads pickles without running them.
//!
//! A pickle is a program: its REDUCE opcode calls any function that its GLOBAL opcode names. Here
//! names stay names and calls become [`Value::Call`] records, so nothing that a file says is ever
//! imported, called or executed. Known are the opcodes that Python writes in protocols 2 to 5, except
//! those for buffers and persistent ids outside the pickle's bytes and for registered extensions,
//! which `torch.save` does not use.
//!
//! Every opcode is at least one byte and makes at most one value, lengths are held against the bytes
//! that are left before anything is copied, and texts are borrowed: memory is bounded by the pickle's
//! length and by [`MAX_OBJECTS`], time is linear in the length.

use std::borrow::Cow;
use std::collections::HashMap;

use super::error::{CheckpointError, Result};
use super::reader::{MAX_GLOBAL, Reader, Step};
use super::value::{Call, Global, Id, Pickle, Value};

/// Most objects, memo entries, and values on the stack; a checkpoint of a large network with its
/// optimiser has some hundred thousand.
const MAX_OBJECTS: usize = 1 << 21;
/// Most open marks, that is, how deep tuples and dicts may lie in each other.
const MAX_NESTING: usize = 10_000;
/// Longest text in bytes.
const MAX_TEXT: usize = 1 << 26;

impl<'a> Pickle<'a> {
    /// Reads the pickle that `bytes` begin with; more may follow it.
    ///
    /// # Errors
    /// The bytes end within it, they are no pickle, or they exceed a limit.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut machine = Machine {
            reader: Reader::new(bytes),
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            persistent: Vec::new(),
        };
        loop {
            let at = machine.reader.at();
            let wrong = |problem: Cow<'static, str>| CheckpointError::Pickle {
                at,
                problem: problem.into_owned(),
            };
            if let Some(root) = machine.step().map_err(wrong)? {
                let Machine { values, persistent, reader, .. } = machine;
                return Ok(Self { values, root, persistent, length: reader.at() });
            }
        }
    }
}

struct Machine<'a> {
    reader: Reader<'a>,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Height of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    persistent: Vec<Id>,
}

impl<'a> Machine<'a> {
    /// One opcode; gives the result when it was the last.
    fn step(&mut self) -> Step<Option<Id>> {
        match self.reader.byte()? {
            b'.' => return self.pop().map(Some),
            // framing
            0x80 => match self.reader.byte()? {
                0..=5 => {}
                version => {
                    return Err(format!("protocol {version}, where at most 5 is known").into());
                }
            },
            0x95 => {
                let length = self.reader.long_length()?;
                self.reader.expect(length)?;
            }
            // the stack
            b'(' => self.mark()?,
            b'0' => self.pop_value_or_mark()?,
            b'1' => {
                self.since_mark()?;
            }
            b'2' => {
                let top = self.top()?;
                self.push(top)?;
            }
            // the memo
            b'q' => {
                let key = self.reader.byte()?.into();
                self.memoise(key)?;
            }
            b'r' => {
                let key = self.reader.word()?;
                self.memoise(key)?;
            }
            0x94 => {
                let key = u32::try_from(self.memo.len()).map_err(|_| "the memo is full")?;
                self.memoise(key)?;
            }
            b'h' => {
                let key = self.reader.byte()?.into();
                self.recall(key)?;
            }
            b'j' => {
                let key = self.reader.word()?;
                self.recall(key)?;
            }
            code => self.value(code)?,
        }
        Ok(None)
    }

    /// Opcodes that make a plain value.
    fn value(&mut self, code: u8) -> Step<()> {
        let value = match code {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(self.reader.byte()?.into()),
            b'M' => Value::Int(self.reader.short()?.into()),
            b'J' => Value::Int(self.reader.word()?.cast_signed().into()),
            0x8a => {
                let length = self.reader.byte()?.into();
                integer(self.reader.take(length)?)
            }
            0x8b => {
                let length = self.reader.word_length()?;
                integer(self.reader.take(length)?)
            }
            b'G' => {
                self.reader.take(size_of::<f64>())?;
                Value::Inert("a number")
            }
            // texts of Python 3, then byte strings of Python 2, which names were
            0x8c | b'U' => {
                let length = self.reader.byte()?.into();
                self.text(length)?
            }
            b'X' | b'T' => {
                let length = self.reader.word_length()?;
                self.text(length)?
            }
            0x8d => {
                let length = self.reader.long_length()?;
                self.text(length)?
            }
            b'C' => {
                let length = self.reader.byte()?.into();
                self.bytes(length)?
            }
            b'B' => {
                let length = self.reader.word_length()?;
                self.bytes(length)?
            }
            0x8e | 0x96 => {
                let length = self.reader.long_length()?;
                self.bytes(length)?
            }
            code => return self.container(code),
        };
        self.make(value)
    }

    /// Opcodes that make or fill a container.
    fn container(&mut self, code: u8) -> Step<()> {
        let value = match code {
            b']' => Value::List(Vec::new()),
            b'}' => Value::Dict(Vec::new()),
            b')' => Value::Tuple(Vec::new()),
            0x8f => Value::Set(Vec::new()),
            b'l' => Value::List(self.since_mark()?),
            b't' => Value::Tuple(self.since_mark()?),
            0x91 => Value::Set(self.since_mark()?),
            b'd' => Value::Dict(pairs(&self.since_mark()?)?),
            0x85..=0x87 => {
                let mut items: Vec<_> = (0x84..code).map(|_| self.pop()).collect::<Step<_>>()?;
                items.reverse();
                Value::Tuple(items)
            }
            b'a' => {
                let item = self.pop()?;
                return self.extend(&[item]);
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                return self.extend(&items);
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                return self.set_items(&[(key, value)]);
            }
            b'u' => {
                let items = pairs(&self.since_mark()?)?;
                return self.set_items(&items);
            }
            code => return self.object(code),
        };
        self.make(value)
    }

    /// Opcodes that would import, call or look up.
    fn object(&mut self, code: u8) -> Step<()> {
        let value = match code {
            b'c' => {
                let (module, name) = (self.reader.line()?, self.reader.line()?);
                Value::Global(Box::new(Global { module: module.into(), name: name.into() }))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (module, name) = (self.short_text(module)?, self.short_text(name)?);
                Value::Global(Box::new(Global { module, name }))
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                call(function, arguments)
            }
            0x92 => {
                let (_keywords, arguments, function) = (self.pop()?, self.pop()?, self.pop()?);
                call(function, arguments)
            }
            b'o' => {
                let mut items = self.since_mark()?;
                if items.is_empty() {
                    return Err("an object without a class".into());
                }
                let arguments = items.split_off(1);
                self.make(Value::Tuple(arguments))?;
                call(items[0], self.pop()?)
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                if let Value::Call(call) = &mut self.values[target.0 as usize] {
                    call.state = Some(state);
                }
                return Ok(());
            }
            b'Q' => {
                let key = self.pop()?;
                self.persistent.push(key);
                Value::Persistent(key)
            }
            code => {
                return Err(format!("opcode 0x{code:02x} is none that torch.save writes").into());
            }
        };
        self.make(value)
    }

    /// Adds a value and pushes it.
    fn make(&mut self, value: Value<'a>) -> Step<()> {
        if self.values.len() >= MAX_OBJECTS {
            return Err(format!("more than {MAX_OBJECTS} objects").into());
        }
        let id = Id(u32::try_from(self.values.len()).map_err(|_| "too many objects")?);
        self.values.push(value);
        self.push(id)
    }

    fn push(&mut self, id: Id) -> Step<()> {
        if self.stack.len() >= MAX_OBJECTS {
            return Err(format!("more than {MAX_OBJECTS} values on the stack").into());
        }
        self.stack.push(id);
        Ok(())
    }

    /// The top of the stack, but nothing from below the last mark.
    fn top(&self) -> Step<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack.get(floor..).and_then(<[Id]>::last).copied().ok_or("the stack is empty".into())
    }

    fn pop(&mut self) -> Step<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_value_or_mark(&mut self) -> Step<()> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn mark(&mut self) -> Step<()> {
        if self.marks.len() >= MAX_NESTING {
            return Err(format!("objects nested more than {MAX_NESTING} deep").into());
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Takes off everything above the last mark.
    fn since_mark(&mut self) -> Step<Vec<Id>> {
        let start = self.marks.pop().ok_or("no mark is open")?;
        // not `split_off`, whose result may keep the whole stack's capacity
        Ok(self.stack.drain(start..).collect())
    }

    fn memoise(&mut self, key: u32) -> Step<()> {
        let top = self.top()?;
        if self.memo.len() >= MAX_OBJECTS {
            return Err(format!("more than {MAX_OBJECTS} memo entries").into());
        }
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Step<()> {
        match self.memo.get(&key) {
            Some(&id) => self.push(id),
            None => Err(format!("memo entry {key} was never stored").into()),
        }
    }

    fn extend(&mut self, items: &[Id]) -> Step<()> {
        let target = self.top()?;
        match &mut self.values[target.0 as usize] {
            Value::List(list) | Value::Set(list) => list.extend_from_slice(items),
            // a subclass of list: no tensor is made of it
            Value::Call(_) => {}
            _ => return Err("items are appended to what is no list".into()),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[(Id, Id)]) -> Step<()> {
        let target = self.top()?;
        match &mut self.values[target.0 as usize] {
            Value::Dict(dict) => dict.extend_from_slice(items),
            Value::Call(call) => call.items.extend_from_slice(items),
            _ => return Err("items are set on what is no dict".into()),
        }
        Ok(())
    }

    fn text(&mut self, length: usize) -> Step<Value<'a>> {
        let raw = self.reader.take(length)?;
        if length > MAX_TEXT {
            return Err(
                format!("a text of {length} bytes, where at most {MAX_TEXT} are read").into()
            );
        }
        // Python lets half surrogates through (file names have them)
        Ok(Value::Text(String::from_utf8_lossy(raw)))
    }

    fn bytes(&mut self, length: usize) -> Step<Value<'a>> {
        self.reader.take(length)?;
        Ok(Value::Inert("bytes"))
    }

    fn short_text(&self, id: Id) -> Step<Cow<'a, str>> {
        match &self.values[id.0 as usize] {
            // borrowed ones only: a copy for each use of a memo entry would be a bomb
            Value::Text(Cow::Borrowed(text)) if text.len() <= MAX_GLOBAL => Ok((*text).into()),
            _ => Err("the name of a class is no text, or a very long one".into()),
        }
    }
}

fn call<'a>(function: Id, arguments: Id) -> Value<'a> {
    Value::Call(Box::new(Call { function, arguments, state: None, items: Vec::new() }))
}

fn pairs(items: &[Id]) -> Step<Vec<(Id, Id)>> {
    match items.as_chunks::<2>() {
        (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err("a key without a value".into()),
    }
}

/// A little-endian integer in two's complement, of any length.
fn integer<'a>(raw: &[u8]) -> Value<'a> {
    let sign = if raw.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
    let mut bytes = [sign; size_of::<i64>()];
    match bytes.get_mut(..raw.len()) {
        Some(low) => low.copy_from_slice(raw),
        None => return Value::Inert("a huge integer"),
    }
    Value::Int(i64::from_le_bytes(bytes))
}
