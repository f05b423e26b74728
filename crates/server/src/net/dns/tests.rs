//! RFC 3263 against a name server of our own on loopback, which knows what a test tells it. Time is the tests' own, so that
//! no answer comes too late because the machine was busy.

use std::cell::RefCell;
use std::rc::Rc;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::Record;
use hickory_resolver::proto::rr::rdata::{A, AAAA, NAPTR, SRV};

use super::*;

/// What a question of this name and kind gets.
type Zone = Vec<(&'static str, RData)>;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn a(host: &'static str, address: &str) -> (&'static str, RData) {
    (host, RData::A(A(address.parse().unwrap())))
}

fn aaaa(host: &'static str, address: &str) -> (&'static str, RData) {
    (host, RData::AAAA(AAAA(address.parse().unwrap())))
}

fn srv_record(of: &'static str, priority: u16, port: u16, host: &str) -> (&'static str, RData) {
    (of, RData::SRV(SRV::new(priority, 0, port, name(host))))
}

fn naptr(of: &'static str, order: u16, service: &str, replacement: &str) -> (&'static str, RData) {
    let bytes = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
    let data = NAPTR::new(order, 0, bytes("s"), bytes(service), bytes(""), name(replacement));
    (of, RData::NAPTR(data))
}

/// What it was asked, in its order.
type Asked = Rc<RefCell<Vec<String>>>;

/// A name server. It is silent about the kinds in `silent`: whoever asks for one has waited as long as it may.
async fn server(zone: Zone, silent: &'static [RecordType]) -> (SocketAddr, Asked) {
    #[allow(clippy::disallowed_types, reason = "the name server of the tests")]
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let asked = Asked::default();
    let heard = Rc::clone(&asked);
    tokio::task::spawn_local(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let question = Message::from_vec(&buffer[..length]).unwrap();
            let query = question.queries[0].clone();
            let (host, kind) = (query.name().to_ascii().to_ascii_lowercase(), query.query_type());
            heard.borrow_mut().push(format!("{kind} {host}"));
            if silent.contains(&kind) {
                tokio::time::advance(STEP).await;
                continue;
            }
            let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
            answer.add_query(query.clone());
            let fits = |(of, data): &&(&str, RData)| *of == host && data.record_type() == kind;
            let records: Vec<_> = zone.iter().filter(fits).collect();
            if records.is_empty() && !zone.iter().any(|(of, _)| *of == host) {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            answer.add_answers(
                records
                    .into_iter()
                    .map(|(_, data)| Record::from_rdata(query.name().clone(), 60, data.clone())),
            );
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    });
    (address, asked)
}

const ALL: &[(Transport, &str)] = &[
    (Transport::Udp, "127.0.0.1:5060"),
    (Transport::Tcp, "127.0.0.1:5060"),
    (Transport::Tls, "127.0.0.1:5061"),
];

fn lookup(host: &str) -> Lookup {
    Lookup { host: host.to_owned(), port: None, transport: None, secure: false }
}

/// How long a test may take by the clock on the wall, before time goes on by itself and its waits come to an end.
const STUCK: Duration = Duration::from_secs(60);

/// Runs a test while time stands still, but for what the name server has it advance: tokio's own does not go on while a
/// thread works beside it.
fn run(test: impl Future<Output = ()>) {
    let (over, is_over) = std::sync::mpsc::channel::<()>();
    let runtime = stopped_clock();
    runtime.spawn_blocking(move || is_over.recv_timeout(STUCK).is_ok());
    tokio::task::LocalSet::new().block_on(&runtime, test);
    drop(over);
}

/// Time goes on to the next deadline whenever nothing else is to be done.
fn stopped_clock() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

async fn resolver(server: SocketAddr, local: &[(Transport, &str)]) -> (Resolver, mpsc::Receiver<Input>) {
    let (sender, inputs) = mpsc::channel(8);
    let local = local.iter().map(|(transport, address)| (*transport, address.parse().unwrap())).collect();
    (Resolver::new(sender, &[server], local, Names::default()).unwrap(), inputs)
}

