//! The measuring end of the plain QUIC program: one case a process, its figures as one line of JSON. CPU times are those
//! of both ends. Its cases have the shapes of those in `bench/measured/webtransport.mjs`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cpu_time::ProcessTime;
use quinn::{ClientConfig, Connection, Endpoint};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use tokio::task::JoinSet;

use crate::Failure;

const WRITE: usize = 64 * 1024;
const SMALL: [u8; 64] = [b'E'; 64];
const STREAMS_AT_ONCE: usize = 32;
const DATAGRAM: usize = 1200;

/// Connects to `address`, whose certificate is known, runs `case` with `count` operations (bytes for `stream`), so many a second
/// where it has a pace.
pub(crate) async fn run(
    case: &str,
    address: SocketAddr,
    certificate: Vec<u8>,
    count: usize,
    pace: Option<f64>,
) -> Result<(), Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate))?;
    let config = ClientConfig::with_root_certificates(Arc::new(roots))?;
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse()?)?;
    endpoint.set_default_client_config(config);
    let connection = endpoint.connect(address, "localhost")?.await?;
    let figures = match case {
        "establish" => establish(&endpoint, &connection, address, count).await?,
        "stream" => stream(&connection, count).await?,
        "round-trip" => round_trip(&connection, count).await?,
        "small-streams" => small_streams(&connection, count).await?,
        "datagrams" | "datagrams-paced" => datagrams(&connection, count, pace).await?,
        _ => return Err(format!("no such case: {case}").into()),
    };
    println!("{figures}");
    Ok(())
}

/// CPU time and wall clock from one moment on, of both ends.
struct Measure {
    wall: Instant,
    own: ProcessTime,
    other: u64,
}

impl Measure {
    async fn begin(connection: &Connection) -> Result<Self, Failure> {
        let other = other_cpu(connection).await?;
        Ok(Self {
            wall: Instant::now(),
            own: ProcessTime::now(),
            other,
        })
    }

    /// Seconds passed, and seconds of CPU time of both ends.
    async fn end(self, connection: &Connection) -> Result<(f64, f64), Failure> {
        let wall = self.wall.elapsed().as_secs_f64();
        let own = self.own.elapsed().as_secs_f64();
        let other = other_cpu(connection).await? - self.other;
        Ok((wall, own + other as f64 / 1e9))
    }
}

async fn other_cpu(connection: &Connection) -> Result<u64, Failure> {
    ask(connection, b"C").await
}

/// What the other end tells of itself.
async fn ask(connection: &Connection, kind: &[u8]) -> Result<u64, Failure> {
    let answer = exchange(connection, kind).await?;
    Ok(u64::from_le_bytes(answer.as_slice().try_into()?))
}

async fn exchange(connection: &Connection, request: &[u8]) -> Result<Vec<u8>, Failure> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(request).await?;
    send.finish()?;
    Ok(receive.read_to_end(1024).await?)
}

async fn establish(
    endpoint: &Endpoint,
    connection: &Connection,
    address: SocketAddr,
    count: usize,
) -> Result<String, Failure> {
    let measure = Measure::begin(connection).await?;
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        let begin = Instant::now();
        let connection = endpoint.connect(address, "localhost")?.await?;
        samples.push(format!("{:.4}", begin.elapsed().as_secs_f64() * 1e3));
        connection.close(0u32.into(), b"");
    }
    let (_, cpu) = measure.end(connection).await?;
    Ok(format!(
        "{{\"samples\":[{}],\"cpu\":{}}}",
        samples.join(","),
        cpu * 1e3 / count as f64
    ))
}

