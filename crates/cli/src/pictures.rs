//! Which pictures the command line names, read one ahead of the one being explained.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};

use anyhow::{Result, anyhow};
use introspective_data::{Picture, decode, find_pictures, read};
use introspective_network::embedded;

use crate::output;

/// Where results go depends on whether one picture or several were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Images {
    /// None was named: the embedded photograph.
    Sample,
    /// One file.
    One(PathBuf),
    /// Several, or a folder.
    Many(Vec<PathBuf>),
}

impl Images {
    /// What the command line's paths mean.
    ///
    /// # Errors
    /// A folder cannot be listed or has no pictures.
    pub fn find(inputs: &[PathBuf]) -> Result<Self> {
        Ok(match inputs {
            [] => Self::Sample,
            [only] if !only.is_dir() => Self::One(only.clone()),
            _ => Self::Many(find_pictures(inputs)?),
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Sample | Self::One(_) => 1,
            Self::Many(paths) => paths.len(),
        }
    }

    /// Starts reading them in order in a thread of its own: the next one is decoded
    /// while another is explained. So decoding costs no time, and memory does not grow.
    pub fn read_ahead(&self) -> ReadAhead {
        let (sender, receiver) = sync_channel(0);
        let images = self.clone();
        std::thread::spawn(move || {
            let send = |name: String, picture: &dyn Fn(&str) -> Result<Picture>| {
                let picture = output::without_panics(|| picture(&name))
                    .unwrap_or_else(|panic| Err(anyhow!(panic)));
                // whoever explains may have stopped with an error
                let _ = sender.send((name, picture));
            };
            match images {
                Self::Sample => send(format!("embedded:{}", embedded::SAMPLE_NAME), &|name| {
                    Ok(decode(embedded::sample_photograph(), name)?)
                }),
                Self::One(path) => send(path.display().to_string(), &|_| Ok(read(&path)?)),
                Self::Many(paths) => {
                    for path in paths {
                        send(path.display().to_string(), &|_| Ok(read(&path)?));
                    }
                }
            }
        });
        ReadAhead { receiver }
    }
}

/// Names and pictures, in order.
pub struct ReadAhead {
    receiver: Receiver<(String, Result<Picture>)>,
}

impl Iterator for ReadAhead {
    type Item = (String, Result<Picture>);

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.recv().ok()
    }
}
