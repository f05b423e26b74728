//! SIGHUP: what of a new configuration is taken over while calls are up, and what waits for the next start.
//!
//! ```text
//!   file ─▶ Config ─▶ merged with the one in force ─▶ check ─┬▶ control loop: gateways, limits
//!             │                                              ├▶ HTTP: tokens
//!             │                                              ├▶ web hooks of the configuration
//!             └ wrong: refused, the old one stays            └▶ log: level
//! ```
//! What is checked is what will be in force, not what is in the file: tokens that a file drops because it listens on
//! loopback now are still needed where the socket is, beyond it. Prompts need no reload: each play looks at its files.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use offhook_exchange::Reload;
use offhook_sip::event::Transport;
use tokio::sync::{mpsc, watch};
use toml::{Table, Value};

use crate::cli::exit::Failure;
use crate::config::secret::Token;
use crate::config::{Config, Log, Rpc, Sip, Webhook};
use crate::input::Input;
use crate::{gateways, serve};

/// What a running server is given a new configuration by.
#[derive(Clone, Debug)]
pub(crate) struct Reloader {
    /// The configuration in force.
    pub(crate) config: Config,
    /// Where SIP is listened for.
    pub(crate) local: Vec<(Transport, SocketAddr)>,
    /// Where HTTP is.
    pub(crate) rpc: SocketAddr,
    /// The tokens that are good now.
    pub(crate) tokens: watch::Sender<Arc<[Token]>>,
    /// The web hooks that are configured now.
    pub(crate) webhooks: watch::Sender<Arc<[Webhook]>>,
    /// The control loop.
    pub(crate) inputs: mpsc::Sender<Input>,
}

impl Reloader {
    /// Takes over what can change, and names the keys that wait for the next start.
    pub(crate) async fn reload(&mut self, new: &Config) -> Result<Vec<String>, Failure> {
        let merged = merged(&self.config, new);
        merged.check().map_err(|(key, problem)| Failure::Config(format!("{key}: {problem}")))?;
        let ours = self.local.iter().map(|&(_, address)| address).chain([self.rpc]).collect();
        let reload = Reload {
            sip: serve::sip_config(&merged, &self.local),
            calls: serve::call_config(&merged, ours),
            gateways: merged.sip.gateway.iter().map(gateways::outbound).collect(),
        };
        let drain = Duration::from_secs(merged.limits.drain_seconds);
        self.tokens.send_replace(merged.rpc.tokens.clone().into());
        self.webhooks.send_replace(merged.webhook.clone().into());
        // A control loop that is gone has no use for it.
        let _ = self.inputs.send(Input::Reload(Box::new(reload), drain)).await;
        self.config = merged;
        Ok(differing(&self.config, new))
    }
}

/// The configuration in force with what of `new` can change.
fn merged(old: &Config, new: &Config) -> Config {
    Config {
        sip: Sip { gateway: new.sip.gateway.clone(), ..old.sip.clone() },
        rpc: Rpc { tokens: new.rpc.tokens.clone(), ..old.rpc.clone() },
        limits: new.limits.clone(),
        log: Log { level: new.log.level, ..old.log.clone() },
        webhook: new.webhook.clone(),
        ..old.clone()
    }
}

/// The keys that two configurations do not have in common.
fn differing(one: &Config, other: &Config) -> Vec<String> {
    let table = |config: &Config| Table::try_from(config).expect("a configuration is tables of values");
    let mut keys = Vec::new();
    walk("", &table(one), &table(other), &mut keys);
    // One secret is written out as any other.
    let secrets = |config: &Config| {
        [("cdr.postgres", config.cdr.postgres.clone()), ("speech.token", config.speech.token.clone())]
    };
    for ((key, one), (_, other)) in secrets(one).into_iter().zip(secrets(other)) {
        if one.is_some() && other.is_some() && one != other {
            keys.push(key.to_owned());
        }
    }
    keys
}

