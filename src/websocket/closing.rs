//! The closing handshake: [RFC 6455 section 7](https://www.rfc-editor.org/rfc/rfc6455#section-7) and
//! [WHATWG WebSockets](https://websockets.spec.whatwg.org/#eventdef-websocket-close) as a state machine.

use super::frame::MAX_CONTROL_PAYLOAD;
use super::message::CloseFrame;

/// "The WebSocket connection close code" when the peer's Close frame had no body.
pub(crate) const NO_STATUS: u16 = 1005;
/// "The WebSocket connection close code" when no Close frame came.
pub(crate) const ABNORMAL: u16 = 1006;
/// What a peer is told when our end of the connection was dropped without a close.
pub(crate) const GOING_AWAY: u16 = 1001;

/// What the script's close event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Whether both Close frames went over the wire before the transport ended.
    pub(crate) was_clean: bool,
    /// The peer's code, 1005 or 1006.
    pub(crate) code: u16,
    /// The peer's reason.
    pub(crate) reason: String,
}

/// What to do about a Close frame of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Queue a Close frame with the peer's body, behind what is queued already.
    Echo,
    /// Ours is queued or sent.
    None,
}

/// How far the closing handshake is.
///
/// ```text
///        start            written            receive
///  Open ───────▶ Queued ───────────▶ Sent ──────────────▶ Complete
///   │               │ receive                                ▲
///   │ receive       ▼                         written        │
///   └─────────▶ Received ────────────────────────────────────┘
///
///  Open, Queued, Sent, Received ──fail──▶ Failed
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// No Close frame yet.
    Open,
    /// Ours waits behind data.
    Queued,
    /// Ours is written, the peer's is awaited.
    Sent,
    /// The peer's came, ours is not written yet.
    Received { code: u16, reason: String },
    /// Both are through: the server ends the transport, the client waits for it.
    Complete { code: u16, reason: String },
    /// The connection failed: the transport ends at once.
    Failed,
}

/// The closing handshake of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Closing {
    state: State,
}

impl Closing {
    /// Of an open connection.
    pub(crate) fn new() -> Self {
        Self { state: State::Open }
    }

    /// The script closes. True if a Close frame is to be queued; false if there is one already.
    pub(crate) fn start(&mut self) -> bool {
        let first = self.state == State::Open;
        if first {
            self.state = State::Queued;
        }
        first
    }

    /// The peer's Close frame came.
    pub(crate) fn receive(&mut self, frame: Option<&CloseFrame<'_>>) -> Answer {
        let (code, reason) = match frame {
            Some(frame) => (frame.code, frame.reason.to_owned()),
            None => (NO_STATUS, String::new()),
        };
        match self.state {
            State::Open => {
                self.state = State::Received { code, reason };
                Answer::Echo
            }
            State::Queued => {
                self.state = State::Received { code, reason };
                Answer::None
            }
            State::Sent => {
                self.state = State::Complete { code, reason };
                Answer::None
            }
            State::Received { .. } | State::Complete { .. } | State::Failed => Answer::None,
        }
    }

    /// Our Close frame, and so everything that was queued, is written.
    pub(crate) fn written(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Queued => State::Sent,
            State::Received { code, reason } => State::Complete { code, reason },
            state @ (State::Open | State::Sent | State::Complete { .. } | State::Failed) => state,
        };
    }

    /// Fail the connection. True if the peer can still be told why in a Close frame.
    pub(crate) fn fail(&mut self) -> bool {
        let untold = self.state == State::Open;
        if !matches!(self.state, State::Complete { .. }) {
            self.state = State::Failed;
        }
        untold
    }

    /// Whether frames of the peer still count.
    pub(crate) fn is_reading(&self) -> bool {
        match self.state {
            State::Open | State::Queued | State::Sent => true,
            State::Received { .. } | State::Complete { .. } | State::Failed => false,
        }
    }

    /// Whether neither end has begun to close.
    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether both Close frames went over the wire.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete { .. })
    }

    /// Whether our Close frame is on the wire and the peer's is awaited.
    pub(crate) fn is_sent(&self) -> bool {
        self.state == State::Sent
    }

    /// The transport has ended: what the close event says.
    pub(crate) fn ended(self) -> Ended {
        match self.state {
            State::Complete { code, reason } => Ended {
                was_clean: true,
                code,
                reason,
            },
            State::Received { code, reason } => Ended {
                was_clean: false,
                code,
                reason,
            },
            State::Open | State::Queued | State::Sent | State::Failed => Ended {
                was_clean: false,
                code: ABNORMAL,
                reason: String::new(),
            },
        }
    }
}

