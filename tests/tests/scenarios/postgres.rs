//! The records of calls in PostgreSQL too (`[cdr] postgres`): each exactly once, whoever is killed.

use std::time::{Duration, Instant};

use offhook_client::wire::{self, CallRecord};
use offhook_tests::app::{self, App};
use offhook_tests::caller::Caller;
use offhook_tests::dir::TestDir;
use offhook_tests::postgres::Postgres;
use offhook_tests::server::{Server, Setup, fixtures};
use offhook_tests::wait::{self, PATIENCE};

/// What a server may need to find out that PostgreSQL is back: the longest rest after three failures, and as much again.
const BACK: Duration = Duration::from_secs(20);

fn copying_to(uri: &str, more: &str) -> Setup {
    Setup { sections: format!("[cdr]\npostgres = \"{uri}\"\n{more}"), ..Setup::default() }
}

async fn call(server: &Server, app: &mut App) {
    let caller = Caller::answered(server, app).await;
    caller.hang_up().await;
    app.released(&caller.res_id).await;
}

async fn until_there(postgres: &Postgres, count: usize) {
    let what = format!("{count} records in PostgreSQL");
    let counted = async || {
        let found = postgres.try_ask("SELECT count(*) FROM offhook_cdr")?;
        (found == count.to_string()).then_some(())
    };
    wait::until(&what, BACK, counted).await;
}

/// What PostgreSQL has is what `sys.call.cdr` tells, but for the number of a record, which is of its own database.
async fn compare(postgres: &Postgres, app: &App) {
    let rows = postgres.ask("SELECT to_jsonb(c) || '{\"id\": 0}' FROM offhook_cdr c");
    let mut there = rows.lines().map(|line| serde_json::from_str(line).expect("a record"));
    let here = app.client.call(&wire::Cdr::default()).await.expect("a page of records");
    let mut here = here.into_iter().map(|record| CallRecord { id: 0, ..record });
    let sorted = |records: &mut dyn Iterator<Item = CallRecord>| {
        let mut records: Vec<CallRecord> = records.collect();
        records.sort_by(|one, other| one.res_id.cmp(&other.res_id));
        records
    };
    assert_eq!(sorted(&mut there), sorted(&mut here));
}

