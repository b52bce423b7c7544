//! Two stacks on a virtual clock, joined by a pipe that loses datagrams when told to.

mod closing;
mod delivery;
mod faults;
mod opening;
mod packets;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256, Sha512};

use super::*;

const LATENCY: Duration = Duration::from_micros(500);
const PARAMETERS: SctpParameters = SctpParameters {
    remote_port: 5000,
    local_port: 5000,
    receive_window: 384 * 1024,
    send_window: 512 * 1024,
    max_message_size: 262_144,
};

struct End {
    stack: Stack,
    address: SocketAddr,
    certificate: Vec<u8>,
    candidate: String,
    credentials: Credentials,
    inbox: VecDeque<(Instant, Path, BytesMut)>,
    events: Vec<StackEvent>,
    /// Messages per channel, in order.
    messages: Vec<(u16, MessageKind, Bytes)>,
}

impl End {
    fn new(now: Instant, name: &str, address: &str) -> Self {
        let certified = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
        let identity = Identity::from_pem(&certified.cert.pem(), &certified.signing_key.serialize_pem())
            .expect("a usable identity");
        let mut stack = Stack::new(identity);
        let address: SocketAddr = address.parse().expect("an address");
        let credentials = Credentials {
            username_fragment: format!("{name}frag"),
            password: format!("{name}-password-of-more-than-22-characters"),
        };
        stack.set_local_credentials(now, credentials.clone());
        let candidate = stack.add_local_candidate(now, address).expect("a candidate");
        Self {
            stack,
            address,
            certificate: certified.cert.der().to_vec(),
            candidate,
            credentials,
            inbox: VecDeque::new(),
            events: Vec::new(),
            messages: Vec::new(),
        }
    }

    fn description(&self) -> (Credentials, String) {
        (self.credentials.clone(), self.candidate.clone())
    }

    fn has(&self, wanted: impl Fn(&StackEvent) -> bool) -> bool {
        self.events.iter().any(wanted)
    }

    fn is_open(&self, id: u16) -> bool {
        self.has(|event| {
            *event == StackEvent::ChannelOpen(id)
                || matches!(event, StackEvent::IncomingChannel { id: incoming, .. } if *incoming == id)
        })
    }
}

struct Pair {
    now: Instant,
    start: Instant,
    a: End,
    b: End,
    sent: usize,
    lose: Box<dyn FnMut(usize) -> bool>,
    adopt: bool,
    /// Pauses a channel after each so many messages.
    pause_after: Option<usize>,
}

fn hex(digest: &[u8]) -> String {
    digest
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(":")
}

fn sha256(certificate: &[u8]) -> Vec<Fingerprint> {
    vec![Fingerprint {
        algorithm: "sha-256".into(),
        value: hex(&Sha256::digest(certificate)),
    }]
}

/// A small generator of the same numbers everywhere.
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

fn losing(percent: u64, seed: u64) -> Box<dyn FnMut(usize) -> bool> {
    let mut next = random(seed);
    Box::new(move |_| next() % 100 < percent)
}

impl Pair {
    fn new(lose: Box<dyn FnMut(usize) -> bool>) -> Self {
        let now = Instant::now();
        let a = End::new(now, "a", "192.0.2.1:1000");
        let b = End::new(now, "b", "192.0.2.2:2000");
        Self {
            now,
            start: now,
            a,
            b,
            sent: 0,
            lose,
            adopt: true,
            pause_after: None,
        }
    }

    /// Exchanges descriptions: `a` offers and is controlling, `b` answers as DTLS client.
    fn connect(&mut self) {
        let (for_a, for_b) = (sha256(&self.b.certificate), sha256(&self.a.certificate));
        self.connect_with(for_a, for_b);
    }

