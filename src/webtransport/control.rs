//! A connection's control streams, ours and the peer's: SETTINGS, GOAWAY, and the streams of QPACK, which carry nothing.
//! <https://www.rfc-editor.org/rfc/rfc9114#section-6.2.1>

use std::sync::Arc;

use bytes::Bytes;
use quinn::{ReadError, RecvStream};

use super::http3::Violation;
use super::http3::error_code::ErrorCode;
use super::http3::frame::{self, Carrier, Frame, FrameDecoder};
use super::http3::settings::Settings;
use super::http3::stream_header;
use super::limits::Role;
use super::session::WebTransportEvent;
use super::task::{End, Http3};
use crate::hub::Payload;

/// The most that is read from a control stream at once.
const PIECE: usize = 4096;

impl Http3 {
    pub(super) async fn send_settings(&self) -> Result<(), End> {
        let mut control = self.quic.open_uni().await?;
        let sessions = match self.role {
            Role::Client => 1,
            Role::Server => self.max_sessions as u64,
        };
        let bytes = [stream_header::OUR_CONTROL, &frame::settings(&Settings::ours(sessions))].concat();
        match control.write_all(&bytes).await {
            Ok(()) => {}
            Err(quinn::WriteError::ConnectionLost(error)) => return Err(End::Lost(error)),
            Err(_stopped) => return Err(CRITICAL.into()),
        }
        // The stream stays open as long as the connection.
        match control.stopped().await {
            Err(quinn::StoppedError::ConnectionLost(error)) => Err(End::Lost(error)),
            Ok(_) | Err(quinn::StoppedError::ZeroRttRejected) => Err(CRITICAL.into()),
        }
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
                    }
                    Frame::Goaway(_) => {
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
