//! Damage to files: flipped bits, other bytes, missing ends, missing files.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::files;

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip { at: u64, bit: u8 },
    Zero { at: u64, len: u64 },
    Noise { at: u64, len: u64 },
    Truncate { at: u64 },
    Delete,
}

impl Harm {
    fn choose(rng: &mut fastrand::Rng, len: u64) -> Self {
        let at = rng.u64(..len.max(1));
        match rng.u8(..10) {
            0..5 => Self::Flip { at, bit: rng.u8(..8) },
            5 => Self::Zero { at: at / 512 * 512, len: 512 },
            6 => Self::Noise { at: at / 4096 * 4096, len: 4096 },
            7 => Self::Truncate { at },
            8 => Self::Truncate { at: at / 4096 * 4096 },
            _ => Self::Delete,
        }
    }

    fn inflict(self, file: &Path, rng: &mut fastrand::Rng) {
        let mut bytes = fs::read(file).expect("read a file");
        let place = |at: u64, len: u64| {
            let at = usize::try_from(at).expect("small");
            at..(at + usize::try_from(len).expect("small")).min(bytes.len())
        };
        match self {
            Self::Delete => return fs::remove_file(file).expect("delete a file"),
            Self::Flip { at, bit } => {
                let place = place(at, 1);
                bytes[place].iter_mut().for_each(|byte| *byte ^= 1 << bit);
            }
            Self::Zero { at, len } => {
                let place = place(at, len);
                bytes[place].fill(0);
            }
            Self::Noise { at, len } => {
                let place = place(at, len);
                rng.fill(&mut bytes[place]);
            }
            Self::Truncate { at } => bytes.truncate(usize::try_from(at).expect("small")),
        }
        fs::write(file, bytes).expect("write a file");
    }
}

/// What was done to which file.
#[derive(Debug)]
pub struct Hurt {
    /// Below the data directory.
    file: PathBuf,
    bytes: u64,
    harm: Harm,
}

impl fmt::Display for Hurt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes) {:?}", self.file.display(), self.bytes, self.harm)
    }
}

/// Damages one of the files below a data directory; `weight` says how often which of them is hit,
/// by its path there. What is empty can only be deleted, and is hit least.
pub fn hurt(data: &Path, weight: impl Fn(&Path) -> u64, rng: &mut fastrand::Rng) -> Hurt {
    let mut all: Vec<(PathBuf, u64, u64)> = files::contents(data)
        .into_iter()
        .map(|(path, bytes)| {
            let path = path.strip_prefix(data).expect("below the data").to_owned();
            let weight = if bytes.is_empty() { 1 } else { weight(&path) };
            (path, bytes.len() as u64, weight)
        })
        .collect();
    all.sort();
    let weights: u64 = all.iter().map(|(_, _, weight)| weight).sum();
    let mut at = rng.u64(..weights);
    let hit = all.into_iter().find(|(_, _, weight)| {
        let hit = at < *weight;
        at = at.saturating_sub(*weight);
        hit
    });
    let (file, bytes, _) = hit.expect("the weights add up");
    let harm = Harm::choose(rng, bytes);
    harm.inflict(&data.join(&file), rng);
    Hurt { file, bytes, harm }
}
