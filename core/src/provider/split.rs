//! CBOR with cuts: the message secrets of a group as many small values.
//!
//! openmls writes the secrets of all kept epochs as one value with every message, though a message
//! changes one ratchet of it. This serializer writes what `ciborium` writes, but cuts the vectors of
//! each secret tree into blocks, and the members of each past epoch off: each piece is a row of its
//! own, and what did not change is not written again. Put together, the pieces are the very CBOR
//! value, so reading knows nothing of the shape of openmls' structs. Were that shape another one,
//! there would be fewer cuts and longer rows.
//!
//! What is left, the skeleton, begins with [`SKELETON`] and says in order what the value is made of:
//!
//! | record | content |
//! |---|---|
//! | 0 | u32 length, bytes of the value |
//! | 1 | 8 bytes: the tree to which the next records belong |
//! | 2 | array, u32 first block, u32 count: that many blocks |
//! | 3 | u32 count: that many nulls |
//! | 4 | the members of the epoch |

use std::collections::BTreeMap;

use serde::ser::{self, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

mod compound;
#[cfg(test)]
mod tests;

/// First byte of a skeleton; a plain value begins with that of a CBOR map.
const SKELETON: u8 = 0x01;

const PLAIN: u8 = 0;
const TREE: u8 = 1;
const BLOCKS: u8 = 2;
const NULLS: u8 = 3;
const LEAVES: u8 = 4;

/// CBOR null.
const NULL: u8 = 0xf6;

/// What the rows of the pieces begin with.
pub(super) const PREFIX: &[u8] = b"ms/";

/// First 8 bytes of the SHA-256 of the encoded group context of an epoch: its secret tree keeps the
/// name when the epoch becomes a past one.
type TreeName = [u8; 8];

/// A piece; `None`: it is stored already, and never changes.
type Piece = Option<Zeroizing<Vec<u8>>>;

/// A value, cut.
pub(super) struct Split {
    pub(super) skeleton: Zeroizing<Vec<u8>>,
    /// By key of the row.
    pub(super) pieces: BTreeMap<Vec<u8>, Piece>,
}

/// A value that this serializer does not write.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unsupported(String);

impl ser::Error for Unsupported {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Cuts a value. `known` says whether a row is there.
pub(super) fn split(
    value: &impl Serialize,
    known: &dyn Fn(&[u8]) -> bool,
) -> Result<Split, Unsupported> {
    let mut splitter = Splitter {
        known,
        out: Zeroizing::new(Vec::new()),
        skeleton: Zeroizing::new(vec![SKELETON]),
        pieces: BTreeMap::new(),
        tree: None,
        cut: None,
    };
    value.serialize(&mut splitter)?;
    splitter.end_plain();
    Ok(Split { skeleton: splitter.skeleton, pieces: splitter.pieces })
}

/// Whether a stored value is a skeleton.
pub(super) fn is_skeleton(value: &[u8]) -> bool {
    value.first() == Some(&SKELETON)
}

/// Puts a value together. `None`: a row is missing or the skeleton is damaged.
pub(super) fn join<'a>(
    skeleton: &[u8],
    row: impl Fn(&[u8]) -> Option<&'a [u8]>,
) -> Option<Zeroizing<Vec<u8>>> {
    let mut rest = skeleton.strip_prefix(&[SKELETON])?;
    let mut value = Zeroizing::new(Vec::new());
    let mut tree = TreeName::default();
    while let Some(record) = rest.split_off_first() {
        match *record {
            PLAIN => {
                let length = number(&mut rest)?;
                value.extend_from_slice(rest.split_off(..length as usize)?);
            }
            TREE => tree = rest.split_off(..tree.len())?.try_into().ok()?,
            BLOCKS => {
                let array = *rest.split_off_first()?;
                let first = number(&mut rest)?;
                for block in first..first.checked_add(number(&mut rest)?)? {
                    value.extend_from_slice(row(&block_key(tree, array, block))?);
                }
            }
            NULLS => {
                let nulls = number(&mut rest)? as usize;
                value.extend(std::iter::repeat_n(NULL, nulls));
            }
            LEAVES => value.extend_from_slice(row(&leaves_key(tree))?),
            _ => return None,
        }
    }
    Some(value)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(rest.split_off(..4)?.try_into().ok()?))
}

fn block_key(tree: TreeName, array: u8, block: u32) -> Vec<u8> {
    [PREFIX, &tree, &[array], &block.to_be_bytes()].concat()
}

fn leaves_key(tree: TreeName) -> Vec<u8> {
    [PREFIX, &tree, b"m"].concat()
}

/// A vector of a secret tree.
#[derive(Debug, Clone, Copy)]
struct Array {
    /// In the key of its rows.
    name: u8,
    /// Elements of a block. A row of about a kilobyte still lies in one page of the database.
    block: usize,
}

impl Array {
    fn of(field: &str) -> Option<Self> {
        match field {
            "leaf_nodes" => Some(Self { name: b'l', block: 16 }),
            "parent_nodes" => Some(Self { name: b'p', block: 8 }),
            "handshake_sender_ratchets" => Some(Self { name: b'h', block: 4 }),
            "application_sender_ratchets" => Some(Self { name: b'a', block: 4 }),
            _ => None,
        }
    }
}

