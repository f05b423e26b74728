//! Pages to packets.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::Head;
use super::page::{CAPTURE, CONTINUED, FIRST, HEADER, Header, LAST, MAX_OCTETS, NO_POSITION};
use crate::codec::opus::samples_in;

/// The most octets that are passed over in search of the next page, in one go: more than the longest page.
const MAX_LOST: usize = 4 * MAX_OCTETS;

/// The most octets of a packet of audio (RFC 7845 §6), and of tags that hold a picture.
const MAX_AUDIO: usize = 61_440;
const MAX_TAGS: usize = 16 << 20;

/// The most pages of tags and of other streams before the audio.
const MAX_PAGES_BEFORE: usize = 4096;

/// Why a file cannot be read.
#[derive(Debug)]
pub enum Error {
    /// It is no Ogg file, or its first stream is not Opus with one or two channels.
    Unsupported,
    /// It is damaged; says where.
    Malformed(&'static str),
    /// Reading failed.
    Io(io::Error),
}

/// A packet of audio, and which of its samples, at 48 kHz, are to be heard: `samples` after the first `skip`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// An Opus packet.
    pub packet: Vec<u8>,
    /// Samples not to be heard at its beginning.
    pub skip: usize,
    /// Samples to be heard.
    pub samples: usize,
}

/// Reads the first stream of a file. Others beside it are passed over, and what is behind its end is not read.
#[derive(Debug)]
pub struct Reader<R> {
    pages: Pages<R>,
    head: Head,
    serial: u32,
    /// Packets of the page read last.
    ready: VecDeque<Audio>,
    /// The beginning of a packet that goes on on the next page.
    partial: Option<Vec<u8>>,
    /// The number that the next page should have.
    number: u32,
    /// The position of the page before, once it is known.
    position: Option<u64>,
    /// Samples that are still to be left out at the beginning.
    skip: usize,
    ended: bool,
    /// Whether it ended by its last page.
    is_whole: bool,
}

impl<R: Read> Reader<R> {
    /// Reads head and tags.
    ///
    /// # Errors
    /// [`Error`] if there are none.
    pub fn new(source: R) -> Result<Self, Error> {
        let mut pages = Pages { source, buffer: Vec::new(), begun: false };
        let first = pages.next()?.ok_or(Error::Unsupported)?;
        let [packet] = first.packets.as_slice() else {
            return Err(Error::Unsupported);
        };
        let head =
            Head::parse(packet).filter(|_| first.header.flags & FIRST != 0).ok_or(Error::Unsupported)?;
        let mut reader = Self {
            pages,
            head,
            serial: first.header.serial,
            ready: VecDeque::new(),
            partial: None,
            number: first.header.number.wrapping_add(1),
            position: None,
            skip: usize::from(head.pre_skip),
            ended: false,
            is_whole: false,
        };
        reader.tags()?;
        Ok(reader)
    }

    /// What the file says of its stream.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Whether the page that says that it is the last one has been read.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The next packet of which something is to be heard or, for the decoder's sake, to be decoded; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Io`] if reading fails.
    pub fn next_packet(&mut self) -> Result<Option<Audio>, Error> {
        while self.ready.is_empty() && !self.ended {
            match self.pages.next()? {
                Some(page) if page.header.serial == self.serial => self.take(page),
                Some(_) => {}
                None => self.ended = true,
            }
        }
        Ok(self.ready.pop_front())
    }

    /// Passes over the tags, which have pages to themselves.
    fn tags(&mut self) -> Result<(), Error> {
        let mut length = 0;
        for _ in 0..MAX_PAGES_BEFORE {
            let page = self.pages.next()?.ok_or(Error::Malformed("ends before its audio"))?;
            if page.header.serial != self.serial {
                continue;
            }
            self.number = page.header.number.wrapping_add(1);
            length += page.packets.iter().chain(&page.rest).map(Vec::len).sum::<usize>();
            if length > MAX_TAGS {
                break;
            }
            if !page.packets.is_empty() {
                return Ok(());
            }
        }
        Err(Error::Malformed("tags without end"))
    }