/// The body of a Close frame. A reason that is too long for one is cut between two characters.
pub(crate) fn close_payload(code: Option<u16>, reason: &str) -> Vec<u8> {
    let Some(code) = code else { return Vec::new() };
    let mut end = reason.len().min(MAX_CONTROL_PAYLOAD - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYE: CloseFrame<'static> = CloseFrame {
        code: 4000,
        reason: "bye",
    };

    fn ended(was_clean: bool, code: u16, reason: &str) -> Ended {
        Ended {
            was_clean,
            code,
            reason: reason.into(),
        }
    }

    #[test]
    fn we_begin() {
        let mut closing = Closing::new();
        assert!(closing.is_open() && closing.is_reading());
        assert!(closing.start());
        assert!(!closing.start());
        assert!(!closing.is_open() && closing.is_reading());
        closing.written();
        assert!(closing.is_sent() && closing.is_reading());
        assert_eq!(closing.receive(Some(&BYE)), Answer::None);
        assert!(closing.is_complete() && !closing.is_reading());
        assert_eq!(closing.ended(), ended(true, 4000, "bye"));
    }

    #[test]
    fn the_peer_begins() {
        let mut closing = Closing::new();
        assert_eq!(closing.receive(Some(&BYE)), Answer::Echo);
        assert!(!closing.is_reading() && !closing.is_complete());
        assert!(!closing.start());
        closing.written();
        assert!(closing.is_complete());
        assert_eq!(closing.ended(), ended(true, 4000, "bye"));
    }

    #[test]
    fn a_close_frame_without_a_body() {
        let mut closing = Closing::new();
        assert_eq!(closing.receive(None), Answer::Echo);
        closing.written();
        assert_eq!(closing.ended(), ended(true, NO_STATUS, ""));
    }

    #[test]
    fn both_begin_and_ours_is_still_queued() {
        let mut closing = Closing::new();
        assert!(closing.start());
        assert_eq!(closing.receive(Some(&BYE)), Answer::None);
        assert!(!closing.is_complete());
        closing.written();
        assert_eq!(closing.ended(), ended(true, 4000, "bye"));
    }

    #[test]
    fn the_transport_ends_too_early() {
        assert_eq!(Closing::new().ended(), ended(false, ABNORMAL, ""));
        let mut closing = Closing::new();
        closing.start();
        closing.written();
        assert_eq!(closing.ended(), ended(false, ABNORMAL, ""));
        let mut closing = Closing::new();
        closing.receive(Some(&BYE));
        assert_eq!(closing.ended(), ended(false, 4000, "bye"));
    }

    #[test]
    fn failing() {
        let mut closing = Closing::new();
        assert!(closing.fail());
        assert!(!closing.fail());
        assert!(!closing.start());
        assert!(!closing.is_reading());
        assert_eq!(closing.ended(), ended(false, ABNORMAL, ""));
        let mut closing = Closing::new();
        closing.start();
        assert!(!closing.fail(), "a second Close frame must not be sent");
        let mut closing = Closing::new();
        closing.receive(Some(&BYE));
        closing.written();
        assert!(!closing.fail());
        assert!(closing.is_complete());
    }

    #[test]
    fn payloads() {
        assert_eq!(close_payload(None, ""), b"");
        assert_eq!(close_payload(Some(1000), "bye"), b"\x03\xe8bye");
        let cut = close_payload(Some(1000), &"é".repeat(100));
        assert_eq!(cut.len(), 2 + 122);
        assert!(std::str::from_utf8(&cut[2..]).is_ok());
    }
}
