//! What a damaged disk leaves of the log: everything that is intact is told, once and in order, and each hole once.

use std::collections::BTreeSet;

use super::*;

/// The numbers of the lines of a segment that are as they were written: no byte of theirs, nor of the end of the line before.
fn intact(was: &[u8], is: &[u8]) -> Vec<u64> {
    let (mut intact, mut begin) = (Vec::new(), 0);
    for line in was.split_inclusive(|&byte| byte == b'\n') {
        let (from, to) = (usize::saturating_sub(begin, 1), begin + line.len());
        begin = to;
        if is.get(from..to) == Some(&was[from..to]) {
            let text = std::str::from_utf8(line).unwrap();
            let number = text.split_once("\"seq\":").map(|(_, rest)| rest.split(',').next().unwrap());
            intact.extend(number.map(|number| number.parse::<u64>().unwrap()));
        }
    }
    intact
}

/// Harms a segment at random; nothing is left of one that is taken away.
fn harm(rng: &mut fastrand::Rng, bytes: &[u8], may_go: bool) -> Option<Vec<u8>> {
    let mut harmed = bytes.to_vec();
    let at = rng.usize(..bytes.len());
    match rng.u32(..8) {
        0 if may_go => return None,
        1 => harmed.truncate(at.max(1)),
        2 => harmed[at..].iter_mut().take(2_000).for_each(|byte| *byte = 0),
        _ => harmed[at] ^= 1 << rng.u32(..8),
    }
    Some(harmed)
}

/// The ranges of 1 to `last` that are not among these numbers.
fn holes(numbers: &BTreeSet<u64>, last: u64) -> Vec<(u64, u64)> {
    let ends = numbers.iter().copied().chain([last + 1]);
    let begins = [0].into_iter().chain(numbers.iter().copied());
    begins.zip(ends).filter(|(one, next)| one + 1 < *next).map(|(one, next)| (one + 1, next - 1)).collect()
}

#[tokio::test]
async fn everything_that_is_intact_is_told_whatever_is_damaged() {
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let dir = dir();
        let mut rig = Rig::open(&dir, KEEP);
        for n in 1..=2_500 {
            rig.append(n);
            if n % 100 == 0 {
                rig.commit().unwrap();
            }
        }
        // The server runs while its disk is damaged, or starts on it.
        let runs = rng.bool();
        if runs {
            rig = rig.restart();
        }
        let segments = segment::list(&dir.0).unwrap();
        let (mut expected, newest) = (BTreeSet::new(), segments.len() - 1);
        for (at, first) in segments.into_iter().enumerate() {
            let path = segment::path(&dir.0, first);
            let was = fs::read(&path).unwrap();
            // Without the first or the last nobody can know that there was one.
            let is = match rng.bool() {
                true => harm(&mut rng, &was, (1..newest).contains(&at)),
                false => Some(was.clone()),
            };
            expected.extend(intact(&was, is.as_deref().unwrap_or_default()));
            match is {
                Some(is) => fs::write(&path, is).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
        }
        if !runs {
            rig = rig.restart();
        }
        let last = rig.tell(3_000);
        expected.insert(last);
        let (seen, gaps) = rig.all(0).await;
        assert_eq!(
            seen,
            Vec::from_iter(expected.clone()),
            "seed {seed}: all that is there is told, in order"
        );
        assert_eq!(gaps, holes(&expected, last), "seed {seed}: each hole is told once");
        // From anywhere else too.
        let after = rng.u64(..2_600).min(last);
        let (seen, _) = rig.all(after).await;
        assert_eq!(seen, Vec::from_iter(expected.range(after + 1..).copied()), "seed {seed}: after {after}");
    }
}

/// Of what is too old, and of what is damaged, the reasons are told apart.
#[tokio::test]
async fn what_is_damaged_is_not_told_as_too_old() {
    let dir = dir();
    let mut rig = Rig::open_from(&dir, KEEP, First { number: 11, is_new: false });
    for n in 11..=1_500 {
        rig.tell(n);
    }
    let mut rig = rig.restart();
    rig.tell(1_501);
    let second = segment::path(&dir.0, segment::list(&dir.0).unwrap()[1]);
    let text = fs::read_to_string(&second).unwrap();
    let seq: u64 = text.split("\"seq\":").nth(40).unwrap().split(',').next().unwrap().parse().unwrap();
    fs::write(&second, text.replace(&format!("\"seq\":{seq},"), "\"seq\":0,")).unwrap();
    let mut reader = rig.reader(0);
    let mut gaps = Vec::new();
    while reader.cursor() < 1_501 {
        if let Read::Gap { reason, first, last } = reader.read().await.unwrap() {
            gaps.push((reason, first, last));
        }
    }
    assert_eq!(gaps, [(GapReason::Expired, 1, 10), (GapReason::Damaged, seq, seq)]);
}
