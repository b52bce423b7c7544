//! The serving end of the plain QUIC program. The first byte of a bidirectional stream says what becomes of it, in the
//! same way as in `bench/measured/webtransport-server.mjs`: `S` counts, `E` sends back, `C` tells the CPU time used, `D` how
//! many datagrams of the connection were read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cpu_time::ProcessTime;
use quinn::{Connection, Endpoint, RecvStream, SendStream, ServerConfig};
use rustls::pki_types::PrivateKeyDer;

use crate::Failure;

/// Listens, prints the address and the certificate in hexadecimal digits, and serves until the process is ended.
pub(crate) async fn serve() -> Result<(), Failure> {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let certificate = own.cert.der().clone();
    let hex: String = certificate.iter().map(|byte| format!("{byte:02x}")).collect();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der())?;
    let config = ServerConfig::with_single_cert(vec![certificate], key)?;
    let endpoint = Endpoint::server(config, "127.0.0.1:0".parse()?)?;
    println!(
        "{{\"port\":{},\"certificate\":\"{hex}\"}}",
        endpoint.local_addr()?.port()
    );
    let begin = Arc::new(ProcessTime::now());
    while let Some(incoming) = endpoint.accept().await {
        let begin = Arc::clone(&begin);
        tokio::spawn(async move {
            if let Ok(connection) = incoming.await {
                serve_connection(connection, begin).await;
            }
        });
    }
    Ok(())
}

async fn serve_connection(connection: Connection, begin: Arc<ProcessTime>) {
    let read = Arc::new(AtomicU64::new(0));
    let (datagrams, count) = (connection.clone(), Arc::clone(&read));
    tokio::spawn(async move {
        while datagrams.read_datagram().await.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    while let Ok((send, receive)) = connection.accept_bi().await {
        let (begin, read) = (Arc::clone(&begin), Arc::clone(&read));
        tokio::spawn(async move {
            if let Err(error) = serve_stream(send, receive, &begin, &read).await {
                eprintln!("bench-peer: {error}");
            }
        });
    }
}

async fn serve_stream(
    mut send: SendStream,
    mut receive: RecvStream,
    begin: &ProcessTime,
    datagrams: &AtomicU64,
) -> Result<(), Failure> {
    let mut kind = [0];
    receive.read_exact(&mut kind).await?;
    match kind {
        [b'S'] => {
            let mut bytes: u64 = 1;
            while let Some(chunk) = receive.read_chunk(usize::MAX, true).await? {
                bytes += chunk.bytes.len() as u64;
            }
            send.write_all(&bytes.to_le_bytes()).await?;
        }
        [b'E'] => {
            send.write_all(b"E").await?;
            while let Some(chunk) = receive.read_chunk(usize::MAX, true).await? {
                send.write_chunk(chunk.bytes).await?;
            }
        }
        [b'C'] => {
            let nanoseconds = u64::try_from(begin.elapsed().as_nanos())?;
            send.write_all(&nanoseconds.to_le_bytes()).await?;
        }
        [b'D'] => send.write_all(&datagrams.load(Ordering::Relaxed).to_le_bytes()).await?,
        _ => return Err("no such kind of stream".into()),
    }
    send.finish()?;
    Ok(())
}