/// The targets as `UDP 192.0.2.1:5060`.
async fn targets(resolver: &Resolver, inputs: &mut mpsc::Receiver<Input>, lookup: Lookup) -> Vec<String> {
    resolver.resolve(QueryId(7), lookup);
    match timeout(Duration::from_secs(20), inputs.recv()).await.expect("no answer").unwrap() {
        Input::Resolved { query: QueryId(7), targets } => targets
            .iter()
            .map(|target| {
                assert_eq!(target.name.is_some(), target.transport == Transport::Tls);
                format!("{} {}", target.transport, target.address)
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

async fn found(zone: &Zone, local: &[(Transport, &str)], lookup: Lookup) -> Vec<String> {
    let (server, _) = server(zone.clone(), &[]).await;
    let (resolver, mut inputs) = resolver(server, local).await;
    targets(&resolver, &mut inputs, lookup).await
}

fn carrier() -> Zone {
    vec![
        naptr("example.com.", 20, "SIP+D2U", "_sip._udp.example.com."),
        naptr("example.com.", 10, "SIPS+D2T", "_sips._tcp.example.com."),
        naptr("example.com.", 5, "SIP+D2S", "_sip._sctp.example.com."),
        srv_record("_sip._udp.example.com.", 2, 5070, "b.example.com."),
        srv_record("_sip._udp.example.com.", 1, 5060, "a.example.com."),
        srv_record("_sips._tcp.example.com.", 1, 5071, "a.example.com."),
        a("a.example.com.", "192.0.2.1"),
        a("b.example.com.", "192.0.2.2"),
        aaaa("b.example.com.", "2001:db8::2"),
        a("example.com.", "192.0.2.9"),
    ]
}

#[test]
fn naptr_chooses_the_transport_and_srv_the_hosts() {
    run(async {
        let zone = carrier();
        let udp = ["UDP 192.0.2.1:5060", "UDP 192.0.2.2:5070"];
        let all = ["TLS 192.0.2.1:5071", "UDP 192.0.2.1:5060", "UDP 192.0.2.2:5070"];
        assert_eq!(found(&zone, ALL, lookup("example.com")).await, all);
        assert_eq!(found(&zone, &ALL[..1], lookup("example.com")).await, udp, "what we can speak");
        let both = [ALL[0], (Transport::Udp, "[::1]:5060")];
        let families = ["UDP 192.0.2.1:5060", "UDP 192.0.2.2:5070", "UDP [2001:db8::2]:5070"];
        assert_eq!(found(&zone, &both, lookup("example.com")).await, families);
        let six = [(Transport::Udp, "[::1]:5060"), ALL[0]];
        let families = ["UDP 192.0.2.1:5060", "UDP [2001:db8::2]:5070", "UDP 192.0.2.2:5070"];
        assert_eq!(found(&zone, &six, lookup("example.com")).await, families);
    });
}

#[test]
fn what_the_uri_says_needs_not_be_asked_for() {
    run(async {
        let zone = carrier();
        let udp = Lookup { transport: Some(Transport::Udp), ..lookup("example.com") };
        let expected = ["UDP 192.0.2.1:5060", "UDP 192.0.2.2:5070"];
        assert_eq!(found(&zone, ALL, udp).await, expected, "a transport: its SRV");
        let tcp = Lookup { transport: Some(Transport::Tcp), ..lookup("example.com") };
        assert_eq!(found(&zone, ALL, tcp).await, ["TCP 192.0.2.9:5060"], "no SRV: the host itself");
        let port = Lookup { port: Some(5080), ..lookup("example.com") };
        assert_eq!(found(&zone, ALL, port.clone()).await, ["UDP 192.0.2.9:5080"], "a port: no SRV");
        assert_eq!(found(&zone, ALL, Lookup { secure: true, ..port }).await, ["TLS 192.0.2.9:5080"]);
        let secure = Lookup { secure: true, ..lookup("example.com") };
        assert_eq!(found(&zone, ALL, secure.clone()).await, ["TLS 192.0.2.1:5071"], "sips: TLS only");
        assert!(found(&zone, &ALL[..2], secure).await.is_empty(), "and never anything else");
    });
}

#[test]
fn without_naptr_every_transport_of_ours_is_asked_for() {
    run(async {
        let zone = vec![
            srv_record("_sip._tcp.example.org.", 1, 5062, "a.example.org."),
            a("a.example.org.", "192.0.2.1"),
            a("plain.example.org.", "192.0.2.3"),
        ];
        assert_eq!(found(&zone, ALL, lookup("example.org")).await, ["TCP 192.0.2.1:5062"]);
        assert_eq!(found(&zone, ALL, lookup("plain.example.org")).await, ["UDP 192.0.2.3:5060"]);
        let tls = Lookup { transport: Some(Transport::Tls), ..lookup("plain.example.org") };
        assert_eq!(found(&zone, ALL, tls).await, ["TLS 192.0.2.3:5061"]);
        assert!(found(&zone, ALL, lookup("nobody.example.org")).await.is_empty());
    });
}

#[test]
fn an_answer_is_kept_as_long_as_it_says() {
    run(async {
        let (server, asked) = server(carrier(), &[]).await;
        let (resolver, mut inputs) = resolver(server, &ALL[..1]).await;
        let first = targets(&resolver, &mut inputs, lookup("example.com")).await;
        let questions = asked.borrow().len();
        assert_eq!(targets(&resolver, &mut inputs, lookup("example.com")).await, first);
        assert_eq!(asked.borrow().len(), questions, "{:?}", asked.borrow());
    });
}

#[test]
fn this_machine_is_known_without_a_name_server() {
    run(async {
        let (server, asked) = server(Zone::new(), &[]).await;
        let (resolver, mut inputs) = resolver(server, ALL).await;
        assert_eq!(targets(&resolver, &mut inputs, lookup("localhost")).await, ["UDP 127.0.0.1:5060"]);
        assert!(asked.borrow().is_empty(), "{:?}", asked.borrow());
    });
}

#[test]
fn s18_a_silent_name_service_holds_up_nobody_for_long() {
    tokio::task::LocalSet::new().block_on(&stopped_clock(), async {
        let since = tokio::time::Instant::now();
        // It is bound, and nobody reads what comes to it.
        #[allow(clippy::disallowed_types, reason = "the name server of the test")]
        let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (resolver, mut inputs) = resolver(server.local_addr().unwrap(), ALL).await;
        resolver.resolve(QueryId(1), lookup("example.com"));
        // The loop goes on meanwhile, and what needs no name service is answered.
        assert_eq!(targets(&resolver, &mut inputs, lookup("localhost")).await, ["UDP 127.0.0.1:5060"]);
        let answer = timeout(Duration::from_secs(20), inputs.recv()).await.unwrap().unwrap();
        assert!(matches!(answer, Input::Resolved { query: QueryId(1), ref targets } if targets.is_empty()));
        let took = since.elapsed();
        assert!(took <= DEADLINE + Duration::from_millis(1), "{took:?}");
    });
}

#[test]
fn s18_a_name_service_that_is_silent_about_naptr_and_srv_only_costs_time() {
    run(async {
        let (server, _) = server(carrier(), &[RecordType::NAPTR, RecordType::SRV]).await;
        let (resolver, mut inputs) = resolver(server, ALL).await;
        assert_eq!(targets(&resolver, &mut inputs, lookup("example.com")).await, ["UDP 192.0.2.9:5060"]);
    });
}