    fn take(&mut self, page: Page) {
        let header = page.header;
        let mut packets = VecDeque::from(page.packets);
        let begun = self.partial.take().filter(|_| header.number == self.number);
        self.number = header.number.wrapping_add(1);
        let mut rest = page.rest;
        if header.flags & CONTINUED != 0 {
            // The rest of a packet whose beginning is lost is of no use.
            match (begun, packets.front_mut(), &mut rest) {
                (Some(begun), Some(first), _) => *first = [begun, std::mem::take(first)].concat(),
                (Some(begun), None, Some(rest)) => *rest = [begun, std::mem::take(rest)].concat(),
                (None, Some(_), _) => drop(packets.pop_front()),
                (None, None, rest) => *rest = None,
                (Some(_), None, None) => {}
            }
        }
        self.partial = rest.filter(|rest| rest.len() <= MAX_AUDIO);
        let lasting = packets.into_iter().filter_map(|packet| Some((samples_in(&packet)?, packet)));
        let lasting: Vec<_> = lasting.filter(|(_, packet)| packet.len() <= MAX_AUDIO).collect();
        self.ended = header.flags & LAST != 0;
        self.is_whole = self.ended;
        let total: usize = lasting.iter().map(|(samples, _)| samples).sum();
        // The last page's time may be before the end of its packets; that of any other is where they end.
        let begin = self.position.unwrap_or(0);
        let end = if self.ended && header.position != NO_POSITION { header.position } else { NO_POSITION };
        let mut left = usize::try_from(end.saturating_sub(begin)).unwrap_or(usize::MAX).min(total);
        if header.position != NO_POSITION {
            self.position = Some(header.position);
        }
        for (samples, packet) in lasting {
            let heard = samples.min(left);
            left -= heard;
            let skip = heard.min(self.skip);
            self.skip -= skip;
            self.ready.push_back(Audio { packet, skip, samples: heard - skip });
        }
    }
}

/// A page: the packets that end on it, and the beginning of one that does not.
struct Page {
    header: Header,
    packets: Vec<Vec<u8>>,
    rest: Option<Vec<u8>>,
}

/// The pages of all streams.
#[derive(Debug)]
struct Pages<R> {
    source: R,
    buffer: Vec<u8>,
    /// Whether a page has been found: the file is one of Ogg.
    begun: bool,
}

impl<R: Read> Pages<R> {
    /// The next whole page, `None` at the end of the file.
    fn next(&mut self) -> Result<Option<Page>, Error> {
        let mut lost = 0;
        loop {
            if !self.fill(HEADER)? {
                return Ok(None);
            }
            if let Some(page) = self.here()? {
                self.begun = true;
                return Ok(Some(page));
            }
            // A file begins with a page.
            if !self.begun {
                return Err(Error::Unsupported);
            }
            let next = self.buffer[1..].windows(CAPTURE.len()).position(|window| window == CAPTURE);
            let over = next.map_or(self.buffer.len() - CAPTURE.len() + 1, |next| next + 1);
            self.buffer.drain(..over);
            lost += over;
            if lost > MAX_LOST {
                return Ok(None);
            }
        }
    }

    /// The page that the buffer begins with, if it does.
    fn here(&mut self) -> Result<Option<Page>, Error> {
        let lengths = HEADER + usize::from(self.buffer[HEADER - 1]);
        if !self.buffer.starts_with(CAPTURE) || !self.fill(lengths)? {
            return Ok(None);
        }
        let size =
            lengths + self.buffer[HEADER..lengths].iter().map(|&length| usize::from(length)).sum::<usize>();
        if !self.fill(size)? {
            return Ok(None);
        }
        let Some(header) = Header::parse(&self.buffer[..size]) else {
            return Ok(None);
        };
        let (mut packets, mut packet, mut at) = (Vec::new(), None, lengths);
        for &length in &self.buffer[HEADER..lengths] {
            let end = at + usize::from(length);
            packet.get_or_insert_with(Vec::new).extend_from_slice(&self.buffer[at..end]);
            at = end;
            if length < 255 {
                packets.extend(packet.take());
            }
        }
        self.buffer.drain(..size);
        Ok(Some(Page { header, packets, rest: packet }))
    }

    /// Reads until the buffer holds so many octets. `false` if the file ends before.
    fn fill(&mut self, octets: usize) -> Result<bool, Error> {
        let missing = octets.saturating_sub(self.buffer.len());
        self.source.by_ref().take(missing as u64).read_to_end(&mut self.buffer).map_err(Error::Io)?;
        Ok(self.buffer.len() >= octets)
    }
}
