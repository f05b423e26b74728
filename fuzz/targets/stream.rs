//! A stream in two different cuts: the pieces in which bytes arrive must not matter (RFC 3261 §18.3), and nothing
//! beyond one message may be held back (reliability P1, P7).

#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_sip::{FramingError, StreamFramer};

/// The longest message of a stream.
const MAX_MESSAGE: usize = 65_535;

/// Every message of the stream, and the error that ended it.
fn cut(stream: &[u8], sizes: impl Iterator<Item = usize>) -> (Vec<Vec<u8>>, Option<FramingError>) {
    let (mut framer, mut messages, mut rest) = (StreamFramer::new(), Vec::new(), stream);
    for size in sizes {
        let (piece, tail) = rest.split_at(size.clamp(1, rest.len().max(1)).min(rest.len()));
        rest = tail;
        framer.push(piece);
        loop {
            match framer.next_message() {
                Ok(Some(message)) => {
                    assert!(message.len() <= MAX_MESSAGE);
                    messages.push(message);
                }
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        if rest.is_empty() {
            break;
        }
    }
    (messages, None)
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, stream)) = data.split_first() else { return };
    let size = usize::from(first) + 1;
    let whole = cut(stream, std::iter::once(stream.len()));
    let pieces = cut(stream, std::iter::repeat(size));
    assert_eq!(whole, pieces, "in pieces of {size}");
});
