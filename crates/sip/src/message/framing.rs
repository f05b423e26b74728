//! Messages in a stream (RFC 3261 §18.3): found by the empty line after the header and by Content-Length, which a
//! stream must have. Bytes may come in any pieces; CRLF between messages is a keep-alive (RFC 5626 §3.5.1). After an
//! error the place where the next message begins is unknown, so the stream must be closed. Of a message that is too long
//! the header is given before that, so that its sender is told (413).

use std::fmt;

use super::{Index, MAX_MESSAGE, line_at, skip_line_ends};

/// The length of CRLFCRLF.
const PING: usize = 4;

/// Cuts a stream into whole messages.
///
/// Holds back at most one message of 65,535 bytes and what the last push brought beyond it, whatever Content-Length
/// claims.
#[derive(Debug, Default)]
pub struct StreamFramer {
    held: Vec<u8>,
    /// How far the end of the header has been looked for already, so that slow senders cost linear time.
    searched: usize,
    /// How long the message is, once its header has come; kept so that a slow body costs linear time too.
    total: Option<usize>,
    /// The CR and LF since the last message.
    line_ends: usize,
    failed: Option<FramingError>,
}

/// Why a stream can no longer be cut into messages. The connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// A message is longer than 65,535 bytes, or says it will be.
    TooLarge,
    /// The header is no SIP header.
    Header,
    /// Content-Length is missing, repeated or no number.
    ContentLength,
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the message is too large",
            Self::Header => "this is no SIP header",
            Self::ContentLength => "Content-Length is missing or bad",
        })
    }
}

impl std::error::Error for FramingError {}