    fn connect_with(&mut self, for_a: Vec<Fingerprint>, for_b: Vec<Fingerprint>) {
        let now = self.now;
        let (of_a, of_b) = (self.a.description(), self.b.description());
        for (end, other, role, dtls, fingerprints) in [
            (&mut self.b, of_a, IceRole::Controlled, DtlsRole::Client, for_b),
            (&mut self.a, of_b, IceRole::Controlling, DtlsRole::Server, for_a),
        ] {
            end.stack.set_remote_credentials(now, other.0, role);
            let candidate = parse_candidate(&other.1)
                .expect("a valid candidate")
                .expect("a usable candidate");
            end.stack.add_remote_candidate(now, candidate);
            end.stack.start_dtls(now, dtls, fingerprints);
            end.stack.start_sctp(now, PARAMETERS);
        }
    }

    fn pump(&mut self) {
        let now = self.now;
        Self::drive(
            now,
            &mut self.a,
            &mut self.b.inbox,
            &mut self.sent,
            &mut self.lose,
            self.adopt,
            self.pause_after,
        );
        Self::drive(
            now,
            &mut self.b,
            &mut self.a.inbox,
            &mut self.sent,
            &mut self.lose,
            self.adopt,
            self.pause_after,
        );
    }

    fn drive(
        now: Instant,
        end: &mut End,
        other: &mut VecDeque<(Instant, Path, BytesMut)>,
        sent: &mut usize,
        lose: &mut dyn FnMut(usize) -> bool,
        adopt: bool,
        pause_after: Option<usize>,
    ) {
        while end.inbox.front().is_some_and(|(at, ..)| *at <= now) {
            if let Some((_, path, datagram)) = end.inbox.pop_front() {
                end.stack.handle_input(now, path, datagram);
            }
        }
        if end.stack.poll_timeout().is_some_and(|due| due <= now) {
            end.stack.handle_timeout(now);
        }
        loop {
            let mut idle = true;
            while let Some(event) = end.stack.poll_event(now) {
                idle = false;
                match event {
                    StackEvent::Message { id, kind, data } => {
                        end.messages.push((id, kind, data));
                        if pause_after.is_some_and(|count| end.messages.len().is_multiple_of(count)) {
                            end.stack.pause_channel(id);
                        }
                    }
                    StackEvent::IncomingChannel { id, .. } => {
                        if adopt {
                            end.stack.adopt_channel(id);
                        }
                        end.events.push(event);
                    }
                    event => end.events.push(event),
                }
            }
            while let Some(Transmit { path, datagram }) = end.stack.poll_transmit(now) {
                idle = false;
                assert_eq!(path.local, end.address, "sent from our socket");
                let index = *sent;
                *sent += 1;
                if !lose(index) {
                    let path = Path {
                        local: path.remote,
                        remote: path.local,
                    };
                    other.push_back((now + LATENCY, path, datagram));
                }
            }
            if idle {
                return;
            }
        }
    }

    /// Runs until `done` or until the clock has gone on by `limit`; says whether `done`.
    fn run(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            self.pump();
            if done(self) {
                return true;
            }
            let next = [
                self.a.inbox.front().map(|(at, ..)| *at),
                self.b.inbox.front().map(|(at, ..)| *at),
                self.a.stack.poll_timeout(),
                self.b.stack.poll_timeout(),
            ];
            let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= end) else {
                self.now = end;
                return false;
            };
            self.now = self.now.max(next);
        }
    }

    fn open(&mut self, from_a: bool, id: u16, parameters: ChannelParameters) {
        let now = self.now;
        let end = if from_a { &mut self.a } else { &mut self.b };
        end.stack.open_channel(now, id, Origin::Announced, parameters);
    }
}

fn labelled(label: &str) -> ChannelParameters {
    ChannelParameters {
        label: label.into(),
        ..ChannelParameters::default()
    }
}

/// A connected pair with channel 1 open from `a` (the DTLS server) to `b`.
fn connected(lose: Box<dyn FnMut(usize) -> bool>) -> Pair {
    let mut pair = Pair::new(lose);
    pair.open(true, 1, labelled("one"));
    pair.connect();
    let open = pair.run(Duration::from_secs(60), |pair| pair.a.is_open(1) && pair.b.is_open(1));
    assert!(open, "opens: {:?} {:?}", pair.a.events, pair.b.events);
    pair
}
