//! A connection's control streams, ours and the peer's: SETTINGS, GOAWAY, and the streams of QPACK, which carry nothing.
//! <https://www.rfc-editor.org/rfc/rfc9114#section-6.2.1>

use std::sync::Arc;

use bytes::Bytes;
use quinn::{ReadError, RecvStream, SendStream, StoppedError, VarInt, WriteError};

use super::http3::Violation;
use super::http3::error_code::ErrorCode;
use super::http3::frame::{self, Carrier, Frame, FrameDecoder};
use super::http3::goaway::Goaway;
use super::http3::settings::Settings;
use super::http3::{stream_header, varint};
use super::limits::Role;
use super::session::WebTransportEvent;
use super::task::{End, Http3};
use crate::hub::Payload;

/// The most that is read from a control stream at once.
const PIECE: usize = 4096;
/// What our GOAWAY names. Not the next request: Firefox gives up all streams above the one that is named, those of its sessions
/// too. Requests that come all the same are refused each for itself.
const LAST_REQUEST: u64 = varint::MAX - 3;

impl Http3 {
    /// Sends what stands on our control stream, as long as the connection lives.
    pub(super) async fn send_control(&self) -> Result<(), End> {
        let mut control = self.quic.open_uni().await?;
        let sessions = match self.role {
            Role::Client => 1,
            Role::Server => self.shares.sessions as u64,
        };
        let settings = Settings::ours(sessions, self.shares.each);
        let bytes = [stream_header::OUR_CONTROL, &frame::settings(&settings)].concat();
        write(&mut control, &bytes).await?;
        // The stream stays open as long as the connection.
        let mut leaving = self.leaving.subscribe();
        tokio::select! {
            stopped = control.stopped() => return Err(closed(stopped)),
            left = async { leaving.wait_for(|leaving| *leaving).await.map(drop) } => left.expect("this holds the sender"),
        }
        write(&mut control, &frame::goaway(LAST_REQUEST)).await?;
        Err(closed(control.stopped().await))
    }

    /// Says that no further request is looked at: GOAWAY, and DRAIN_WEBTRANSPORT_SESSION to each session, since what lies
    /// between need not pass GOAWAY on.
    pub(crate) fn go_away(&self) {
        self.leaving
            .send_if_modified(|leaving| !std::mem::replace(leaving, true));
        for session in self.all_live() {
            session.drain();
        }
    }

    /// What the peer's GOAWAY said, if one has come.
    pub(crate) fn goaway(&self) -> Goaway {
        *self.goaway.borrow()
    }

    /// Waits until the peer looks no more at the request of that number. Cancel safe.
    pub(crate) async fn excluded(&self, id: u64) {
        let mut goaway = self.goaway.subscribe();
        let excluded = goaway.wait_for(|goaway| goaway.excludes(id)).await;
        excluded.expect("this holds the sender");
    }

    pub(super) async fn read_control<Late>(
        self: Arc<Self>,
        mut stream: RecvStream,
        first: Bytes,
    ) -> Result<Option<Late>, End> {
        let mut decoder = FrameDecoder::new(Carrier::Control);
        let mut input = first;
        loop {
            while let Some(frame) = decoder.decode(&mut input)? {
                match frame {
                    Frame::Settings(payload) => {
                        let settings = Settings::decode(&payload)?;
                        self.settings.send_replace(Some(settings));
                        if let Some((each, _)) = self.limits() {
                            // Each session has its own limit; QUIC's is there for all of them together.
                            let sessions = u32::try_from(self.shares.sessions).unwrap_or(u32::MAX);
                            let streams = u32::try_from(each.bidirectional).unwrap_or(u32::MAX);
                            self.underlying.allow_shared(streams.saturating_mul(sessions), sessions);
                        }
                    }
                    Frame::Goaway(id) => {
                        let goaway = self.goaway().receive(self.role, id)?;
                        self.goaway.send_replace(goaway);
                        for session in self.all_live() {
                            session.port.emit(WebTransportEvent::Draining, 0, 0, Payload::None);
                        }
                    }
                    Frame::Data(_) | Frame::Headers(_) => unreachable!("a control stream's decoder refuses them"),
                }
            }
            input = match stream.read_chunk(PIECE, true).await {
                Ok(Some(chunk)) => chunk.bytes,
                Err(ReadError::ConnectionLost(error)) => return Err(End::Lost(error)),
                Ok(None) | Err(_) => return Err(CRITICAL.into()),
            };
        }
    }
}

async fn write(control: &mut SendStream, bytes: &[u8]) -> Result<(), End> {
    match control.write_all(bytes).await {
        Ok(()) => Ok(()),
        Err(WriteError::ConnectionLost(error)) => Err(End::Lost(error)),
        Err(WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected) => Err(CRITICAL.into()),
    }
}

/// What it means that our control stream has ended.
fn closed(stopped: Result<Option<VarInt>, StoppedError>) -> End {
    match stopped {
        Err(StoppedError::ConnectionLost(error)) => End::Lost(error),
        Ok(_) | Err(StoppedError::ZeroRttRejected) => CRITICAL.into(),
    }
}

const CRITICAL: Violation = Violation::connection(
    ErrorCode::H3_CLOSED_CRITICAL_STREAM,
    "a control stream stays open as long as the connection",
);

/// Which of the streams that come once have come.
#[derive(Default)]
pub(super) struct Critical {
    pub(super) control: Option<()>,
    pub(super) encoder: Option<()>,
    pub(super) decoder: Option<()>,
}

pub(super) fn once(seen: &mut Option<()>) -> Result<(), Violation> {
    match seen.replace(()) {
        None => Ok(()),
        Some(()) => Err(Violation::connection(
            ErrorCode::H3_STREAM_CREATION_ERROR,
            "one stream of this type is enough",
        )),
    }
}

/// Reads a QPACK stream to no purpose: there is no dynamic table. Chromium sends GREASE on it.
pub(super) async fn drain<Late>(mut stream: RecvStream) -> Result<Option<Late>, End> {
    loop {
        match stream.read_chunk(PIECE, false).await {
            Ok(Some(_)) => {}
            Err(ReadError::ConnectionLost(error)) => return Err(End::Lost(error)),
            Ok(None) | Err(_) => return Err(CRITICAL.into()),
        }
    }
}