impl StreamFramer {
    /// An empty stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what the stream brought. Read pieces should be small (some KiB): all of it is held until
    /// [`next_message`](Self::next_message) has taken it out.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.held.extend_from_slice(bytes);
        }
    }

    /// Whether a message has begun and is not complete.
    pub fn is_partial(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether the peer has asked since the last call if we are there: CRLFCRLF between messages, to be answered by CRLF
    /// (RFC 5626 §4.4.1). Told after [`next_message`](Self::next_message) has said `None`.
    pub fn take_ping(&mut self) -> bool {
        let asked = self.line_ends >= PING;
        self.line_ends %= PING;
        asked
    }

    /// The next whole message, or the header of one that is too long; `None` until more bytes come. An error repeats for ever.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>, FramingError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let found = self.cut();
        self.failed = self.failed.or(found.as_ref().err().copied());
        if self.failed.is_some() {
            self.held = Vec::new();
        }
        found
    }

    fn cut(&mut self) -> Result<Option<Vec<u8>>, FramingError> {
        let total = match self.total {
            Some(total) => total,
            None => match self.whole_length()? {
                Some(total) => total,
                None => return Ok(None),
            },
        };
        self.total = Some(total);
        if self.held.len() < total {
            return Ok(None);
        }
        let rest = self.held.split_off(total);
        (self.searched, self.total, self.line_ends) = (0, None, 0);
        Ok(Some(std::mem::replace(&mut self.held, rest)))
    }

    /// How long the message is that has begun, once its header has come.
    fn whole_length(&mut self) -> Result<Option<usize>, FramingError> {
        if self.searched == 0 {
            let blank = skip_line_ends(&self.held);
            self.held.drain(..blank);
            self.line_ends = self.line_ends.saturating_add(blank);
        }
        let Some(end) = self.header_end() else {
            return if self.held.len() > MAX_MESSAGE { Err(FramingError::TooLarge) } else { Ok(None) };
        };
        match Self::message_length(&self.held, end)? {
            total if total > MAX_MESSAGE => {
                self.failed = Some(FramingError::TooLarge);
                Ok(Some(end))
            }
            total => Ok(Some(total)),
        }
    }

    /// Where the body begins, once the empty line has come.
    fn header_end(&mut self) -> Option<usize> {
        const END: &[u8] = b"\r\n\r\n";
        let rest = self.held.get(self.searched..)?;
        match rest.windows(END.len()).position(|window| window == END) {
            Some(at) => {
                self.searched += at;
                Some(self.searched + END.len())
            }
            None => {
                self.searched = self.held.len().saturating_sub(END.len() - 1);
                None
            }
        }
    }

    fn message_length(held: &[u8], header_end: usize) -> Result<usize, FramingError> {
        let header = held.get(..header_end).ok_or(FramingError::Header)?;
        let line = line_at(header, 0).ok().flatten().ok_or(FramingError::Header)?;
        let index = Index::of(header, line.end + 2).map_err(|_| FramingError::Header)?;
        let lengths = index.fields.iter().filter(|field| field.name == super::Name::ContentLength).count();
        match index.content_length(header) {
            Ok(Some(length)) if lengths == 1 => {
                header_end.checked_add(length).ok_or(FramingError::ContentLength)
            }
            _ => Err(FramingError::ContentLength),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length_line: &str, body: &str) -> String {
        format!("INFO sip:a@b SIP/2.0\r\nCSeq: 1 INFO\r\n{length_line}\r\n\r\n{body}")
    }

    fn all(framer: &mut StreamFramer) -> Vec<String> {
        std::iter::from_fn(|| framer.next_message().unwrap()).map(|m| String::from_utf8(m).unwrap()).collect()
    }

    #[test]
    fn joined_and_split_messages() {
        let one = message("Content-Length: 3", "abc");
        let two = message("l : 0", "");
        let three = message("CONTENT-LENGTH:\r\n  2", "de");
        let stream = format!("\r\n\r\n{one}\r\n{two}\r\n\r\n{three}");
        let expected = [one, two, three];

        let mut framer = StreamFramer::new();
        framer.push(stream.as_bytes());
        assert_eq!(all(&mut framer), expected);

        let mut framer = StreamFramer::new();
        let mut found = Vec::new();
        for byte in stream.bytes() {
            framer.push(&[byte]);
            found.extend(all(&mut framer));
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn a_ping_is_two_line_ends_between_messages() {
        let mut framer = StreamFramer::new();
        let mut asked = |bytes: &str| {
            framer.push(bytes.as_bytes());
            while framer.next_message().unwrap().is_some() {}
            framer.take_ping()
        };
        assert!(asked("\r\n\r\n"));
        assert!(!asked("\r\n"));
        assert!(asked("\r\n"), "in two pieces");
        assert!(!asked(&message("l: 0", "")), "the end of a header is none");
        assert!(!asked("\r\n"), "nor is what the message before it has left");
        assert!(asked(&format!("{}\r\n\r\n", message("l: 0", ""))));
    }

    #[test]
    fn a_message_that_is_too_long_is_a_header_and_an_error() {
        let header = message("Content-Length: 65536", "");
        let mut framer = StreamFramer::new();
        framer.push(format!("{header}abc").as_bytes());
        assert_eq!(framer.next_message(), Ok(Some(header.into_bytes())));
        framer.push(message("l: 0", "").as_bytes());
        assert_eq!(framer.next_message(), Err(FramingError::TooLarge));
        assert!(!framer.is_partial());
    }

    #[test]
    fn errors_close() {
        for (header, error) in [
            (message("X: y", ""), FramingError::ContentLength),
            (message("Content-Length: -1", ""), FramingError::ContentLength),
            (message("Content-Length: 1\r\nl: 1", "a"), FramingError::ContentLength),
            (message("Content-Length: 99999999999999999999", ""), FramingError::ContentLength),
            ("GET /\n\r\n\r\n".to_owned(), FramingError::Header),
            ("a".repeat(MAX_MESSAGE + 1), FramingError::TooLarge),
        ] {
            let mut framer = StreamFramer::new();
            framer.push(header.as_bytes());
            assert_eq!(framer.next_message(), Err(error), "{header:.60}");
            framer.push(message("l: 0", "").as_bytes());
            assert_eq!(framer.next_message(), Err(error));
        }
    }
}