/// Every table is written out with all of its keys, so that both have the same ones.
fn walk(prefix: &str, one: &Table, other: &Table, keys: &mut Vec<String>) {
    for (key, value) in one {
        let key_here = format!("{prefix}{key}");
        match (value, other.get(key)) {
            (Value::Table(one), Some(Value::Table(other))) => walk(&format!("{key_here}."), one, other, keys),
            (value, other) if other != Some(value) => keys.push(key_here),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::from_parts(text, "test", []).unwrap()
    }

    fn reloader(config: Config) -> (Reloader, mpsc::Receiver<Input>, watch::Receiver<Arc<[Token]>>) {
        let (tokens, seen) = watch::channel(config.rpc.tokens.clone().into());
        let (inputs, taken) = mpsc::channel(4);
        let local = vec![(Transport::Udp, "127.0.0.1:5060".parse().unwrap())];
        let rpc = config.rpc.listen;
        let webhooks = watch::channel(config.webhook.clone().into()).0;
        (Reloader { config, local, rpc, tokens, webhooks, inputs }, taken, seen)
    }

    const GATEWAY: &str =
        "[[sip.gateway]]\nname = \"carrier\"\naddress = \"192.0.2.1\"\nnetworks = [\"192.0.2.0/24\"]\n";

    #[tokio::test]
    async fn gateways_limits_tokens_and_web_hooks_are_taken_over() {
        let (mut reloader, mut taken, tokens) = reloader(Config::default());
        let new = config(&format!(
            "{GATEWAY}[limits]\ncalls = 7\ndrain_seconds = 3\n[rpc]\ntokens = [\"read:r\"]\n\
             [[webhook]]\nurl = \"https://app.example/\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n"
        ));
        assert_eq!(reloader.reload(&new).await, Ok(Vec::new()));
        let Some(Input::Reload(reload, drain)) = taken.recv().await else { panic!("no reload") };
        assert_eq!((reload.calls.max_calls, reload.sip.max_sessions, drain), (7, 7, Duration::from_secs(3)));
        let names = [&*reload.gateways[0].name, &*reload.sip.gateways[0].name];
        assert_eq!((reload.gateways.len(), names), (1, ["carrier"; 2]));
        assert_eq!(tokens.borrow()[0].expose(), "r");
        assert_eq!(reloader.webhooks.borrow()[0].url, "https://app.example/");
    }

    #[tokio::test]
    async fn what_waits_for_the_next_start_is_named() {
        let (mut reloader, _taken, _tokens) = reloader(Config::default());
        let new = config(
            "[sip]\nlisten = [\"udp:127.0.0.1:5070\"]\n[rtp]\nptime_ms = 30\n[log]\nlevel = \"debug\"\nformat = \"json\"\n",
        );
        let waiting = reloader.reload(&new).await.unwrap();
        assert_eq!(waiting, ["log.format", "rtp.ptime_ms", "sip.listen"]);
        assert_eq!(reloader.config.log.level, crate::config::value::Level::Debug);
        // They are named as long as they wait.
        assert_eq!(reloader.reload(&new).await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn another_password_is_another_value() {
        let with =
            |password: &str| config(&format!("[cdr]\npostgres = \"postgres://a:{password}@localhost/b\""));
        let (mut reloader, _taken, _tokens) = reloader(with("one"));
        assert_eq!(reloader.reload(&with("one")).await.unwrap(), [""; 0]);
        assert_eq!(reloader.reload(&with("two")).await.unwrap(), ["cdr.postgres"]);
        assert_eq!(reloader.reload(&Config::default()).await.unwrap(), ["cdr.postgres"]);
    }

    /// The file by itself is good; what would be in force is a port for everybody without a token.
    #[tokio::test]
    async fn a_port_that_is_open_beyond_loopback_keeps_its_tokens() {
        let open = "[rpc]\nlisten = \"0.0.0.0:8080\"\ntokens = [\"s3cret\"]\n";
        let (mut reloader, mut taken, tokens) = reloader(config(open));
        let refused = reloader.reload(&Config::default()).await;
        assert!(
            matches!(&refused, Err(Failure::Config(problem)) if problem.starts_with("rpc.listen: ")),
            "{refused:?}"
        );
        assert!(taken.try_recv().is_err(), "nothing is taken over");
        assert_eq!(tokens.borrow().len(), 1);
    }
}
