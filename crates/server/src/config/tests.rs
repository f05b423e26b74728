use std::ffi::OsString;
use std::path::Path;

use proptest::prelude::*;

use super::gateway::Address;
use super::*;

/// The default file as the operations page of the specification has it, word for word.
const SPECIFIED: &str = r#"
[node]
id = "0.0.0"
data_dir = "data"                 # event log, CDR, journal
[sip]
listen = ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]
advertise = ""                    # host[:port] in Via/Contact/SDP when behind NAT
[[sip.gateway]]
name = "local"
address = "127.0.0.1"             # where outbound calls to this gateway go, and
networks = ["127.0.0.0/8"]        # who may call in through it
[rtp]
address = "127.0.0.1"
ports = "20000-29999"
ptime_ms = 20
[media]
prompts_dir = "prompts"
prompt_cache_bytes = 134217728
recordings_dir = "recordings"
recordings_min_free_bytes = 104857600
threads = 0                       # 0 = one per core
io = "readiness"
[rpc]
listen = "127.0.0.1:8080"         # /rpc (WebSocket and POST), /sys/events, /healthz, /readyz, /metrics
tokens = []
[events]
keep_bytes = 268435456
keep_seconds = 86400
[limits]
calls = 10000
calls_per_second = 500
"#;

pub(super) fn read(text: &str) -> Result<Config, String> {
    read_with(text, &[])
}

pub(super) fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::from_parts(text, "f.toml", variables).map_err(|error| error.to_string())
}

/// The whole message, so that nobody makes it worse without seeing it.
fn refused(text: &str, message: &str) {
    assert_eq!(read(text), Err(message.to_owned()), "{text}");
}

#[test]
fn the_specified_file_the_default_file_and_no_file_are_the_same() {
    assert_eq!(read(SPECIFIED).unwrap(), Config::default());
    assert_eq!(read(DEFAULT_FILE).unwrap(), Config::default());
    assert_eq!(read("").unwrap(), Config::default());
}

/// Every key must stand in the default file, or nobody hears of it.
#[test]
fn the_default_file_has_every_key() {
    let written: toml::Table = DEFAULT_FILE.parse().unwrap();
    let known = toml::Table::try_from(Config::default()).unwrap();
    for (section, keys) in known.iter().filter(|(section, _)| *section != "webhook") {
        let keys: Vec<&String> = keys.as_table().unwrap().keys().collect();
        let there: Vec<&String> = written[section].as_table().unwrap().keys().collect();
        assert_eq!(there, keys, "[{section}]");
    }
    let gateway =
        |table: &toml::Table| table["sip"]["gateway"][0].as_table().unwrap().keys().cloned().collect();
    let (there, keys): (Vec<String>, Vec<String>) = (gateway(&written), gateway(&known));
    assert_eq!(there, keys, "[[sip.gateway]]");
    // By default there are no web hooks: one that could be is written as a remark.
    let remarks = DEFAULT_FILE.lines().skip_while(|line| *line != "# [[webhook]]");
    let hook: Vec<&str> = remarks.map_while(|line| line.strip_prefix("# ")).collect();
    let hook: toml::Table = hook.join("\n").parse().unwrap();
    let there: Vec<&String> = hook["webhook"][0].as_table().unwrap().keys().collect();
    let keys = toml::Table::try_from(Webhook::default()).unwrap();
    assert_eq!(there, keys.keys().collect::<Vec<_>>(), "[[webhook]]");
    assert!(read(&toml::to_string(&hook).unwrap()).is_ok());
}

