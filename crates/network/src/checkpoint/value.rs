//! What a pickle describes, as records that do nothing.

use std::borrow::Cow;

/// Index of a value in its [`Pickle`]. Values refer to each other by index, so an object that
/// contains itself is no trouble, and deep ones are dropped without recursion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(pub u32);

/// One object of a pickle.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Text(Cow<'a, str>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function, by name alone.
    Global(Box<Global<'a>>),
    /// What a class or function would have made of its arguments, had it been called.
    Call(Box<Call>),
    /// A reference to something outside the pickle: a storage.
    Persistent(Id),
    /// Anything that no tensor is made of: floats, bytes, huge integers. The word is for messages.
    Inert(&'static str),
}

/// The name of a class or function.
#[derive(Clone, Debug)]
pub(crate) struct Global<'a> {
    pub module: Cow<'a, str>,
    pub name: Cow<'a, str>,
}

/// An object made by a class or function: by REDUCE, NEWOBJ, NEWOBJ_EX or OBJ.
#[derive(Debug)]
pub(crate) struct Call {
    pub function: Id,
    /// A tuple.
    pub arguments: Id,
    /// What BUILD would have handed to `__setstate__`.
    pub state: Option<Id>,
    /// What would have been set with `object[key] = value`.
    pub items: Vec<(Id, Id)>,
}

/// The objects of one pickle.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    pub(super) values: Vec<Value<'a>>,
    pub(super) root: Id,
    pub(super) persistent: Vec<Id>,
    /// Bytes from the first opcode to the last.
    pub length: usize,
}

impl<'a> Pickle<'a> {
    /// The object that the pickle is about.
    pub fn root(&self) -> Id {
        self.root
    }

    /// What the references to outside things hold, in the order of their first appearance.
    pub fn persistent(&self) -> &[Id] {
        &self.persistent
    }

    pub fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id.0 as usize]
    }

    pub fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number that can be a length, an offset or a stride.
    pub fn size(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Value::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// Module and name of a class or function.
    pub fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.get(id) {
            Value::Global(global) => Some((&global.module, &global.name)),
            _ => None,
        }
    }

    pub fn call(&self, id: Id) -> Option<&Call> {
        match self.get(id) {
            Value::Call(call) => Some(call),
            _ => None,
        }
    }

    /// Module and name of the function that made an object, and the arguments.
    pub fn called(&self, id: Id) -> Option<((&str, &str), &[Id])> {
        let call = self.call(id)?;
        Some((self.global(call.function)?, self.sequence(call.arguments)?))
    }

    /// The elements of a list, a tuple, a set or a `torch.Size`.
    pub fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::List(items) | Value::Tuple(items) | Value::Set(items) => Some(items),
            // protocol 2 has no sets: builtins.set([...])
            Value::Call(call) => {
                let known = [("torch", "Size"), ("builtins", "set"), ("__builtin__", "set")];
                let Value::Tuple(arguments) = self.get(call.arguments) else { return None };
                match (known.contains(&self.global(call.function)?), &arguments[..]) {
                    (true, [only]) => match self.get(*only) {
                        Value::List(items) | Value::Tuple(items) => Some(items),
                        _ => None,
                    },
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Keys and values of a dict, an `OrderedDict`, or any object that items were set on.
    pub fn mapping(&self, id: Id) -> Option<Cow<'_, [(Id, Id)]>> {
        match self.get(id) {
            Value::Dict(items) => Some(Cow::Borrowed(items)),
            Value::Call(call) if !call.items.is_empty() => Some(Cow::Borrowed(&call.items)),
            // Python 2 wrote OrderedDict([[key, value], ...])
            Value::Call(call) => {
                match (self.global(call.function)?, self.sequence(call.arguments)?) {
                    (("collections", "OrderedDict"), []) => Some(Cow::Borrowed(&[])),
                    (("collections", "OrderedDict"), [pairs]) => {
                        let pair = |&pair| match self.sequence(pair)? {
                            &[key, value] => Some((key, value)),
                            _ => None,
                        };
                        self.sequence(*pairs)?
                            .iter()
                            .map(pair)
                            .collect::<Option<_>>()
                            .map(Cow::Owned)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The value of a dict under a text key; of several the last, as Python has it.
    pub fn item(&self, id: Id, key: &str) -> Option<Id> {
        let items = self.mapping(id)?;
        items.iter().rev().find(|(k, _)| self.text(*k) == Some(key)).map(|(_, value)| *value)
    }

    /// A few words on a value, for messages.
    pub fn describe(&self, id: Id) -> String {
        if let Some(items) = self.mapping(id) {
            let keys: Vec<_> = items.iter().filter_map(|(key, _)| self.text(*key)).collect();
            return match &keys[..] {
                [] if items.is_empty() => "an empty dict".to_owned(),
                [] => "a dict without text keys".to_owned(),
                _ => format!("a dict with the keys {}", list(&keys)),
            };
        }
        match self.get(id) {
            Value::None => "None".to_owned(),
            Value::Bool(_) => "a truth value".to_owned(),
            Value::Int(_) => "an integer".to_owned(),
            Value::Text(_) => "a text".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Tuple(_) => "a tuple".to_owned(),
            Value::Set(_) => "a set".to_owned(),
            Value::Dict(_) => "a dict".to_owned(),
            Value::Global(global) => {
                format!("the name {}", dotted(&global.module, &global.name))
            }
            Value::Call(call) => match self.global(call.function) {
                Some((module, name)) => format!("what {} makes", dotted(module, name)),
                None => "an object of no class".to_owned(),
            },
            Value::Persistent(_) => "a storage".to_owned(),
            Value::Inert(what) => (*what).to_owned(),
        }
    }
}

/// Names between commas, at most eight of them.
pub(super) fn list(names: &[&str]) -> String {
    let mut text = names.iter().take(8).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
    if names.len() > 8 {
        text += &format!(" and {} more", names.len() - 8);
    }
    text
}

/// A name from a file as a message may show it: short, and without control characters.
pub(super) fn shown(name: &str) -> String {
    let mut text: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    if name.chars().nth(80).is_some() {
        text.push('…');
    }
    text
}

fn dotted(module: &str, name: &str) -> String {
    format!("{}.{}", shown(module), shown(name))
}
