//! The closing handshake: [RFC 6455 section 7](https://www.rfc-editor.org/rfc/rfc6455#section-7) and
//! [WHATWG WebSockets](https://websockets.spec.whatwg.org/#eventdef-websocket-close) as a state machine.

use super::frame::MAX_CONTROL_PAYLOAD;
use super::message::{CloseFrame, Failure};

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

/// How far the closing handshake is.
///
/// ```text
///        start            written            receive
///  Open ───────▶ Queued ───────────▶ Sent ──────────────▶ Complete
///   │               │ receive                                ▲
///   │               └────────────────────┐                   │ written
///   │ receive          acknowledge,      ▼                   │
///   └─────────▶ Asked ─────start──────▶ Received ────────────┘
///
///  Open ──fail──▶ Failing ──acknowledge──▶ Failed ◀──fail── Queued, Sent, Asked, Received
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// No Close frame yet.
    Open,
    /// Ours waits behind data.
    Queued,
    /// Ours is written, the peer's is awaited.
    Sent,
    /// The peer's came. The script still has to hear what came before it, and may answer that.
    Asked { code: u16, reason: String },
    /// The peer's came, ours is not written yet.
    Received { code: u16, reason: String },
    /// Both are through: the server ends the transport, the client waits for it.
    Complete { code: u16, reason: String },
    /// The peer broke the protocol. The script still has to hear what came before that, and may answer it.
    Failing(Failure),
    /// The connection failed: the transport ends as soon as all is written.
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

    /// The script closes. True if a Close frame is to be queued; false if there is one already, or will be.
    pub(crate) fn start(&mut self) -> bool {
        let (state, first) = match std::mem::replace(&mut self.state, State::Failed) {
            State::Open => (State::Queued, true),
            State::Asked { code, reason } => (State::Received { code, reason }, true),
            state @ (State::Queued
            | State::Sent
            | State::Received { .. }
            | State::Complete { .. }
            | State::Failing(_)
            | State::Failed) => (state, false),
        };
        self.state = state;
        first
    }

    /// The peer's Close frame came.
    pub(crate) fn receive(&mut self, frame: Option<&CloseFrame<'_>>) {
        let (code, reason) = match frame {
            Some(frame) => (frame.code, frame.reason.to_owned()),
            None => (NO_STATUS, String::new()),
        };
        match self.state {
            State::Open => self.state = State::Asked { code, reason },
            State::Queued => self.state = State::Received { code, reason },
            State::Sent => self.state = State::Complete { code, reason },
            State::Asked { .. }
            | State::Received { .. }
            | State::Complete { .. }
            | State::Failing(_)
            | State::Failed => {}
        }
    }

    /// The script has heard all that came before the peer's Close frame or the failure. Returns the body of the Close
    /// frame that is to be queued now, if one is.
    pub(crate) fn acknowledge(&mut self) -> Option<Vec<u8>> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Asked { code, reason } => {
                let body = close_payload((code != NO_STATUS).then_some(code), &reason);
                self.state = State::Received { code, reason };
                Some(body)
            }
            State::Failing(failure) => Some(close_payload(Some(failure.code), failure.reason)),
            state @ (State::Open
            | State::Queued
            | State::Sent
            | State::Received { .. }
            | State::Complete { .. }
            | State::Failed) => {
                self.state = state;
                None
            }
        }
    }

    /// Our Close frame, and so everything that was queued, is written.
    pub(crate) fn written(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Queued => State::Sent,
            State::Received { code, reason } => State::Complete { code, reason },
            state @ (State::Open
            | State::Sent
            | State::Asked { .. }
            | State::Complete { .. }
            | State::Failing(_)
            | State::Failed) => state,
        };
    }

    /// Fail the connection.
    pub(crate) fn fail(&mut self, failure: Failure) {
        match self.state {
            State::Open => self.state = State::Failing(failure),
            // A second Close frame must not be sent.
            State::Queued | State::Sent | State::Asked { .. } | State::Received { .. } => self.state = State::Failed,
            State::Complete { .. } | State::Failing(_) | State::Failed => {}
        }
    }

    /// Whether the script's data still goes out.
    pub(crate) fn takes_data(&self) -> bool {
        match self.state {
            State::Open | State::Asked { .. } | State::Failing(_) => true,
            State::Queued | State::Sent | State::Received { .. } | State::Complete { .. } | State::Failed => false,
        }
    }

    /// Whether the script has to acknowledge before the connection goes on to its end.
    pub(crate) fn awaits_script(&self) -> bool {
        matches!(self.state, State::Asked { .. } | State::Failing(_))
    }

    /// Whether frames of the peer still count.
    pub(crate) fn is_reading(&self) -> bool {
        match self.state {
            State::Open | State::Queued | State::Sent => true,
            State::Asked { .. }
            | State::Received { .. }
            | State::Complete { .. }
            | State::Failing(_)
            | State::Failed => false,
        }
    }

    /// Whether the peer's Close frame, or its fault, is being answered.
    pub(crate) fn is_answering(&self) -> bool {
        matches!(self.state, State::Received { .. } | State::Failed)
    }

    /// Whether neither end has begun to close.
    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether both Close frames went over the wire.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete { .. })
    }

    /// The transport has ended: what the close event says.
    pub(crate) fn ended(self) -> Ended {
        match self.state {
            State::Complete { code, reason } => Ended {
                was_clean: true,
                code,
                reason,
            },
            State::Asked { code, reason } | State::Received { code, reason } => Ended {
                was_clean: false,
                code,
                reason,
            },
            State::Open | State::Queued | State::Sent | State::Failing(_) | State::Failed => Ended {
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

    const FAILURE: Failure = Failure {
        code: 1002,
        reason: "why",
    };

    #[test]
    fn we_begin() {
        let mut closing = Closing::new();
        assert!(closing.is_open() && closing.is_reading() && closing.takes_data());
        assert!(closing.start());
        assert!(!closing.start());
        assert!(!closing.is_open() && closing.is_reading() && !closing.takes_data());
        closing.written();
        assert!(closing.is_reading());
        closing.receive(Some(&BYE));
        assert_eq!(closing.acknowledge(), None);
        assert!(closing.is_complete() && !closing.is_reading());
        assert_eq!(closing.ended(), ended(true, 4000, "bye"));
    }

    #[test]
    fn the_peer_begins() {
        let mut closing = Closing::new();
        closing.receive(Some(&BYE));
        assert!(!closing.is_reading() && closing.takes_data() && closing.awaits_script());
        closing.written();
        assert!(!closing.is_complete(), "what is written is not our Close frame");
        assert_eq!(closing.acknowledge(), Some(b"\x0f\xa0bye".to_vec()));
        assert!(!closing.takes_data() && !closing.awaits_script() && !closing.start());
        closing.written();
        assert!(closing.is_complete());
        assert_eq!(closing.ended(), ended(true, 4000, "bye"));
    }

    #[test]
    fn the_script_closes_before_it_hears_of_the_peer() {
        let mut closing = Closing::new();
        closing.receive(Some(&BYE));
        assert!(closing.start());
        assert_eq!(closing.acknowledge(), None);
        closing.written();
        assert_eq!(closing.ended(), ended(true, 4000, "bye"));
    }

    #[test]
    fn a_close_frame_without_a_body() {
        let mut closing = Closing::new();
        closing.receive(None);
        assert_eq!(closing.acknowledge(), Some(Vec::new()));
        closing.written();
        assert_eq!(closing.ended(), ended(true, NO_STATUS, ""));
    }

    #[test]
    fn both_begin_and_ours_is_still_queued() {
        let mut closing = Closing::new();
        assert!(closing.start());
        closing.receive(Some(&BYE));
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
        closing.fail(FAILURE);
        assert!(!closing.is_reading() && closing.takes_data() && closing.awaits_script());
        assert!(!closing.start());
        assert_eq!(closing.acknowledge(), Some(b"\x03\xeawhy".to_vec()));
        assert_eq!(closing.acknowledge(), None);
        assert!(!closing.takes_data());
        assert_eq!(closing.ended(), ended(false, ABNORMAL, ""));
        let mut closing = Closing::new();
        closing.start();
        closing.fail(FAILURE);
        assert_eq!(closing.acknowledge(), None, "a second Close frame must not be sent");
        let mut closing = Closing::new();
        closing.start();
        closing.receive(Some(&BYE));
        closing.written();
        closing.fail(FAILURE);
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