#[test]
fn what_is_printed_reads_back() {
    let text = "sip.listen = ['udp:[::1]:0']\nrtp.address = '::1'\nsip.advertise = '[2001:db8::1]:5070'\nlog.level = 'debug'\n\
                [[sip.gateway]]\nname = 'a'\naddress = 'gw.example.com:5070'\nnetworks = ['10.0.0.0/8', '2001:db8::/32']";
    let config = read(text).unwrap();
    assert_eq!(read(&toml::to_string(&config).unwrap()).unwrap(), config);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_right_one() {
    refused("[sip]\nlisen = []", "f.toml:2: sip.lisen: no such key; is sip.listen meant?");
    refused("\n[rtpp]\n", "f.toml:2: rtpp: no such key; is rtp meant?");
    refused("[rpc]\nkeep_bytes = 1", "f.toml:2: rpc.keep_bytes: no such key; is events.keep_bytes meant?");
    refused("[limits]\n\nzebra = 1", "f.toml:3: limits.zebra: no such key");
    refused(
        "[[sip.gateway]]\nname = 'x'\naddress = 'h'\nnetwork = []",
        "f.toml:4: sip.gateway[0].network: no such key; is sip.gateway.networks meant?",
    );
    refused("[log]\nlevle = 'info'", "f.toml:2: log.levle: no such key; is log.level meant?");
}

#[test]
fn a_wrong_value_says_what_is_expected() {
    refused("[node]\nid = '1.2'", r#"f.toml:2: node.id: "1.2" is not three numbers a.b.c"#);
    refused("[node]\nid = '1.02.3'", r#"f.toml:2: node.id: "1.02.3" is not three numbers a.b.c"#);
    refused(
        "[sip]\nlisten = ['udp:127.0.0.1:5060', 'ws:127.0.0.1:5061']",
        r#"f.toml:2: sip.listen[1]: "ws:127.0.0.1:5061" is not udp:ADDRESS:PORT, tcp:ADDRESS:PORT or tls:ADDRESS:PORT"#,
    );
    refused(
        "[rtp]\nports = '20001-29999'",
        r#"f.toml:2: rtp.ports: "20001-29999": the first port must be even and 1024 or above"#,
    );
    refused(
        "[rtp]\nports = '20000-20000'",
        r#"f.toml:2: rtp.ports: "20000-20000": needs at least two ports, for RTP and RTCP"#,
    );
    refused("[rtp]\nports = '20000'", r#"f.toml:2: rtp.ports: "20000" is not FIRST-LAST, e.g. 20000-29999"#);
    refused("[rtp]\nptime_ms = 25", "f.toml:2: rtp.ptime_ms: 25 is not one of 10, 20, 30, 40, 50, 60");
    refused("[rtp]\nptime_ms = 70", "f.toml:2: rtp.ptime_ms: 70 is not one of 10, 20, 30, 40, 50, 60");
    refused(
        "[rtp]\ncodecs = ['G729']",
        r#"f.toml:2: rtp.codecs[0]: "G729" is no codec of ours; there are PCMU, PCMA, G722, opus, GSM, L16"#,
    );
    refused("[limits]\ncalls = 0", "f.toml:2: limits.calls: 0 is not between 1 and 1000000");
    refused("[limits]\nconferences = 0", "f.toml:2: limits.conferences: 0 is not between 1 and 100000");
    let background = "f.toml:2: media.conference_background_db: ";
    refused("[media]\nconference_background_db = 21", &format!("{background}21 is not between -40 and 20"));
    refused("[media]\nconference_background_db = -41", &format!("{background}-41 is not between -40 and 20"));
    refused("[limits]\ncalls = -1", "f.toml:2: limits.calls: -1 is not between 1 and 1000000");
    refused(
        "[log]\nlevel = 'loud'",
        "f.toml:2: log.level: unknown variant `loud`, expected one of `error`, `warn`, `info`, `debug`, `trace`",
    );
    refused(
        "[limits]\ncalls = '10'",
        "f.toml:2: limits.calls: invalid type: string \"10\", expected a whole number",
    );
    refused(
        "[sip]\nuser_agent = \"a\\r\\nX: y\"",
        "f.toml:2: sip.user_agent: 1 to 128 printable ASCII characters",
    );
    refused(
        "[[sip.gateway]]\nname = 'x'\naddress = 'h'",
        "f.toml:1: sip.gateway[0]: missing field `networks`",
    );
    assert!(read("[sip").unwrap_err().starts_with("f.toml:1: not TOML: "));
}

#[test]
fn what_keys_must_agree_on() {
    refused("sip.listen = []", "f.toml:1: sip.listen: names no address: nobody could call in or be called");
    refused(
        "sip.listen = ['udp:[::1]:5060', 'udp:[::1]:5060']",
        "f.toml:1: sip.listen: udp:[::1]:5060 is there twice",
    );
    refused(
        "sip.listen = ['udp:0.0.0.0:5060']",
        "f.toml:1: sip.listen: udp:0.0.0.0:5060 is every address: say in sip.advertise which one peers shall use",
    );
    refused(
        "rtp.address = '0.0.0.0'",
        "f.toml:1: rtp.address: 0.0.0.0 is every address: say in sip.advertise which one peers shall use",
    );
    assert!(
        read("sip.listen = ['udp:0.0.0.0:5060']\nrtp.address = '0.0.0.0'\nsip.advertise = '192.0.2.1'")
            .is_ok()
    );
    let tls = |keys: &str| format!("[sip]\nlisten = ['tls:127.0.0.1:5061']\n[sip.tls]\n{keys}");
    refused(&tls(""), "f.toml:3: sip.tls.certificate: is needed to listen by TLS");
    refused(&tls("certificate = 'c.pem'"), "f.toml:3: sip.tls.key: is needed to listen by TLS");
    refused(
        &tls("certificate = 'c.pem'\nkey = 'k.pem'\nverify_client = true"),
        "f.toml:3: sip.tls.ca: is needed for sip.tls.verify_client: whose certificates are good?",
    );
    assert!(read(&tls("certificate = 'c.pem'\nkey = 'k.pem'")).is_ok());
    refused("sip.t1_ms = 5000", "f.toml:1: sip.t2_ms: 4000 is below sip.t1_ms (5000)");
    refused("rtp.codecs = []", "f.toml:1: rtp.codecs: names no codec");
    refused("rtp.codecs = ['PCMU', 'pcmu']", "f.toml:1: rtp.codecs: PCMU is there twice");
    let gateway = "[[sip.gateway]]\nname = 'x'\naddress = 'h'\nnetworks = []\n";
    refused(&format!("{gateway}{gateway}"), "f.toml: sip.gateway.name: \"x\" is there twice");
    let gateway = |name: &str, network: &str, lines: &str| {
        format!("[[sip.gateway]]\nname = '{name}'\naddress = '{name}'\nnetworks = ['{network}']\n{lines}\n")
    };
    let asking = "inbound_username = 'a'\ninbound_password = 'b'";
    let (open, strict) = (gateway("open", "10.0.0.0/8", ""), gateway("strict", "10.1.0.0/16", asking));
    let problem = "which is meant first and asks for another password, or none";
    refused(
        &format!("{open}{strict}"),
        &format!(
            "f.toml: sip.gateway.networks: 10.1.0.0/16 of \"strict\" overlaps those of \"open\", {problem}"
        ),
    );
    assert!(read(&format!("{strict}{open}")).is_ok(), "the narrow one first");
    assert!(read(&format!("{strict}{}", gateway("twin", "10.1.2.3", asking))).is_ok());
    assert!(read(&format!("{open}{}", gateway("apart", "11.0.0.0/8", asking))).is_ok());
}

/// A gateway with these lines beside the three that it needs.
fn gateway(lines: &str) -> Result<Gateway, String> {
    let text = format!("[[sip.gateway]]\nname = 'x'\naddress = 'h'\nnetworks = []\n{lines}");
    read(&text).map(|config| config.sip.gateway[0].clone())
}

#[test]
fn what_is_left_out_of_a_gateway_has_its_default() {
    let place = HostPort { host: "h".into(), port: None };
    let expected = Gateway::new("x", Address { place, transport: None }, Vec::new());
    assert_eq!(gateway("").unwrap(), expected);
}

#[test]
fn addresses_of_gateways() {
    let read = |address: &str| {
        let text = format!("[[sip.gateway]]\nname = 'x'\naddress = {address}\nnetworks = []");
        read(&text)
            .map(|config| config.sip.gateway[0].address.0.iter().map(Address::in_uri).collect::<Vec<_>>())
    };
    assert_eq!(read("'GW.example.com'").unwrap(), ["gw.example.com"]);
    assert_eq!(
        read("['2001:db8::1', '[2001:db8::2]:5070;transport=tcp', 'h;transport=tls']").unwrap(),
        ["[2001:db8::1]", "[2001:db8::2]:5070;transport=tcp", "h;transport=tls"]
    );
    for (wrong, why) in [
        ("[]", "1 to 8 addresses"),
        ("['a','b','c','d','e','f','g','h','i']", "1 to 8 addresses"),
        ("'h;transport=ws'", "transport is udp, tcp or tls"),
        ("'h;lr'", "only ;transport=udp, tcp or tls may follow the host"),
        ("['h', 'h']", "h is there twice"),
        ("5", "expected an address or a list of addresses"),
    ] {
        let error = read(wrong).unwrap_err();
        assert!(error.contains("sip.gateway") && error.contains(why), "{wrong}: {error}");
    }
}

#[test]
fn what_the_keys_of_a_gateway_must_agree_on() {
    for (lines, line, why) in [
        ("username = 'a'", 1, "sip.gateway.password: of \"x\": needs a value to go with username"),
        ("password = 'p'", 1, "sip.gateway.username: of \"x\": needs a value to go with password"),
        (
            "inbound_username = 'a'",
            1,
            "sip.gateway.inbound_password: of \"x\": needs a value to go with inbound_username",
        ),
        (
            "challenge_inside = true",
            5,
            "sip.gateway.challenge_inside: of \"x\": means nothing without inbound_password",
        ),
        ("codecs = ['PCMA', 'PCMA']", 5, "sip.gateway.codecs: of \"x\": PCMA is there twice"),
        (
            "register = true",
            5,
            "sip.gateway.register: of \"x\": needs username or register_aor to say who registers",
        ),
        ("registrar = 'r'", 5, "sip.gateway.registrar: of \"x\": means nothing without register = true"),
        (
            "register_aor = 'sip:a@b'",
            5,
            "sip.gateway.register_aor: of \"x\": means nothing without register = true",
        ),
    ] {
        assert_eq!(gateway(lines), Err(format!("f.toml:{line}: {why}")), "{lines}");
    }
    for (lines, why) in [
        ("options_ping_seconds = 4", "4 is neither 0 nor between 5 and 3600"),
        ("register_expires_seconds = 59", "59 is not between 60 and 86400"),
        ("register_aor = 'a@b'", "\"a@b\" is not sip:user@host"),
        ("username = 'a b'", "up to 256 visible ASCII characters without quotes and backslashes"),
        ("dtmf = 'morse'", "unknown variant `morse`, expected one of `auto`, `rfc4733`, `inband`, `info`"),
    ] {
        let error = gateway(lines).unwrap_err();
        assert!(error.starts_with("f.toml:5: sip.gateway[0].") && error.ends_with(why), "{lines}: {error}");
    }
    let twice = "[[sip.gateway]]\nname = 'x'\naddress = 'h'\nnetworks = []\n\
                 [[sip.gateway]]\nname = 'X'\naddress = 'h'\nnetworks = []";
    refused(twice, "f.toml: sip.gateway.name: \"X\" is there twice");
    refused(
        "sip.session_expires_seconds = 100\nsip.min_se_seconds = 120",
        "f.toml:1: sip.session_expires_seconds: 100 is below sip.min_se_seconds (120)",
    );
}

#[test]
fn a1_rpc_beyond_this_machine_needs_a_token() {
    let problem = "is reached from beyond this machine: set rpc.tokens";
    for listen in ["0.0.0.0:8080", "192.0.2.1:8080", "[::]:8080"] {
        refused(&format!("rpc.listen = '{listen}'"), &format!("f.toml:1: rpc.listen: {listen} {problem}"));
        assert!(read(&format!("rpc.listen = '{listen}'\nrpc.tokens = ['s3cret']")).is_ok());
    }
    for listen in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:8080", "[::ffff:127.0.0.1]:8080"] {
        assert!(read(&format!("rpc.listen = '{listen}'")).is_ok(), "{listen}");
    }
    refused(
        "rpc.tokens = ['']",
        "f.toml:1: rpc.tokens[0]: a secret is one or more visible ASCII characters, no spaces",
    );
}

#[test]
fn a_secret_is_shown_to_nobody() {
    let config = read(
        "rpc.tokens = ['s3cret']\n[[sip.gateway]]\nname = 'x'\naddress = 'h'\nnetworks = []\nusername = 'a'\n\
         password = 's3cret2'\ninbound_username = 'b'\ninbound_password = 's3cret3'",
    )
    .unwrap();
    assert_eq!(config.rpc.tokens[0].expose(), "s3cret");
    for shown in
        [toml::to_string(&config).unwrap(), serde_json::to_string(&config).unwrap(), format!("{config:?}")]
    {
        assert!(!shown.contains("s3cret") && shown.contains("<redacted>"), "{shown}");
    }
}

#[test]
fn a_list_of_tables_is_told_from_a_table() {
    let problem = "there may be several: each begins with";
    let gateway = "[sip.gateway]\nname = 'x'\naddress = 'h'";
    refused(gateway, &format!("f.toml:1: sip.gateway: {problem} [[sip.gateway]]"));
    refused("[webhook]\nurl = 'x'", &format!("f.toml:1: webhook: {problem} [[webhook]]"));
}

#[test]
fn a_folder_has_a_name() {
    for key in ["node.data_dir", "media.prompts_dir", "media.recordings_dir"] {
        let problem = "names no folder: say \".\" where the working directory is meant";
        refused(&format!("{key} = ''"), &format!("f.toml:1: {key}: {problem}"));
    }
}

#[test]
fn a_byte_that_is_not_utf_8_is_found() {
    let path = std::env::temp_dir().join(format!("offhook-config-{}", std::process::id()));
    std::fs::write(&path, b"[node]\n# \xc3\xa4 \xe4\n").unwrap();
    let error = Config::load(Some(&path)).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(error.to_string(), format!("{}:2: not UTF-8: byte 0xe4 at column 5", path.display()));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Some(Path::new("/nowhere/offhook.toml"))).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/offhook.toml: "), "{error}");
}

#[test]
fn hosts() {
    let good = [
        ("127.0.0.1", "127.0.0.1", None),
        ("gw.Example.com:5070", "gw.example.com", Some(5070)),
        ("[2001:db8::1]:5060", "2001:db8::1", Some(5060)),
        ("2001:db8::1", "2001:db8::1", None),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("3com.example", "3com.example", None),
    ];
    for (text, host, port) in good {
        assert_eq!(text.parse(), Ok(HostPort { host: host.into(), port }), "{text}");
    }
    for wrong in [
        "",
        "a b",
        "host:",
        "host:0",
        "host:65536",
        "-a",
        "a..b",
        "10.0.0.256",
        "sip:host",
        "[10.0.0.1]",
        "a_b",
    ] {
        assert!(wrong.parse::<HostPort>().is_err(), "{wrong}");
    }
    for wrong in ["0.0.0.0", "224.0.0.1", "192.0.2.1:0", "host", "192.0.2.1:x"] {
        assert!(wrong.parse::<Advertise>().is_err(), "{wrong}");
    }
}

#[test]
fn every_rtp_port_has_its_rtcp_port_in_the_range() {
    let ports = |text: &str| text.parse::<PortRange>().unwrap().rtp_ports().collect::<Vec<u16>>();
    assert_eq!(ports("20000-20005"), [20000, 20002, 20004]);
    assert_eq!(ports("20000-20004"), [20000, 20002]);
    assert_eq!(ports("65532-65535"), [65532, 65534]);
    assert_eq!(ports("20000-29999").len(), 5000);
}

proptest! {
    /// Whatever the file says, the answer is a configuration or a sentence.
    #[test]
    fn no_text_panics(text in "\\PC{0,40}(\n\\PC{0,40}){0,6}") {
        let _ = read(&text);
    }
}

#[test]
fn where_records_are_copied_to() {
    let at = |uri: &str| read(&format!("cdr.postgres = '{uri}'"));
    refused(
        "cdr.postgres = 'db.example'",
        "f.toml:1: cdr.postgres: is not postgres://USER:PASSWORD@HOST[:PORT]/DATABASE, in which ?sslmode= is disable or require",
    );
    let good = at("postgres://a:s3cret@db.example/b").unwrap();
    assert!(!format!("{good:?}{}", toml::to_string(&good).unwrap()).contains("s3cret"));
    assert_eq!(good.warnings(), [""; 0]);
    let open = at("postgres://a:b@db.example/b?sslmode=disable").unwrap();
    assert_eq!(open.warnings(), ["cdr.postgres: without TLS, whoever is on the way can read who calls whom"]);
    let variable = [("OFFHOOK_CDR__POSTGRES", "postgres://a:b@127.0.0.1/b")];
    assert!(read_with("", &variable).unwrap().cdr.postgres.is_some());
}

/// What a URL has beside a place is not shown, wherever it is.
#[test]
fn urls_are_shown_without_their_secrets() {
    let text = "[speech]\nprovider = 'http'\nurl = 'https://me:s3cret@tts.example/say?key=s3cret'\n\
                [[webhook]]\nurl = 'https://app.example/hook?key=s3cret'\nsecret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'";
    let config = read(text).unwrap();
    for printed in [toml::to_string(&config).unwrap(), serde_json::to_string(&config).unwrap()] {
        assert!(!printed.contains("s3cret"), "{printed}");
        assert!(printed.contains("https://<redacted>@tts.example/say?key=<redacted>"), "{printed}");
        assert!(printed.contains("https://app.example/hook?key=<redacted>"), "{printed}");
    }
    let refused = read(&format!("{text}\ntypes = ['sys.call.on_rining']")).unwrap_err();
    assert!(
        refused.starts_with("f.toml:7: webhook[0].types: of ") && !refused.contains("s3cret"),
        "{refused}"
    );
}

/// What will never be sent, what others can read, and a scope that does not hold.
#[test]
fn hooks_and_tokens_that_are_seldom_meant_are_warned_of() {
    let warnings = |text: &str| read(text).unwrap().warnings();
    let hook = |url: &str, more: &str| {
        warnings(&format!(
            "[[webhook]]\nurl = '{url}'\nsecret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'\n{more}"
        ))
    };
    let clear = |url: &str| {
        format!("webhook[0].url: \"{url}\" is without TLS: whoever is on the way can read the events")
    };
    let never = |url: &str| {
        format!(
            "webhook[0].allow_networks: of \"{url}\": without the network of its address nothing is ever sent there"
        )
    };
    let allowed = "allow_networks = ['127.0.0.0/8', '10.0.0.0/8']";
    for (url, more, expected) in [
        ("https://app.example/", "", None),
        ("http://app.example/", "", Some(clear("http://app.example/"))),
        ("http://127.0.0.1:9000/", "", Some(never("http://127.0.0.1:9000/"))),
        ("https://[::1]/", "", Some(never("https://[::1]/"))),
        ("http://localhost/", "", Some(never("http://localhost/"))),
        ("http://127.0.0.1:9000/", allowed, None),
        ("http://localhost/", allowed, None),
        ("http://10.1.2.3/", allowed, Some(clear("http://10.1.2.3/"))),
        ("http://8.8.8.8/", "", Some(clear("http://8.8.8.8/"))),
    ] {
        assert_eq!(hook(url, more), Vec::from_iter(expected), "{url} {more}");
    }
    let twice = "rpc.tokens: a secret is there twice: it reaches as far as the last one with it says";
    assert_eq!(warnings("rpc.tokens = ['read:s3cret', 'call:s3cret']"), [twice]);
    assert_eq!(warnings("rpc.tokens = ['read:s3cret', 'call:other']"), [""; 0]);
    let speech = "[speech]\nprovider = 'http'\nurl = 'http://tts.example/say?key=s3cret'";
    let open = "speech.url: \"http://tts.example/say?key=<redacted>\" is without TLS: whoever is on the way can read the texts";
    assert_eq!(warnings(speech), [open]);
}

/// Keys are as safe as the signalling that they travel in.
#[test]
fn keys_that_travel_in_the_clear_are_warned_of() {
    let warnings = |keys: &str| {
        let text = format!("[[sip.gateway]]\nname = 'a'\nnetworks = ['10.0.0.0/8']\n{keys}");
        read(&text).unwrap().warnings()
    };
    let warned = "sip.gateway.srtp: of \"a\": the keys travel in SDP, and whoever can read the signalling can decrypt the \
                  media: let its address end in ;transport=tls";
    assert_eq!(warnings("address = 'h'\nsrtp = 'optional'"), [warned]);
    assert_eq!(warnings("address = 'h;transport=tcp'\nsrtp = 'required'"), [warned]);
    assert_eq!(warnings("address = ['h;transport=tls', 'i']\nsrtp = 'required'"), [warned]);
    assert_eq!(warnings("address = 'h;transport=tls'\noutbound_proxy = 'p'\nsrtp = 'required'"), [warned]);
    let none: [&str; 0] = [];
    assert_eq!(warnings("address = 'h'"), none);
    assert_eq!(warnings("address = 'h;transport=tls'\nsrtp = 'required'"), none);
    assert_eq!(warnings("address = 'h'\noutbound_proxy = 'p;transport=tls'\nsrtp = 'required'"), none);
    assert_eq!(Config::default().warnings(), none);
    let key = "[[sip.gateway]]\nname = 'a'\naddress = 'h'\nnetworks = []\nsrtp = 'yes'";
    refused(
        key,
        "f.toml:5: sip.gateway[0].srtp: unknown variant `yes`, expected one of `off`, `optional`, `required`",
    );
    let key = "[[sip.gateway]]\nname = 'a'\naddress = 'h'\nnetworks = []\ncodec_order = 'mine'";
    refused(key, "f.toml:5: sip.gateway[0].codec_order: unknown variant `mine`, expected `offer` or `ours`");
}

#[test]
fn what_is_wrong_with_a_web_hook_is_named() {
    let hook = |more: &str| format!("[[webhook]]\nurl = 'https://app.example/hook'\n{more}");
    let secret = "secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'";
    let good = hook(secret);
    assert_eq!(read(&good).unwrap().webhook[0].secret.len(), 1);
    let two =
        hook("secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw  whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB'");
    assert_eq!(read(&two).unwrap().webhook[0].secret.len(), 2);
    let printed = toml::to_string(&read(&good).unwrap()).unwrap();
    assert!(printed.contains("<redacted>") && !printed.contains("MfKQ"), "{printed}");
    let expected = "expected whsec_ and 24 to 64 bytes as base64, or up to 4 of those with a space between";
    for (text, message) in [
        (hook(""), format!("f.toml:1: webhook[0].secret: of \"https://app.example/hook\": {expected}")),
        (
            format!("{good}\ntypes = ['sys.call.on_rining']"),
            "f.toml:4: webhook[0].types: of \"https://app.example/hook\": expected names of events, or beginnings of some and *: \
             \"sys.call.on_rining\" is none"
                .to_owned(),
        ),
        (
            format!("{good}\n{good}"),
            "f.toml:5: webhook[1].url: of \"https://app.example/hook\": is there twice in this format".to_owned(),
        ),
        (format!("{good}\nurls = 'x'"), "f.toml:4: webhook[0].urls: no such key; is webhook.url meant?".to_owned()),
        (
            format!("[[webhook]]\nurl = 'app.example'\n{secret}"),
            "f.toml:2: webhook[0].url: of \"app.example\": expected http://HOST… or https://HOST…, no user, no fragment, \
             at most 1024 bytes"
                .to_owned(),
        ),
    ] {
        refused(&text, &message);
    }
}
