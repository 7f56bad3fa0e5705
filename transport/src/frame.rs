//! Cap'n Proto's unpacked framing, byte by byte as it arrives
//! (capnproto.org/encoding.html, "Serialization over a stream").
//!
//! Sizes are judged before memory is taken, and memory is taken as bytes arrive: a frame that
//! announces 64 MiB and sends nothing costs nothing.

use bytes::{Buf, Bytes};
use capnp::Word;
use capnp::message::{Reader, ReaderOptions, ReaderSegments};

use crate::budget::{Budget, Loan};

/// Most segments of a frame, as in the C++ and Rust libraries.
pub const MAX_SEGMENTS: usize = 512;

const WORD: usize = size_of::<Word>();
const ZERO: Word = capnp::word(0, 0, 0, 0, 0, 0, 0, 0);
/// Words that a frame in arrival takes at first, when it has as many.
const FIRST_WORDS: usize = 512;
/// How deep structures may be nested.
const NESTING: i32 = 16;
/// How often, on average, a reader may look at each word of a frame.
const TRAVERSALS: usize = 4;
/// Words that may be looked at in any frame, however small.
const LEAST_TRAVERSAL: usize = 1024;

/// A frame is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// More segments than [`MAX_SEGMENTS`].
    #[error("a frame of {0} segments; the limit is {MAX_SEGMENTS}")]
    TooManySegments(u64),
    /// Larger than the limit.
    #[error("a frame of {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Announced size.
        bytes: u64,
        /// Allowed size.
        limit: usize,
    },
    /// The shared budget for large frames is used up.
    #[error("too many large frames of unauthenticated connections at once; try again")]
    NoMemory,
}

/// How large frames may be, table included.
#[derive(Debug, Clone)]
pub struct FrameLimit {
    /// Bytes that any frame may have.
    pub bytes: usize,
    /// Bytes that a frame may have when its memory comes out of a shared budget.
    pub lent: Option<(usize, Budget)>,
}

impl FrameLimit {
    /// The same limit for every frame.
    pub const fn plain(bytes: usize) -> Self {
        Self { bytes, lent: None }
    }

    /// Whether and from where a frame of `bytes` gets its memory.
    fn admit(&self, bytes: u64) -> Result<Option<Loan>, FrameError> {
        let fits = |limit: usize| bytes <= limit as u64;
        match &self.lent {
            _ if fits(self.bytes) => Ok(None),
            Some((limit, budget)) if fits(*limit) => Ok(Some(budget.loan())),
            Some((limit, _)) => Err(FrameError::TooLarge { bytes, limit: *limit }),
            None => Err(FrameError::TooLarge { bytes, limit: self.bytes }),
        }
    }
}

/// A whole frame.
#[derive(Debug)]
pub struct Frame {
    words: Vec<Word>,
    /// Where segments end, in words; empty: one segment.
    ends: Vec<usize>,
    loan: Option<Loan>,
}

impl Frame {
    /// Reads the frame, each word a few times at most, structures nested 16 deep at most.
    pub fn into_reader(self) -> Reader<Self> {
        let words = TRAVERSALS * self.words.len() + LEAST_TRAVERSAL;
        let mut options = ReaderOptions::new();
        options.traversal_limit_in_words(Some(words)).nesting_limit(NESTING);
        Reader::new(self, options)
    }
}

impl ReaderSegments for Frame {
    fn get_segment(&self, index: u32) -> Option<&[u8]> {
        let index = index as usize;
        if self.ends.is_empty() {
            return (index == 0).then(|| Word::words_to_bytes(&self.words));
        }
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(Word::words_to_bytes(&self.words[start..end]))
    }

    fn len(&self) -> usize {
        self.ends.len().max(1)
    }
}

/// Puts frames together from chunks of any size.
#[derive(Debug)]
pub struct Assembler(State);

#[derive(Debug)]
enum State {
    /// Bytes of a segment table that is not complete.
    Table(Vec<u8>),
    Body(Body),
}

#[derive(Debug)]
struct Body {
    frame: Frame,
    /// Words of all segments.
    total: usize,
    /// Bytes that have arrived.
    filled: usize,
}

