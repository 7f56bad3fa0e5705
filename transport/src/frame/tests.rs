//! Frames in pieces, and frames that lie.

use capnp::message::{Builder, HeapAllocator};

use super::*;

const LIMIT: FrameLimit = FrameLimit::plain(64 * 1024);

fn encoded(first_segment: u32, text: &str) -> Vec<u8> {
    let allocator = HeapAllocator::new().first_segment_words(first_segment);
    let mut message = Builder::new(allocator);
    message.set_root::<capnp::text::Owned>(text).unwrap();
    let mut bytes = Vec::new();
    capnp::serialize::write_message(&mut bytes, &message).unwrap();
    bytes
}

fn text(frame: Frame) -> String {
    let reader = frame.into_reader();
    reader.get_root::<capnp::text::Reader<'_>>().unwrap().to_string().unwrap()
}

/// Feeds all of it in chunks of `size`.
fn assemble(bytes: &[u8], size: usize, limit: &FrameLimit) -> Result<Vec<Frame>, FrameError> {
    let mut assembler = Assembler::default();
    let mut frames = Vec::new();
    for chunk in bytes.chunks(size) {
        let mut chunk = Bytes::copy_from_slice(chunk);
        while let Some(frame) = assembler.push(&mut chunk, limit)? {
            frames.push(frame);
        }
        assert!(chunk.is_empty());
    }
    assert!(!assembler.is_inside());
    Ok(frames)
}

/// A segment table that announces `sizes` words.
fn table(sizes: &[u32]) -> Vec<u8> {
    let mut bytes = u32::try_from(sizes.len() - 1).unwrap().to_le_bytes().to_vec();
    bytes.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

#[test]
fn frames_are_the_same_in_chunks_of_any_size() {
    let long = "x".repeat(20_000);
    // A first segment of one word puts the text into a second one.
    let bytes = [encoded(1, "one"), encoded(64, "two"), encoded(1, &long)].concat();
    for size in [1, 2, 3, 7, 8, 9, 1000, bytes.len()] {
        let frames = assemble(&bytes, size, &LIMIT).unwrap();
        assert_eq!(frames.iter().map(ReaderSegments::len).collect::<Vec<_>>(), [2, 1, 2]);
        let texts: Vec<_> = frames.into_iter().map(text).collect();
        assert_eq!(texts, ["one", "two", &long]);
    }
}

#[test]
fn an_announced_size_is_refused_before_memory_is_taken() {
    let claim = table(&[8 * 1024 * 1024]);
    let refused = assemble(&claim, claim.len(), &LIMIT).unwrap_err();
    assert_eq!(refused, FrameError::TooLarge { bytes: (64 << 20) + 8, limit: LIMIT.bytes });
    // Sums that do not fit into 32 bits either.
    let claim = table(&[u32::MAX; 512]);
    let refused = assemble(&claim, claim.len(), &LIMIT).unwrap_err();
    assert!(matches!(refused, FrameError::TooLarge { .. }), "{refused}");
}

#[test]
fn an_allowed_size_takes_memory_only_as_bytes_arrive() {
    let limit = FrameLimit::plain(128 << 20);
    let mut assembler = Assembler::default();
    let mut bytes = Bytes::from(table(&[8 * 1024 * 1024]));
    assert!(assembler.push(&mut bytes, &limit).unwrap().is_none());
    let taken = |assembler: &Assembler| match &assembler.0 {
        State::Body(body) => body.frame.words.capacity() * WORD,
        State::Table(_) => 0,
    };
    assert_eq!(taken(&assembler), 0);
    let mut bytes = Bytes::from(vec![1; 100_000]);
    assert!(assembler.push(&mut bytes, &limit).unwrap().is_none());
    assert!(taken(&assembler) <= 200_000, "{}", taken(&assembler));
}

#[test]
fn the_number_of_segments_is_bounded() {
    let most = table(&[0; MAX_SEGMENTS]);
    assert_eq!(assemble(&most, 5, &LIMIT).unwrap()[0].len(), MAX_SEGMENTS);
    let more = table(&[0; MAX_SEGMENTS + 1]);
    let refused = assemble(&more[..8], 8, &LIMIT).unwrap_err();
    assert_eq!(refused, FrameError::TooManySegments(513));
    let refused = assemble(&[0xff; 8], 8, &LIMIT).unwrap_err();
    assert_eq!(refused, FrameError::TooManySegments(1 << 32));
}

#[test]
fn larger_frames_take_their_memory_from_the_budget_and_give_it_back() {
    let budget = Budget::new(300_000);
    let limit = FrameLimit { bytes: 1000, lent: Some((250_000, budget.clone())) };
    let large = encoded(64, &"x".repeat(200_000));

    let small = assemble(&encoded(64, "small"), 8, &limit).unwrap();
    assert_eq!(budget.left(), 300_000);
    let first = assemble(&large, 1000, &limit).unwrap();
    assert!(budget.left() < 100_000);
    assert_eq!(assemble(&large, 1000, &limit).unwrap_err(), FrameError::NoMemory);
    drop((small, first));
    assert_eq!(budget.left(), 300_000);
    // Half a frame gives its half back too.
    let mut assembler = Assembler::default();
    let mut half = Bytes::copy_from_slice(&large[..100_000]);
    assert!(assembler.push(&mut half, &limit).unwrap().is_none());
    assert!(assembler.is_lent() && budget.left() < 201_000);
    drop(assembler);
    assert_eq!(budget.left(), 300_000);

    let larger = encoded(64, &"x".repeat(260_000));
    let refused = assemble(&larger, 1000, &limit).unwrap_err();
    assert!(matches!(refused, FrameError::TooLarge { limit: 250_000, .. }), "{refused}");
}

#[test]
fn the_traversal_limit_grows_with_the_frame() {
    let text = "x".repeat(60_000);
    let frame = assemble(&encoded(8000, &text), 4096, &LIMIT).unwrap().remove(0);
    let reader = frame.into_reader();
    let mut looks = 0;
    while reader.get_root::<capnp::text::Reader<'_>>().is_ok() {
        looks += 1;
        assert!(looks < 100, "no traversal limit");
    }
    assert!(looks >= 4, "{looks}");
}
