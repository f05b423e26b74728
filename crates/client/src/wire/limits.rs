//! The bounds of parameters, here once for the schema and for the server that checks them.

/// The longest duration of a call, a recording or a connection: a week. Longer is a mistake of units.
pub const SECONDS_MAX: u32 = 604_800;
/// The longest ringing: an hour. The far end's network gives up after minutes.
pub const RING_SECONDS_MAX: u32 = 3_600;
/// The longest wait for a key: a day.
pub const KEY_SECONDS_MAX: u32 = 86_400;
/// The most repetitions of a prompt; enough for hold music, small enough that no total overflows.
pub const REPEAT_MAX: u32 = 100_000;
/// The softest that somebody may be heard, in dB.
pub const VOLUME_MIN: i32 = -40;
/// The loudest that somebody may be heard, in dB.
pub const VOLUME_MAX: i32 = 20;
/// The most keys that are collected or sent in one action.
pub const KEYS_MAX: u32 = 255;
/// The most items of a play list, by the document.
pub const ITEMS_MAX: usize = 30;
/// The most files of one action, those joined by `|` counted one by one.
pub const FILES_MAX: usize = 100;
/// The least type of an item; all below 0 mean the same.
pub const KIND_MIN: i64 = -1_000_000;
/// The longest options of an item in bytes: every one there is, with the longest voice.
pub const OPTIONS_MAX: usize = 256;
/// The most bytes of a text that is spoken: some three minutes.
pub const SPEECH_MAX: usize = 3_000;
/// The most words of one action: thirty values of as many as a long number has. They are of few files, so that most are
/// found in the cache.
pub const WORDS_MAX: usize = 1_000;
/// The longest `user_data` in bytes; it is repeated in every event of the call.
pub const USER_DATA_MAX: usize = 4_096;
/// The longest URI in bytes, as for URIs on the wire.
pub const URI_MAX: usize = 1_024;
/// The length of a `traceparent`.
pub const TRACEPARENT_MAX: usize = 55;
/// The longest display name in bytes: more than any telephone shows.
pub const NAME_MAX: usize = 128;
/// The longest file name in bytes, with its folders.
pub const FILE_NAME_MAX: usize = 1_024;
/// The longest list of files joined by `|`, in bytes: the most files of one action, each with the longest name.
pub const FILES_LENGTH_MAX: usize = FILES_MAX * (FILE_NAME_MAX + 1);
/// The longest name of a call or conference: three numbers of a node, a word, and a serial, with room to spare.
pub const RES_ID_MAX: usize = 64;
/// The most characters of a set of keys, of which there are sixteen.
pub const KEY_SET_MAX: usize = 32;
/// The longest name of a codec, an event, a node or a group.
pub const WORD_MAX: usize = 64;
/// The latest Unix time that there is a calendar for: the end of the year 9999.
pub const UNIX_TIME_MAX: i64 = 253_402_300_799;
/// The largest number that every JSON reader keeps exact.
pub const SEQ_MAX: u64 = (1 << 53) - 1;
/// The least `parts_threshold`; all below 0 mean the same.
pub const PARTS_MIN: i32 = -1_000_000;
/// The greatest `parts_threshold`: more members than any conference has.
pub const PARTS_MAX: i32 = 1_000_000;
/// The most extra headers of an INVITE, and the longest name and value in bytes: together well below a datagram.
pub const HEADERS_MAX: usize = 20;
/// See [`HEADERS_MAX`].
pub const HEADER_MAX: usize = 512;
/// The longest user name or password for a digest challenge in bytes.
pub const CREDENTIAL_MAX: usize = 256;
/// The most codecs in a list.
pub const CODECS_MAX: usize = 16;
/// The most names in a page of `sys.call.list`.
pub const PAGE_MAX: u32 = 1_000;
/// The least and the greatest `cause` of `drop` and `reject`.
pub const CAUSE_MIN: u16 = 300;
/// See [`CAUSE_MIN`].
pub const CAUSE_MAX: u16 = 699;
/// The most callees in the `to_uri` of `construct`.
pub const CALLEES_MAX: usize = 8;
/// The longest message in bytes; it has to fit into one SIP message with its headers.
pub const MESSAGE_MAX: usize = 16_384;
/// The longest media type of a message in bytes.
pub const CONTENT_TYPE_MAX: usize = 128;
/// The least and the greatest `sip_status` of `transfer_notify`.
pub const STATUS_MIN: u16 = 100;
/// See [`STATUS_MIN`].
pub const STATUS_MAX: u16 = 699;
/// The most kinds in the `kinds` of `detect_start`: all that there are.
pub const KINDS_MAX: usize = 5;
/// The most patterns in the `types` of a subscription.
pub const PATTERNS_MAX: usize = 64;
/// The longest `request_key`, in ASCII characters: a UUID, or two with a word between them.
pub const REQUEST_KEY_MAX: usize = 128;

/// The longest name of a group of subscribers, in characters.
pub const GROUP_NAME_MAX: usize = 64;
/// The longest that the calls of a group go on without it: a day. Longer is as good as for ever.
pub const HANGUP_AFTER_MAX: u32 = 86_400;
/// The most web hooks, those of the configuration among them.
pub const WEBHOOKS_MAX: usize = 32;
/// The most bytes of the secrets of a web hook, with the spaces between them: four of 64 bytes each, as base64.
pub const SECRETS_LENGTH_MAX: usize = 512;
/// The most secrets of a web hook: the old one and the new one while they are changed, and twice as many.
pub const SECRETS_MAX: usize = 4;
/// The digits of the id of a web hook.
pub const WEBHOOK_ID: usize = 16;
