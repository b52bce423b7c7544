//! The figures of `getStats()`: <https://www.w3.org/TR/webtransport/#dictdef-webtransportconnectionstats>.
//!
//! What quinn does not tell (`bytesAcknowledged`, `packetsReceived`, `rttVariation`, `lostOutgoing`) is not there.

use std::time::Duration;

use super::established::Session;

/// A session's figures in the order that `web/webtransport/connection-stats.ts` knows, with spaces between them and `-` for
/// one that there is not.
pub(crate) fn gather(session: &Session) -> String {
    let quic = session.connection.stats();
    let bytes_sent = session.underlying.bytes_sent();
    let lost = session.incoming_datagrams.lost();
    let figures = [
        Some(bytes_sent),
        // What QUIC has taken and not sent yet makes it negative for a while.
        quic.udp_tx.bytes.checked_sub(bytes_sent),
        Some(quic.path.sent_packets),
        Some(quic.path.lost_bytes),
        Some(quic.path.lost_packets),
        Some(quic.udp_rx.bytes),
        Some(microseconds(quic.path.rtt)),
        Some(microseconds(quic.path.min_rtt)),
        send_rate(session, quic.path.cwnd, quic.path.rtt, quic.path.current_mtu),
        Some(lost.dropped),
        Some(lost.expired),
        Some(session.datagrams.expired()),
    ];
    figures
        .map(|figure| figure.map_or("-".to_owned(), |figure| figure.to_string()))
        .join(" ")
}

/// The congestion controller's rate, less what QUIC itself needs of each packet, in bits per second.
fn send_rate(session: &Session, window: u64, rtt: Duration, mtu: u16) -> Option<u64> {
    let paced = session.connection.congestion_state().metrics().pacing_rate;
    let rate = paced.filter(|rate| *rate > 0).or_else(|| {
        let rate = u128::from(window) * 8 * 1_000_000_000;
        rate.checked_div(rtt.as_nanos())
            .and_then(|rate| u64::try_from(rate).ok())
    })?;
    let payload = session.connection.max_datagram_size().unwrap_or(mtu.into());
    let share = u128::from(rate) * payload as u128;
    share.checked_div(mtu.into()).and_then(|rate| u64::try_from(rate).ok())
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