async fn stream(connection: &Connection, bytes: usize) -> Result<String, Failure> {
    let block = [b'S'; WRITE];
    let mut figures = String::new();
    // The first time warms up.
    for bytes in [bytes / 8, bytes] {
        let measure = Measure::begin(connection).await?;
        let (mut send, mut receive) = connection.open_bi().await?;
        for _ in 0..bytes / WRITE {
            send.write_all(&block).await?;
        }
        send.finish()?;
        let answer = receive.read_to_end(8).await?;
        let (wall, cpu) = measure.end(connection).await?;
        let received = u64::from_le_bytes(answer.as_slice().try_into()?) as f64;
        figures = format!(
            "{{\"rate\":{},\"cpu\":{}}}",
            received / 1e6 / wall,
            cpu / (received / 1e9)
        );
    }
    Ok(figures)
}

async fn round_trip(connection: &Connection, count: usize) -> Result<String, Failure> {
    let (mut send, mut receive) = connection.open_bi().await?;
    let mut reply = SMALL;
    let mut samples = Vec::with_capacity(count);
    let mut measure = Measure::begin(connection).await?;
    for index in 0..count + count / 8 {
        if index == count / 8 {
            samples.clear();
            measure = Measure::begin(connection).await?;
        }
        let begin = Instant::now();
        send.write_all(&SMALL).await?;
        receive.read_exact(&mut reply).await?;
        samples.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    let (_, cpu) = measure.end(connection).await?;
    samples.sort_by(f64::total_cmp);
    let at = |part: f64| samples[((samples.len() - 1) as f64 * part) as usize];
    Ok(format!(
        "{{\"p50\":{},\"p99\":{},\"cpu\":{}}}",
        at(0.5),
        at(0.99),
        cpu * 1e6 / count as f64
    ))
}

async fn small_streams(connection: &Connection, count: usize) -> Result<String, Failure> {
    let mut figures = String::new();
    for count in [count / 8, count] {
        let measure = Measure::begin(connection).await?;
        let mut workers = JoinSet::new();
        for _ in 0..STREAMS_AT_ONCE {
            let connection = connection.clone();
            workers.spawn(async move {
                for _ in 0..count / STREAMS_AT_ONCE {
                    let answer = exchange(&connection, &SMALL).await?;
                    if answer.len() != SMALL.len() {
                        return Err(Failure::from("an echo of the wrong length"));
                    }
                }
                Ok(())
            });
        }
        while let Some(worker) = workers.join_next().await {
            worker??;
        }
        let (wall, cpu) = measure.end(connection).await?;
        let done = (count / STREAMS_AT_ONCE * STREAMS_AT_ONCE) as f64;
        figures = format!("{{\"rate\":{},\"cpu\":{}}}", done / wall, cpu * 1e6 / done);
    }
    Ok(figures)
}

/// Datagrams as fast as quinn takes them, or so many a second, in one go each time that a timer fires.
async fn datagrams(connection: &Connection, count: usize, pace: Option<f64>) -> Result<String, Failure> {
    let payload = Bytes::from_static(&[b'D'; DATAGRAM]);
    while connection.max_datagram_size().is_none_or(|size| size < DATAGRAM) {
        exchange(connection, &SMALL).await?;
    }
    let mut figures = String::new();
    for count in [count / 8, count] {
        let before = ask(connection, b"D").await?;
        let measure = Measure::begin(connection).await?;
        let mut sent = 0;
        while sent < count {
            let mut due = count;
            if let Some(pace) = pace {
                tokio::time::sleep(Duration::from_millis(1)).await;
                due = count.min((measure.wall.elapsed().as_secs_f64() * pace) as usize);
            }
            for _ in sent..due {
                connection.send_datagram_wait(payload.clone()).await?;
            }
            sent = due;
        }
        let (mut arrived, mut last) = (0, None);
        while arrived < count as u64 && last != Some(arrived) {
            last = Some(arrived);
            arrived = ask(connection, b"D").await? - before;
        }
        let (wall, cpu) = measure.end(connection).await?;
        let arrived = arrived as f64;
        figures = format!(
            "{{\"rate\":{},\"cpu\":{},\"arrived\":{}}}",
            arrived / wall,
            cpu * 1e6 / arrived,
            arrived * 100.0 / count as f64
        );
    }
    Ok(figures)
}
