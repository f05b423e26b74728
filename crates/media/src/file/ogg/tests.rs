//! Against a file of opusenc's and what FFmpeg makes of it; `fixtures/codec` says how they were made. What we write, opusinfo,
//! opusdec and FFmpeg read.

use super::page::{CAPTURE, HEADER, Header};
use super::{Audio, Error, Head, Reader, Writer};

const FILE: &[u8] = include_bytes!("../../../../../fixtures/codec/opus.opus");

/// 150 ms at 48 kHz.
const SAMPLES: usize = 7200;

/// As opusenc says.
const HEAD: Head = Head { channels: 1, pre_skip: 312, rate: 16_000, gain: 0 };

fn read(file: &[u8]) -> Result<Vec<Audio>, Error> {
    let mut reader = Reader::new(file)?;
    let mut all = Vec::new();
    while let Some(audio) = reader.next_packet()? {
        all.push(audio);
    }
    Ok(all)
}

fn heard(audio: &[Audio]) -> usize {
    audio.iter().map(|audio| audio.samples).sum()
}

/// The pages of a file.
fn pages(file: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        (0..file.len()).filter(|&at| file[at..].starts_with(CAPTURE)).chain([file.len()]).collect();
    starts.windows(2).map(|pair| &file[pair[0]..pair[1]]).collect()
}

/// A file of `packets` packets of 20 ms, all pages and the tail, and where each page ends.
fn written(packets: &[Vec<u8>], unheard: u64) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::new(&HEAD, 1, &mut file);
    for packet in packets {
        writer.packet(packet, 960, &mut file);
    }
    file.extend(writer.tail(unheard));
    file
}

/// Packets of 20 ms (configuration 31) of so many octets.
fn packets(octets: &[usize]) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(3533);
    let packet = |&octets: &usize| -> Vec<u8> {
        std::iter::once(31 << 3).chain((1..octets).map(|_| random.u8(..))).collect()
    };
    octets.iter().map(packet).collect()
}

#[test]
fn a_file_of_opusenc_is_read() {
    assert_eq!(Reader::new(FILE).unwrap().head(), HEAD);
    let audio = read(FILE).unwrap();
    assert_eq!(heard(&audio), SAMPLES);
    assert_eq!((audio[0].skip, audio[0].samples), (312, 648));
    assert!(audio[1..].iter().all(|audio| audio.skip == 0));
}

#[test]
fn what_is_written_is_read() {
    // Lengths at which the last of a packet's lengths is 0 or 255, and beyond.
    let packets = packets(&[1, 2, 254, 255, 256, 509, 510, 511, 1275, 3, 765, 766, 40, 41, 42]);
    for count in 0..=packets.len() {
        let audio = read(&written(&packets[..count], 0)).unwrap();
        assert!(audio.iter().map(|audio| &audio.packet).eq(&packets[..count]), "{count} packets");
        assert_eq!(heard(&audio), (count * 960).saturating_sub(312));
    }
    let audio = read(&written(&packets, 500)).unwrap();
    assert_eq!(heard(&audio), packets.len() * 960 - 312 - 500);
}

#[test]
fn a_page_is_written_every_200_ms() {
    let packets = packets(&[100; 35]);
    let mut file = Vec::new();
    let mut writer = Writer::new(&HEAD, 9, &mut file);
    for (n, packet) in packets.iter().enumerate() {
        let before = file.len();
        writer.packet(packet, 960, &mut file);
        assert_eq!(file.len() > before, n % 10 == 9, "packet {n}");
        // Whole at every moment: with the tail all packets are there, without it those of whole pages.
        let with_tail = [file.clone(), writer.tail(0)].concat();
        assert_eq!(read(&with_tail).unwrap().len(), n + 1);
        assert_eq!(read(&file).unwrap().len(), (n + 1) / 10 * 10);
    }
    file.extend(writer.tail(0));
    let headers: Vec<Header> = pages(&file).into_iter().map(|page| Header::parse(page).unwrap()).collect();
    let numbers: Vec<u32> = headers.iter().map(|header| header.number).collect();
    let positions: Vec<u64> = headers.iter().map(|header| header.position).collect();
    let flags: Vec<u8> = headers.iter().map(|header| header.flags).collect();
    // RFC 7845 §3: head and tags on pages of their own, at 0; RFC 3533 §6: first 2, last 4.
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    assert_eq!(positions, [0, 0, 9600, 19_200, 28_800, 33_600]);
    assert_eq!(flags, [2, 0, 0, 0, 0, 4]);
}

#[test]
fn a_file_that_is_cut_off_gives_what_is_there() {
    let packets = packets(&[100; 35]);
    let file = written(&packets, 0);
    let mut last = 0;
    for end in 0..file.len() {
        match read(&file[..end]) {
            Ok(audio) => {
                assert!(audio.iter().map(|audio| &audio.packet).eq(&packets[..audio.len()]));
                assert!(audio.len() >= last && audio.len() % 10 == 0);
                last = audio.len();
            }
            // Its head, or its tags.
            Err(error) => assert!(last == 0 && !matches!(error, Error::Io(_))),
        }
    }
    assert_eq!(last, 30);
}

