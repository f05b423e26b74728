//! How soon a prompt is heard: from the request to the first packet, for a file that the server has never seen, and for one
//! that it has kept.
//!
//! ```text
//!   ffmpeg ─ a minute of noise, in each format ─▶ a copy of its own for each play ─▶ prompts directory
//!   play_start ─RPC─▶ header ─▶ first 200 ms ─▶ next frame ─▶ packet            ╰──── timed from here to there
//! ```
//! The pages of a copy that was just made are in memory: what is cold is our cache and not the disk, whose speed is not
//! ours.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use offhook_client::wire::PlayStart;
use offhook_tests::app::App;
use offhook_tests::server::Server;
use tokio::net::UdpSocket;

use crate::caller::Switchboard;
use crate::ear::percentiles;

/// Name, ending, and what ffmpeg is told to make it.
const FORMATS: [(&str, &str, &[&str]); 5] = [
    ("MP3, 48 kHz stereo", "mp3", &["-b:a", "128k"]),
    ("FLAC, 48 kHz stereo", "flac", &[]),
    ("Vorbis, 48 kHz stereo", "ogg", &["-c:a", "libvorbis"]),
    ("Opus, 48 kHz stereo", "opus", &["-c:a", "libopus"]),
    ("WAV, 48 kHz stereo", "wav", &[]),
];
/// How long each prompt is.
const SECONDS: u32 = 60;
/// Plays of each kind.
const PLAYS: u32 = 30;
/// The longest wait for a first packet.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a cold start may take, of the design issue.
const REACH_MS: f64 = 100.0;
/// As long without a packet, and a play is over.
const QUIET: Duration = Duration::from_millis(60);

/// Prints the table. Whether every cold prompt was heard in time.
pub(crate) async fn run() -> bool {
    let server = Server::start("bench-prompts").await;
    let mut app = App::connect(&server).await;
    let port = offhook_tests::ports::block(2);
    let ear = UdpSocket::bind(("127.0.0.1", port)).await.expect("an RTP port");
    let board = Switchboard::open(server.sip()).await;
    let address = ear.local_addr().expect("a bound socket");
    let (call, res_id) = tokio::join!(board.call(0, address, 0), app.answer());
    println!(
        "{SECONDS} s of noise, to a PCMU call; ms from play_start to the first packet, {PLAYS} plays each"
    );
    println!("{:24} {:>9} {:>7} {:>9} {:>7}", "", "cold p50", "most", "kept p50", "most");
    let mut is_good = true;
    for (name, ending, options) in FORMATS {
        let original = server.prompt(&format!("original.{ending}"));
        make(&original, options);
        let (mut cold, mut kept) = (Vec::new(), Vec::new());
        for number in 0..PLAYS {
            let content = format!("{number}.{ending}");
            std::fs::copy(&original, server.prompt(&content)).expect("a copy of a prompt");
            for times in [&mut cold, &mut kept] {
                let time = play(&mut app, &ear, &res_id, &content).await;
                times.push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
            }
            std::fs::remove_file(server.prompt(&content)).expect("the copy is there");
        }
        let ([cold_p50, .., cold_most], [kept_p50, .., kept_most]) =
            (percentiles(&mut cold), percentiles(&mut kept));
        println!("{name:24} {cold_p50:9.1} {cold_most:7.1} {kept_p50:9.1} {kept_most:7.1}");
        is_good &= cold_most <= REACH_MS;
    }
    board.hang_up(call.expect("an answered call")).await.expect("an end of the call");
    is_good
}

/// Plays, until the first packet has come. Returns how long that took.
async fn play(app: &mut App, ear: &UdpSocket, res_id: &str, content: &str) -> Duration {
    let mut packet = [0; 2048];
    while tokio::time::timeout(QUIET, ear.recv(&mut packet)).await.is_ok() {}
    let request = PlayStart { res_id: res_id.to_owned(), content: content.into(), ..Default::default() };
    let begun = Instant::now();
    let first = async {
        tokio::time::timeout(PATIENCE, ear.recv(&mut packet)).await.expect("a packet").expect("a socket");
        begun.elapsed()
    };
    let (accepted, time) = tokio::join!(app.client.call(&request), first);
    accepted.expect("a play that begins");
    app.client.play_stop(res_id).await.expect("a play that stops");
    app.played(res_id).await;
    time
}

fn make(path: &Path, options: &[&str]) {
    let noise = format!("anoisesrc=d={SECONDS}:c=pink:r=48000:a=0.3");
    let ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", &noise, "-ac", "2"])
        .args(options)
        .arg(path)
        .status();
    assert!(ffmpeg.is_ok_and(|status| status.success()), "ffmpeg makes {}", path.display());
}
