//! The client side of the command line: what asks a server that runs, and shows what it says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use offhook_call::event::UnixMs;
use offhook_client::wire::{self, CallInfo, CallRecord, ConferenceInfo};
use offhook_client::{Client, Error};
use serde::Serialize;
use serde_json::Value;

use super::cdr::Broken;
use super::exit::Failure;
use super::tail::{Wanted, tail};
use super::{ladder, pretty, print, table};
use crate::clock;
use crate::config::Config;
use crate::serve;

/// Where the server of this machine is, unless it is configured otherwise.
const URL: &str = "ws://127.0.0.1:8080/rpc";

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Calls or conferences of one request.
const PAGE: u32 = 1_000;

/// Which server, and how its answers are shown.
#[derive(Clone, Debug, Args)]
pub(super) struct Remote {
    /// The server, ws://HOST:PORT/rpc; without it that of --config on this machine, or of the defaults
    #[arg(long, value_name = "URL", global = true, env = "OFFHOOK_URL")]
    url: Option<String>,
    /// The token it wants; without it that of --config, if it has just one. Others on this machine can read a command line, and no
    /// environment
    #[arg(long, value_name = "TOKEN", global = true, env = "OFFHOOK_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t, global = true)]
    pub(super) output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Lines and columns
    #[default]
    Table,
    /// JSON; events one to a line
    Json,
}