/// The serializer.
struct Splitter<'a> {
    known: &'a dyn Fn(&[u8]) -> bool,
    /// The value since the last cut.
    out: Zeroizing<Vec<u8>>,
    skeleton: Zeroizing<Vec<u8>>,
    pieces: BTreeMap<Vec<u8>, Piece>,
    /// The tree that is being written.
    tree: Option<TreeName>,
    /// The next sequence is to be cut.
    cut: Option<(TreeName, Array)>,
}

impl Splitter<'_> {
    /// The head of a CBOR item.
    fn head(&mut self, major: u8, number: u64) {
        let major = major << 5;
        let bytes = number.to_be_bytes();
        match number {
            0..=23 => self.out.push(major | bytes[7]),
            24..=0xff => self.out.extend_from_slice(&[major | 0x18, bytes[7]]),
            0x100..=0xffff => {
                self.out.push(major | 0x19);
                self.out.extend_from_slice(&bytes[6..]);
            }
            0x1_0000..=0xffff_ffff => {
                self.out.push(major | 0x1a);
                self.out.extend_from_slice(&bytes[4..]);
            }
            _ => {
                self.out.push(major | 0x1b);
                self.out.extend_from_slice(&bytes);
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.head(3, text.len() as u64);
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Moves what was written since the last cut into the skeleton.
    fn end_plain(&mut self) {
        if !self.out.is_empty() {
            self.record(PLAIN, self.out.len());
            self.skeleton.append(&mut self.out);
        }
    }

    fn record(&mut self, record: u8, count: usize) {
        self.skeleton.push(record);
        // No value of ours comes near 4 GiB; a shortened one would not read.
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.skeleton.extend_from_slice(&count.to_be_bytes());
    }

    fn name_tree(&mut self, tree: TreeName) {
        self.skeleton.push(TREE);
        self.skeleton.extend_from_slice(&tree);
    }

    fn piece(&mut self, key: Vec<u8>, piece: Piece) -> Result<(), Unsupported> {
        match self.pieces.insert(key, piece) {
            None => Ok(()),
            Some(_) => Err(Unsupported("two secret trees of one name".into())),
        }
    }

    /// The encoded group context of an epoch gives its tree a name.
    fn context(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Unsupported> {
        let start = self.out.len();
        value.serialize(&mut *self)?;
        let digest = Sha256::digest(&self.out[start..]);
        self.tree = digest[..8].try_into().ok();
        Ok(())
    }

    /// One vector of a secret tree.
    fn array(
        &mut self,
        array: Array,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), Unsupported> {
        self.cut = self.tree.map(|tree| (tree, array));
        value.serialize(&mut *self)?;
        self.cut = None;
        Ok(())
    }

    /// The members of a past epoch: they do not change.
    fn leaves(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Unsupported> {
        let Some(tree) = self.tree else {
            return value.serialize(self);
        };
        self.end_plain();
        let key = leaves_key(tree);
        let piece = if (self.known)(&key) {
            None
        } else {
            value.serialize(&mut *self)?;
            Some(std::mem::take(&mut self.out))
        };
        self.piece(key, piece)?;
        self.name_tree(tree);
        self.skeleton.push(LEAVES);
        Ok(())
    }
}

/// The blocks of a vector, while it is written.
struct Blocks {
    tree: TreeName,
    array: Array,
    /// Elements that were written.
    elements: usize,
    /// Nulls since the last block that has none but nulls.
    nulls: usize,
    /// First block and number of those since the last nulls.
    run: (u32, u32),
}

impl Blocks {
    fn begin(to: &mut Splitter<'_>, tree: TreeName, array: Array) -> Self {
        to.end_plain();
        to.name_tree(tree);
        Self { tree, array, elements: 0, nulls: 0, run: (0, 0) }
    }

    fn element(
        &mut self,
        to: &mut Splitter<'_>,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), Unsupported> {
        value.serialize(&mut *to)?;
        self.elements += 1;
        if self.elements.is_multiple_of(self.array.block) { self.block(to) } else { Ok(()) }
    }

    fn block(&mut self, to: &mut Splitter<'_>) -> Result<(), Unsupported> {
        let block = std::mem::take(&mut to.out);
        if block.iter().all(|byte| *byte == NULL) {
            self.end_run(to);
            self.nulls += block.len();
            return Ok(());
        }
        self.end_nulls(to);
        let number = u32::try_from((self.elements - 1) / self.array.block).unwrap_or(u32::MAX);
        if self.run.1 == 0 {
            self.run.0 = number;
        }
        self.run.1 += 1;
        to.piece(block_key(self.tree, self.array.name, number), Some(block))
    }

    fn end(mut self, to: &mut Splitter<'_>) -> Result<(), Unsupported> {
        if !self.elements.is_multiple_of(self.array.block) {
            self.block(to)?;
        }
        self.end_run(to);
        self.end_nulls(to);
        Ok(())
    }

    fn end_run(&mut self, to: &mut Splitter<'_>) {
        let (first, count) = std::mem::take(&mut self.run);
        if count > 0 {
            to.skeleton.extend_from_slice(&[BLOCKS, self.array.name]);
            to.skeleton.extend_from_slice(&first.to_be_bytes());
            to.skeleton.extend_from_slice(&count.to_be_bytes());
        }
    }

    fn end_nulls(&mut self, to: &mut Splitter<'_>) {
        let nulls = std::mem::take(&mut self.nulls);
        if nulls > 0 {
            to.record(NULLS, nulls);
        }
    }
}