#[tokio::test]
async fn every_record_reaches_postgresql_once_over_kills_of_both() {
    let dir = TestDir::new("cdr-postgres");
    let mut postgres = Postgres::start(&dir).await;
    let mut server = Server::start_with("cdr-copied", &copying_to(&postgres.uri(), "")).await;
    let mut app = App::connect(&server).await;
    for _ in 0..5 {
        call(&server, &mut app).await;
    }
    until_there(&postgres, 5).await;
    compare(&postgres, &app).await;

    // Calls do not wait for it.
    postgres.kill();
    let began = Instant::now();
    for _ in 0..5 {
        call(&server, &mut app).await;
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(server.metric("offhook_cdr_postgres_backlog").await, 5);
    let noticed = async || (server.metric("offhook_cdr_postgres_failures_total").await > 0).then_some(());
    wait::until("a failure", PATIENCE, noticed).await;
    // One more, which the kill cuts off, and the next server finds while PostgreSQL is still away.
    let caller = Caller::answered(&server, &mut app).await;
    server.kill();
    server.end(PATIENCE).await;
    server.start_again().await;
    caller.is_hung_up_on(PATIENCE).await;
    assert_eq!(server.metric("offhook_cdr_postgres_backlog").await, 6);
    postgres.start_again().await;
    until_there(&postgres, 11).await;
    let mut app = App::connect(&server).await;
    compare(&postgres, &app).await;

    // Killed at whatever it is doing with the last records.
    for round in 1..=3 {
        for _ in 0..3 {
            call(&server, &mut app).await;
        }
        server.kill();
        server.end(PATIENCE).await;
        server.start_again().await;
        app = App::connect(&server).await;
        until_there(&postgres, 11 + 3 * round).await;
    }
    compare(&postgres, &app).await;

    // Who does not know any more how far it was begins anew, and nothing is there twice.
    server.terminate();
    server.end(PATIENCE).await;
    std::fs::remove_file(server.dir().join("data/cdr-postgres")).expect("how far it was");
    server.start_again().await;
    let caught_up = async || (server.metric("offhook_cdr_postgres_backlog").await == 0).then_some(());
    wait::until("no backlog", PATIENCE, caught_up).await;
    until_there(&postgres, 20).await;
    compare(&postgres, &App::connect(&server).await).await;
    assert!(!server.log().contains("s3cret"), "{}", server.log());
}

/// Where TLS is asked for, it is PostgreSQL that answers, or nobody is told anything.
#[tokio::test]
async fn postgresql_is_reached_by_tls_and_must_be_who_is_meant() {
    let dir = TestDir::new("cdr-tls");
    let postgres = Postgres::start_secure(&dir).await;
    let (uri, ca) = (format!("{}?sslmode=require", postgres.uri()), fixtures().join("tls/ca.pem"));
    let trusting = copying_to(&uri, &format!("postgres_ca = {ca:?}"));
    let server = Server::start_with("cdr-tls", &trusting).await;
    let mut app = App::connect(&server).await;
    call(&server, &mut app).await;
    until_there(&postgres, 1).await;
    let session =
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'offhook'";
    assert_eq!(postgres.ask(session), "t");

    let stranger = fixtures().join("tls/stranger.pem");
    let distrusting = copying_to(&uri, &format!("postgres_ca = {stranger:?}"));
    let server = Server::start_with("cdr-foreign", &distrusting).await;
    let mut app = App::connect(&server).await;
    call(&server, &mut app).await;
    let failed = async || (server.metric("offhook_cdr_postgres_failures_total").await > 0).then_some(());
    wait::until("a failure", PATIENCE, failed).await;
    assert!(server.log().contains("UnknownIssuer"), "{}", server.log());
    assert_eq!(server.metric("offhook_cdr_postgres_backlog").await, 1);
    assert_eq!(postgres.ask("SELECT count(*) FROM offhook_cdr"), "1");
}

/// A table that somebody else has made, with a rule of theirs, and a user who may write it and no more: one record that is
/// refused holds up no other.
#[tokio::test]
async fn a_record_that_postgresql_refuses_holds_up_no_other() {
    let dir = TestDir::new("cdr-refused");
    let postgres = Postgres::start(&dir).await;
    // The table as a server makes it.
    let first = Server::start_with("cdr-first", &copying_to(&postgres.uri(), "")).await;
    call(&first, &mut App::connect(&first).await).await;
    until_there(&postgres, 1).await;
    postgres.ask(
        "DELETE FROM offhook_cdr; ALTER TABLE offhook_cdr ADD CHECK (user_data <> 'unlucky'); \
         ALTER TABLE offhook_cdr ADD came timestamptz DEFAULT now(); \
         CREATE ROLE writer LOGIN PASSWORD 'other'; GRANT INSERT ON offhook_cdr TO writer",
    );
    let uri = postgres.uri().replace("offhook:s3cret", "writer:other");
    let server = Server::start_with("cdr-refused", &copying_to(&uri, "")).await;
    let mut app = App::connect(&server).await;
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    for mark in ["lucky", "unlucky", "a\0b"] {
        let construct = wire::Construct { user_data: Some(mark.to_owned()), ..app::to(nobody) };
        let res_id = app.dial_with(construct).await;
        app.client.drop_call(&res_id, 603).await.expect("its end");
        app.released(&res_id).await;
    }
    call(&server, &mut app).await;
    until_there(&postgres, 3).await;
    let marks =
        postgres.ask("SELECT coalesce(user_data, '-') FROM offhook_cdr ORDER BY begin_time_ms, res_id");
    assert_eq!(marks, "lucky\na\u{fffd}b\n-");
    let metrics = server.metrics().await;
    for line in ["{result=\"copied\"} 3", "{result=\"refused\"} 1", "{result=\"lost\"} 0"] {
        let line = format!("offhook_cdr_postgres_records_total{line}\n");
        assert!(metrics.contains(&line), "no {line} in\n{metrics}");
    }
    assert_eq!(server.metric("offhook_cdr_postgres_backlog").await, 0);
}
