//! Where PostgreSQL is: a URI as libpq has it, in which TLS is what a secret deserves.

use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How long an address may take to answer, where the URI does not say.
const CONNECT: Duration = Duration::from_secs(10);

/// Reads a URI. On this machine, by loopback or a socket, there is no TLS unless it says so; elsewhere there is unless it says
/// otherwise, and whoever answers must show a certificate for the name that the URI has. (libpq asks for TLS and takes whatever
/// comes, which protects nothing from who stands in between.)
pub(crate) fn parse(uri: &str) -> Result<Config, &'static str> {
    const EXPECTED: &str =
        "is not postgres://USER:PASSWORD@HOST[:PORT]/DATABASE, in which ?sslmode= is disable or require";
    if !["postgres://", "postgresql://"].iter().any(|scheme| uri.starts_with(scheme)) {
        return Err(EXPECTED);
    }
    // What the parser complains of may be a part of the password.
    let mut config: Config = uri.parse().map_err(|_| EXPECTED)?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err("names no host");
    }
    if config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(if is_here(&config) { SslMode::Disable } else { SslMode::Require });
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    if config.get_application_name().is_none() {
        config.application_name("offhook");
    }
    Ok(config)
}

/// Whether what is sent there can be read on the way.
pub(crate) fn is_open(config: &Config) -> bool {
    config.get_ssl_mode() == SslMode::Disable && !is_here(config)
}

/// Whether all of it is on this machine.
fn is_here(config: &Config) -> bool {
    let is_ours = |host: &Host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        Host::Unix(_) => true,
    };
    // An address that is given beside a name is what is connected to.
    match config.get_hostaddrs() {
        [] => config.get_hosts().iter().all(is_ours),
        addresses => addresses.iter().all(IpAddr::is_loopback),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, mode: SslMode, open: bool) {
        let config = parse(uri).unwrap_or_else(|problem| panic!("{uri}: {problem}"));
        assert_eq!((config.get_ssl_mode(), is_open(&config)), (mode, open), "{uri}");
    }

    #[test]
    fn a_way_that_others_may_read_is_by_tls() {
        check("postgres://a:b@db.example/cdr", SslMode::Require, false);
        check("postgresql://a:b@db.example/cdr?sslmode=prefer", SslMode::Require, false);
        check("postgres://a:b@db.example/cdr?sslmode=disable", SslMode::Disable, true);
        check("postgres://a:b@127.0.0.1:5433/cdr", SslMode::Disable, false);
        check("postgres://a:b@[::1]/cdr", SslMode::Disable, false);
        check("postgres://a:b@localhost/cdr", SslMode::Disable, false);
        check("postgres://a@localhost/cdr?sslmode=require", SslMode::Require, false);
        check("postgres://a@%2Fvar%2Frun%2Fpostgresql/cdr", SslMode::Disable, false);
        check("postgres:///cdr?host=/var/run/postgresql", SslMode::Disable, false);
        check("postgres://a@localhost,db.example/cdr", SslMode::Require, false);
        check("postgres://a@localhost/cdr?hostaddr=192.0.2.1", SslMode::Require, false);
    }

    #[test]
    fn what_is_no_address_is_told_without_its_password() {
        for uri in [
            "db.example",
            "mysql://a@b/c",
            "postgres://a:b@db.example/c?ssw0rd=1",
            "postgres://a:b@db.example:ssw0rd/c",
        ] {
            let problem = parse(uri).expect_err(uri);
            assert!(!problem.contains("ssw0rd"), "{problem}");
        }
        assert_eq!(parse("postgres://").err(), Some("names no host"));
        assert_eq!(parse("postgres:///cdr").err(), Some("names no host"));
    }

    #[test]
    fn a_password_may_have_any_character() {
        let config = parse("postgres://off%40hook:p%2Fa%3As%20s@db.example/cdr").unwrap();
        assert_eq!((config.get_user(), config.get_password()), (Some("off@hook"), Some(&b"p/a:s s"[..])));
    }
}
