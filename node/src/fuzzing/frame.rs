//! The frame assembler alone: bytes of a stream, cut into chunks.

use bytes::Bytes;
use capnp::message::{ReaderOptions, ReaderSegments};
use quicproquo_transport::{Assembler, Budget, Frame, FrameError, FrameLimit, MAX_SEGMENTS};

/// Largest frame, table included.
const LARGEST: usize = 8 * 1024;
/// Largest frame that needs no loan, where there are loans.
const SMALL: usize = 256;
/// What the frames of one stream may borrow.
const BUDGET: usize = 12 * 1024;
/// Bytes that a frame in arrival takes at first.
const FIRST: usize = 4096;

/// What came out of a stream: whole frames, the error that ended it, whether it ended inside one.
struct Outcome {
    frames: Vec<Frame>,
    error: Option<FrameError>,
    inside: bool,
}

/// Puts a stream together. `judge` sees the bytes of whole frames and of the one in arrival.
fn assemble<'a>(
    chunks: impl Iterator<Item = &'a [u8]>,
    limit: &FrameLimit,
    judge: impl Fn(usize, usize),
) -> Outcome {
    let mut assembler = Assembler::default();
    let mut frames = Vec::new();
    let (mut whole, mut arrived) = (0, 0);
    for chunk in chunks {
        let mut chunk = Bytes::copy_from_slice(chunk);
        loop {
            let before = chunk.len();
            let pushed = assembler.push(&mut chunk, limit);
            arrived += before - chunk.len();
            match pushed {
                Err(error) => return Outcome { frames, error: Some(error), inside: true },
                Ok(Some(frame)) => {
                    assert!(!assembler.is_inside() && !assembler.is_lent());
                    frames.push(frame);
                    whole += arrived;
                    arrived = 0;
                }
                Ok(None) => {
                    assert!(chunk.is_empty(), "all of it is taken");
                    break;
                }
            }
            judge(whole, arrived);
        }
        judge(whole, arrived);
        assert_eq!(assembler.is_inside(), arrived > 0);
    }
    Outcome { frames, error: None, inside: assembler.is_inside() }
}

fn segments(frame: &impl ReaderSegments) -> Vec<Vec<u8>> {
    let all = (0..).map_while(|index| frame.get_segment(index).map(<[u8]>::to_vec));
    all.collect()
}

/// The same by capnp's own reader, which takes one segment less at most.
fn reference(stream: &mut &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut options = ReaderOptions::new();
    options.traversal_limit_in_words(None);
    let message = capnp::serialize::read_message(stream, options).ok()?;
    Some(segments(&message.into_segments()))
}

/// The first two bytes say how the rest, a stream, is cut. However that is, the same frames and
/// the same error come out, the frames are those that capnp's own reader sees, they can be read in
/// bounds, and memory is taken as bytes arrive and given back.
pub fn frame(data: &[u8]) {
    let Some(([first, second], stream)) = data.split_first_chunk() else {
        return;
    };
    let sizes = [usize::from(first % 64) + 1, usize::from(*second) * 16 + 1];
    let plain = FrameLimit::plain(LARGEST);
    let whole = assemble(std::iter::once(stream), &plain, |_, _| {});
    let cut = assemble(Cut { rest: stream, sizes }, &plain, |_, _| {});
    let all: Vec<_> = whole.frames.iter().map(segments).collect();
    assert_eq!(cut.frames.iter().map(segments).collect::<Vec<_>>(), all);
    assert_eq!((cut.error, cut.inside), (whole.error, whole.inside));

    let mut rest = stream;
    for frame in &all {
        let Some(read) = reference(&mut rest) else {
            assert_eq!(frame.len(), MAX_SEGMENTS);
            break;
        };
        assert_eq!(read, *frame);
    }

    let budget = Budget::new(BUDGET);
    let lent = FrameLimit { bytes: SMALL, lent: Some((LARGEST, budget.clone())) };
    let borrowed = assemble(Cut { rest: stream, sizes }, &lent, |whole, arrived| {
        let taken = BUDGET - budget.left();
        assert!(taken <= whole + (2 * arrived + 16).max(FIRST), "{taken} for {arrived} bytes");
    });
    assert!(
        borrowed.frames.iter().map(segments).eq(all.iter().take(borrowed.frames.len()).cloned())
    );
    if borrowed.error != Some(FrameError::NoMemory) {
        assert_eq!((borrowed.error, borrowed.frames.len()), (whole.error, all.len()));
    }
    for frame in borrowed.frames {
        let message = frame.into_reader();
        let root = message.get_root::<capnp::any_pointer::Reader<'_>>();
        let _ = root.and_then(|root| root.target_size());
    }
    assert_eq!(budget.left(), BUDGET, "everything is given back");
}

/// A stream in chunks of two sizes in turn.
struct Cut<'a> {
    rest: &'a [u8],
    sizes: [usize; 2],
}

impl<'a> Iterator for Cut<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.sizes.swap(0, 1);
        let (chunk, rest) = self.rest.split_at(self.sizes[1].min(self.rest.len()));
        self.rest = rest;
        Some(chunk)
    }
}