#[test]
fn a_damaged_page_is_passed_over() {
    let packets = packets(&[100; 30]);
    let file = written(&packets, 0);
    let middle = pages(&file)[..3].iter().map(|page| page.len()).sum::<usize>();
    for at in [0, 5, 20, 24, 26, 27, 60, 300] {
        let mut file = file.clone();
        file[middle + at] ^= 0x55;
        let audio = read(&file).unwrap();
        let expected = packets[..10].iter().chain(&packets[20..]);
        assert!(audio.iter().map(|audio| &audio.packet).eq(expected), "{at}");
    }
}

#[test]
fn a_packet_goes_on_over_pages() {
    // A packet of 600 octets, of which the first page has 510, and one more.
    let long = &packets(&[600, 30])[0];
    let short = &packets(&[30])[0];
    let mut file = written(&[], 0);
    let head = pages(&file)[..2].iter().map(|page| page.len()).sum();
    file.truncate(head);
    let header = Header { flags: 0, position: u64::MAX, serial: 1, number: 2 };
    header.write(&[255, 255], &long[..510], &mut file);
    let cut = file.len();
    let header = Header { flags: 1, position: 1920, serial: 1, number: 3 };
    header.write(&[90, 30], &[&long[510..], short].concat(), &mut file);
    let all = read(&file).unwrap();
    assert_eq!([&all[0].packet, &all[1].packet], [long, short]);
    // Without its beginning, the rest of it is left out.
    let without = [&file[..head], &file[cut..]].concat();
    let all = read(&without).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(&all[0].packet, short);
}

#[test]
fn another_stream_between_is_passed_over() {
    let packets = packets(&[100; 20]);
    let file = written(&packets, 0);
    let mut with = Vec::new();
    for (n, page) in pages(&file).into_iter().enumerate() {
        with.extend_from_slice(page);
        let header = Header { flags: 0, position: 7, serial: 2, number: u32::try_from(n).unwrap() };
        header.write(&[5], b"video", &mut with);
    }
    assert_eq!(read(&with).unwrap(), read(&file).unwrap());
}

#[test]
fn what_is_not_opus_is_unsupported() {
    let vorbis = |packet: &[u8]| {
        let mut file = Vec::new();
        let header = Header { flags: 2, position: 0, serial: 1, number: 0 };
        header.write(&packet.len().to_le_bytes()[..1], packet, &mut file);
        file
    };
    let files: [&[u8]; 8] = [
        b"",
        b"RIFF....WAVEfmt ",
        &[0; 1000],
        &vorbis(b"\x01vorbis"),
        &vorbis(b"OpusHead"),
        // Version 16; no channel; three channels in two streams.
        &vorbis(b"OpusHead\x10\x01\0\0\0\0\0\0\0\0\0"),
        &vorbis(b"OpusHead\x01\x00\0\0\0\0\0\0\0\0\0"),
        &vorbis(b"OpusHead\x01\x03\0\0\0\0\0\0\0\0\x01\x02\x01\0\x01\x02"),
    ];
    for file in files {
        assert!(matches!(read(file), Err(Error::Unsupported)), "{file:?}");
    }
    let head_only = vorbis(b"OpusHead\x01\x01\0\0\0\0\0\0\0\0\0");
    assert!(matches!(read(&head_only), Err(Error::Malformed(_))));
}

#[test]
fn any_change_to_a_file_is_survived() {
    let mut random = fastrand::Rng::with_seed(7845);
    let ours = written(&packets(&[100; 35]), 0);
    for round in 0..4000 {
        let mut file = if round % 2 == 0 { FILE.to_vec() } else { ours.clone() };
        for _ in 0..random.usize(1..8) {
            let at = random.usize(..file.len());
            match random.u8(..4) {
                0 => file[at] = random.u8(..),
                1 => file.truncate(at.max(1)),
                2 => drop(file.drain(at..(at + random.usize(..300)).min(file.len()).max(at))),
                _ => file.extend_from_within(at..),
            }
            if file.is_empty() {
                break;
            }
        }
        // Sums that are right let more through.
        if random.bool() {
            file = repaired(&file);
        }
        if let Ok(audio) = read(&file) {
            assert!(audio.iter().all(|audio| audio.skip + audio.samples <= 5760));
        }
    }
}

/// The same file with right sums.
fn repaired(file: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for page in pages(file) {
        let Some((header, rest)) = page.split_first_chunk::<HEADER>() else { continue };
        let count = usize::from(header[26]).min(rest.len());
        let word = |at: usize| u32::from_le_bytes(*header[at..].first_chunk().unwrap());
        let position = u64::from_le_bytes(*header[6..].first_chunk().unwrap());
        let again = Header { flags: header[5], position, serial: word(14), number: word(18) };
        again.write(&rest[..count], &rest[count..], &mut out);
    }
    out
}