impl Default for Assembler {
    fn default() -> Self {
        Self(State::Table(Vec::new()))
    }
}

impl Assembler {
    /// Takes from `input` what belongs to the frame in arrival. `Some`: the frame is complete and
    /// the rest of `input` belongs to later ones. `None`: all of `input` was taken.
    pub fn push(
        &mut self,
        input: &mut Bytes,
        limit: &FrameLimit,
    ) -> Result<Option<Frame>, FrameError> {
        if let State::Table(table) = &mut self.0 {
            let Some(body) = Body::begin(table, input, limit)? else {
                return Ok(None);
            };
            self.0 = State::Body(body);
        }
        let State::Body(body) = &mut self.0 else {
            return Ok(None);
        };
        if !body.fill(input)? {
            return Ok(None);
        }
        match std::mem::replace(&mut self.0, State::Table(Vec::new())) {
            State::Body(body) => Ok(Some(body.frame)),
            State::Table(_) => Ok(None),
        }
    }

    /// Whether part of a frame has arrived.
    pub fn is_inside(&self) -> bool {
        match &self.0 {
            State::Table(table) => !table.is_empty(),
            State::Body(_) => true,
        }
    }

    /// Whether the frame in arrival takes memory out of a shared budget.
    pub fn is_lent(&self) -> bool {
        matches!(&self.0, State::Body(body) if body.frame.loan.is_some())
    }
}

impl Body {
    /// Reads the segment table, which `table` keeps until it is complete.
    fn begin(
        table: &mut Vec<u8>,
        input: &mut Bytes,
        limit: &FrameLimit,
    ) -> Result<Option<Self>, FrameError> {
        while table.len() < WORD || table.len() < table_bytes(table)? {
            let known = if table.len() < WORD { WORD } else { table_bytes(table)? };
            let take = (known - table.len()).min(input.len());
            if take == 0 {
                return Ok(None);
            }
            table.extend_from_slice(&input[..take]);
            input.advance(take);
        }
        let segments = segments(table)?;
        let sizes = table[4..].chunks_exact(4).take(segments).map(|size| number(size) as usize);
        let mut ends: Vec<usize> = Vec::new();
        let mut total: usize = 0;
        for size in sizes {
            total = total.saturating_add(size);
            if segments > 1 {
                ends.push(total);
            }
        }
        let bytes = (total as u64).saturating_mul(WORD as u64).saturating_add(table.len() as u64);
        let loan = limit.admit(bytes)?;
        table.clear();
        Ok(Some(Self { frame: Frame { words: Vec::new(), ends, loan }, total, filled: 0 }))
    }

    /// True: the frame is complete.
    fn fill(&mut self, input: &mut Bytes) -> Result<bool, FrameError> {
        let take = (self.total * WORD - self.filled).min(input.len());
        let words = &mut self.frame.words;
        let needed = (self.filled + take).div_ceil(WORD);
        if needed > words.len() {
            let target = needed.max(2 * words.len()).max(FIRST_WORDS).min(self.total);
            if self.frame.loan.as_mut().is_some_and(|loan| !loan.grow(target * WORD)) {
                return Err(FrameError::NoMemory);
            }
            words.reserve_exact(target - words.len());
            words.resize(target, ZERO);
        }
        let end = self.filled + take;
        Word::words_to_bytes_mut(words)[self.filled..end].copy_from_slice(&input[..take]);
        input.advance(take);
        self.filled = end;
        Ok(self.filled == self.total * WORD)
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn segments(table: &[u8]) -> Result<usize, FrameError> {
    let segments = u64::from(number(&table[..4])) + 1;
    match usize::try_from(segments) {
        Ok(segments) if segments <= MAX_SEGMENTS => Ok(segments),
        _ => Err(FrameError::TooManySegments(segments)),
    }
}

/// Bytes of a table, of which the first word is there: a count and as many sizes, then padding.
fn table_bytes(table: &[u8]) -> Result<usize, FrameError> {
    Ok((4 * (1 + segments(table)?)).next_multiple_of(WORD))
}

#[cfg(test)]
mod tests;