/// What is asked.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Ask {
    /// The calls of a server
    #[command(subcommand)]
    Call(Calls),
    /// The conferences of a server
    #[command(subcommand)]
    Conf(Conferences),
    /// What happens on a server
    #[command(subcommand)]
    Events(Events),
    /// Any method of the API
    Rpc {
        /// Its name, such as sys.call.get
        method: String,
        /// Its parameters, a JSON object or array
        #[arg(value_parser = params, default_value = "{}", value_name = "JSON")]
        params: Value,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Calls {
    /// List them
    Ls,
    /// Show one
    Show {
        /// Its name
        res_id: String,
    },
    /// Show what one has been through, as a ladder; one that is over too, for a while
    Explain {
        /// Its name
        res_id: String,
    },
    /// End one, whatever it is doing
    Drop {
        /// Its name
        res_id: String,
        /// The SIP status that the far end is told, where it has not been answered
        #[arg(long, default_value_t = 603)]
        cause: u16,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Conferences {
    /// List them
    Ls,
    /// Show one and its members
    Show {
        /// Its name
        res_id: String,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Events {
    /// Show them as they come, until Ctrl-C
    Tail {
        /// Begin after this one, with those that have been kept
        #[arg(long, value_name = "SEQ")]
        after: Option<u64>,
        /// Only those of these names, or of what begins so: sys.call.on_dtmf, sys.conf.*
        #[arg(long, value_name = "TYPE", value_delimiter = ',')]
        types: Vec<String>,
    },
}

fn params(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => Ok(value),
        Ok(_) => Err("an object or an array is expected".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl Remote {
    /// Whether a server is named.
    pub(super) fn is_named(&self) -> bool {
        self.url.as_ref().is_some_and(|url| !url.is_empty())
    }

    /// The server of a configuration of this machine; the token that is named, or the only one that there is.
    pub(super) fn of(&self, config: &Config) -> Self {
        let mut address = config.rpc.listen;
        match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let only = match &config.rpc.tokens[..] {
            [only] => Some(only.expose().to_owned()),
            _ => None,
        };
        let token = self.token.clone().filter(|token| !token.is_empty()).or(only);
        Self { url: Some(format!("ws://{address}/rpc")), token, output: self.output }
    }
}

/// Hands on the records of calls after one, page by page, an empty one first.
pub(super) fn records(
    remote: &Remote,
    (mut after, limit): (u64, u32),
    mut write: impl FnMut(&[CallRecord]) -> Result<(), Broken>,
) -> Result<(), Broken> {
    serve::runtime()?.block_on(async {
        let client = connect(remote).await?;
        write(&[])?;
        loop {
            let page = client.call(&wire::Cdr { after, limit }).await.map_err(failure)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            write(&page)?;
        }
    })
}

/// Asks, and shows the answer.
pub(super) fn run(ask: &Ask, remote: &Remote) -> Result<(), Failure> {
    serve::runtime()?.block_on(async {
        let client = connect(remote).await?;
        tokio::select! {
            result = carry_out(ask, &client, remote) => result,
            _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
        }
    })
}

async fn carry_out(ask: &Ask, client: &Client, remote: &Remote) -> Result<(), Failure> {
    let output = remote.output;
    match ask {
        Ask::Call(Calls::Ls) => show_calls(&calls(client).await?, output),
        Ask::Call(Calls::Show { res_id }) => show(&client.get(res_id).await.map_err(failure)?, output),
        Ask::Call(Calls::Explain { res_id }) => {
            let explain = wire::Explain { res_id: res_id.clone() };
            let explained = match client.call(&explain).await {
                // A call that is over is explained too, for a while.
                Err(error) if error.reason() == Some("resource_not_found") => {
                    let text =
                        format!("{res_id}: no such call is known; of those that are over the last ones are");
                    return Err(Failure::Failed(text));
                }
                other => other.map_err(failure)?,
            };
            match output {
                Output::Json => print(&pretty(&explained)?),
                Output::Table => print(&ladder::drawn(&explained)),
            }
        }
        Ask::Call(Calls::Drop { res_id, cause }) => client.drop_call(res_id, *cause).await.map_err(failure),
        Ask::Conf(Conferences::Ls) => show_conferences(&conferences(client).await?, output),
        Ask::Conf(Conferences::Show { res_id }) => show_conference(client, res_id, output).await,
        Ask::Events(Events::Tail { after, types }) => {
            tail(client, remote, Wanted { after: *after, types, output }).await
        }
        Ask::Rpc { method, params } => {
            print(&pretty(&client.request(method, params.clone()).await.map_err(failure)?)?)
        }
    }
}

pub(super) async fn connect(remote: &Remote) -> Result<Client, Failure> {
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let url = websocket(&given(&remote.url).unwrap_or_else(|| URL.to_owned()));
    let token = given(&remote.token);
    match tokio::time::timeout(CONNECT, Client::connect(&url, token.as_deref())).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(Error::Refused { status: 401 })) => Err(Failure::NotPermitted(match token {
            None => format!("{url}: a token is required: --token or OFFHOOK_TOKEN"),
            Some(_) => format!("{url}: this token is not known there"),
        })),
        Ok(Err(error @ Error::Refused { status: 403 })) => {
            Err(Failure::NotPermitted(format!("{url}: {error}")))
        }
        Ok(Err(error)) => Err(Failure::Unavailable(format!("{url}: {error}"))),
        Err(_) => Err(Failure::Unavailable(format!("{url}: no answer within {} s", CONNECT.as_secs()))),
    }
}

/// The URL as the WebSocket wants it: `http` is the same port, and a path that is left out is `/rpc`.
fn websocket(url: &str) -> String {
    let (scheme, place) = url.split_once("://").unwrap_or(("ws", url));
    let scheme = match scheme {
        "http" => "ws",
        "https" => "wss",
        other => other,
    };
    let place = place.trim_end_matches('/');
    let path = if place.contains('/') { "" } else { "/rpc" };
    format!("{scheme}://{place}{path}")
}

/// What the shell is told of a request that failed.
pub(super) fn failure(error: Error) -> Failure {
    let text = error.to_string();
    match (&error, error.reason()) {
        (_, Some("not_permitted")) => Failure::NotPermitted(text),
        (_, Some("limit_reached" | "gateway_unavailable" | "shutting_down")) | (Error::Timeout, _) => {
            Failure::TryLater(text)
        }
        (Error::Connection(_) | Error::Refused { .. }, _) => Failure::Unavailable(text),
        _ => Failure::Failed(text),
    }
}

/// All of them; one that ends meanwhile is left out.
async fn calls(client: &Client) -> Result<Vec<CallInfo>, Failure> {
    let (mut calls, mut after) = (Vec::new(), None);
    loop {
        let page = client.call(&wire::List { state: None, after, limit: PAGE }).await.map_err(failure)?;
        let Some(last) = page.last() else { return Ok(calls) };
        after = Some(last.clone());
        for res_id in &page {
            calls.extend(unless_gone(client.get(res_id).await)?);
        }
    }
}

async fn conferences(client: &Client) -> Result<Vec<ConferenceInfo>, Failure> {
    let (mut conferences, mut after) = (Vec::new(), None);
    loop {
        let page = client.call(&wire::ConfList { after, limit: PAGE }).await.map_err(failure)?;
        let Some(last) = page.last() else { return Ok(conferences) };
        after = Some(last.clone());
        for res_id in &page {
            let info = client.call(&wire::ConfGet { res_id: res_id.clone() }).await;
            conferences.extend(unless_gone(info)?);
        }
    }
}

fn unless_gone<T>(result: Result<T, Error>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.reason() == Some("resource_not_found") => Ok(None),
        Err(error) => Err(failure(error)),
    }
}

fn show_calls(calls: &[CallInfo], output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return print(&pretty(&calls)?);
    }
    let now = clock::now().wall;
    let row = |call: &CallInfo| {
        let dash = || "-".to_owned();
        vec![
            call.res_id.clone(),
            word(&call.state),
            age(now, call.begin_time),
            word(&call.call_dir),
            call.from_uri.clone(),
            call.to_uri.clone(),
            call.gateway.clone().unwrap_or_else(dash),
            call.codec.clone().unwrap_or_else(dash),
            call.media.mos.map_or_else(dash, |mos| format!("{mos:.2}")),
        ]
    };
    let head = ["CALL", "STATE", "AGE", "DIRECTION", "FROM", "TO", "GATEWAY", "CODEC", "MOS"];
    print(&table::columns(&head, calls.iter().map(row)))
}

/// How old a call is, by the clock of this machine; a server whose clock is ahead has no calls of the future.
fn age(now: UnixMs, begin: i64) -> String {
    let seconds = now.0.div_euclid(1000).saturating_sub(begin).max(0);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

fn show_conferences(conferences: &[ConferenceInfo], output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return print(&pretty(&conferences)?);
    }
    let row = |conference: &ConferenceInfo| {
        vec![
            conference.res_id.clone(),
            conference.parts.to_string(),
            if conference.playing { "yes" } else { "no" }.to_owned(),
            conference.record_file.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    print(&table::columns(&["CONFERENCE", "MEMBERS", "PLAYS", "RECORDING"], conferences.iter().map(row)))
}

async fn show_conference(client: &Client, res_id: &str, output: Output) -> Result<(), Failure> {
    let info = client.call(&wire::ConfGet { res_id: res_id.to_owned() }).await.map_err(failure)?;
    let parts = client.call(&wire::GetParts { res_id: res_id.to_owned() }).await.map_err(failure)?;
    let mut all = serde_json::to_value(info).map_err(|error| Failure::Failed(error.to_string()))?;
    all["members"] = serde_json::to_value(parts).map_err(|error| Failure::Failed(error.to_string()))?;
    show(&all, output)
}

fn show(value: &impl Serialize, output: Output) -> Result<(), Failure> {
    match output {
        Output::Json => print(&pretty(value)?),
        Output::Table => {
            let value = serde_json::to_value(value).map_err(|error| Failure::Failed(error.to_string()))?;
            print(&table::members(&value))
        }
    }
}

/// A small word of the API as it is written there.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        other => other.map(|value| value.to_string()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_be_short() {
        for (given, meant) in [
            ("ws://127.0.0.1:8080/rpc", "ws://127.0.0.1:8080/rpc"),
            ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/rpc"),
            ("http://127.0.0.1:8080/", "ws://127.0.0.1:8080/rpc"),
            ("https://pbx.example/cti/rpc", "wss://pbx.example/cti/rpc"),
            ("127.0.0.1:9000", "ws://127.0.0.1:9000/rpc"),
        ] {
            assert_eq!(websocket(given), meant);
        }
    }

    #[test]
    fn a_configuration_says_where_its_server_is() {
        let of = |text: &str, remote: Remote| {
            let remote = remote.of(&Config::from_parts(text, "f.toml", []).unwrap());
            (remote.url.unwrap(), remote.token)
        };
        let nothing = || Remote { url: None, token: None, output: Output::Table };
        assert_eq!(of("", nothing()), ("ws://127.0.0.1:8080/rpc".to_owned(), None));
        let one = "rpc.listen = '0.0.0.0:9000'\nrpc.tokens = ['call:s3cret']";
        assert_eq!(of(one, nothing()), ("ws://127.0.0.1:9000/rpc".to_owned(), Some("s3cret".to_owned())));
        let other = Remote { token: Some("other".to_owned()), ..nothing() };
        assert_eq!(of(one, other).1, Some("other".to_owned()));
        let two = "rpc.listen = '[::]:9000'\nrpc.tokens = ['read:a', 'call:b']";
        assert_eq!(of(two, nothing()), ("ws://[::1]:9000/rpc".to_owned(), None));
    }

    #[test]
    fn an_age_is_read_as_a_clock_is() {
        let of = |ms, begin| age(UnixMs(ms), begin);
        assert_eq!(of(1_800_000_059_999, 1_800_000_000), "0:59");
        assert_eq!(of(1_800_003_599_000, 1_800_000_000), "59:59");
        assert_eq!(of(1_800_093_784_000, 1_800_000_000), "26:03:04");
        assert_eq!(of(1_799_999_990_000, 1_800_000_000), "0:00");
    }

    /// The codes of the specification: 69 not reachable, 75 try later, 77 not permitted.
    #[test]
    fn what_the_shell_is_told_of_a_refusal() {
        let refused = |reason: &str| Error::Rpc {
            code: -1,
            message: String::new(),
            data: serde_json::json!({ "reason": reason }),
        };
        for (error, code) in [
            (refused("not_permitted"), 77),
            (refused("limit_reached"), 75),
            (refused("shutting_down"), 75),
            (refused("gateway_unavailable"), 75),
            (refused("resource_not_found"), 1),
            (Error::Timeout, 75),
            (Error::Connection(String::new()), 69),
        ] {
            let shown = format!("{error:?}");
            assert_eq!(failure(error).exit_code(), code, "{shown}");
        }
    }

    #[test]
    fn parameters_are_an_object_or_an_array() {
        assert!(params("{\"a\": 1}").is_ok() && params("[1]").is_ok());
        assert!(params("1").is_err() && params("{").is_err());
    }
}
