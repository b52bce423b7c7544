//! The SETTINGS frame's payload: RFC 9114, section 7.2.4, with the identifiers of the WebTransport drafts:
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-9.2>.

use super::error_code::ErrorCode;
use super::flow_control::Limits;
use super::{Violation, varint};

const QPACK_MAX_TABLE_CAPACITY: u64 = 0x01;
const MAX_FIELD_SECTION_SIZE: u64 = 0x06;
const QPACK_BLOCKED_STREAMS: u64 = 0x07;
const ENABLE_CONNECT_PROTOCOL: u64 = 0x08;
const H3_DATAGRAM: u64 = 0x33;
/// draft-ietf-masque-h3-datagram-04, which Chromium still looks for.
const H3_DATAGRAM_DRAFT_04: u64 = 0xffd277;
const ENABLE_WEBTRANSPORT_DRAFT_02: u64 = 0x2b60_3742;
const MAX_SESSIONS_DRAFT_07: u64 = 0xc671_706a;
const MAX_SESSIONS_DRAFT_13: u64 = 0x14e9_cd29;
const INITIAL_MAX_DATA: u64 = 0x2b61;
const INITIAL_MAX_STREAMS_UNI: u64 = 0x2b64;
const INITIAL_MAX_STREAMS_BIDI: u64 = 0x2b65;

/// No peer sends as many; each is at least two bytes.
const MAX_SETTINGS: usize = 256;

/// What a peer says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The largest field section it takes, in bytes; `None` is without a limit.
    pub(crate) max_field_section_size: Option<u64>,
    /// Extended CONNECT is understood (RFC 9220).
    pub(crate) enable_connect_protocol: bool,
    /// Datagrams are understood (RFC 9297), by its own or the old draft's identifier.
    pub(crate) h3_datagram: bool,
    /// How many WebTransport sessions it takes at once, by the latest draft that it speaks; 0 is none.
    pub(crate) max_sessions: u64,
    /// What it lets each session use up at first.
    pub(crate) initial: Limits,
    /// It wants sessions to keep to limits: draft 14, section 5.1.
    pub(crate) flow_control: bool,
}

impl Settings {
    /// What we send: how many sessions may share a connection, and what each may use up then. A client takes no session, but
    /// the drafts up to 02 want the word from both sides. Peers of draft 07 know no flow control, and get one session.
    pub(crate) fn ours(max_sessions: u64, initial: Option<Limits>) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        let initial = initial.map(|limits| {
            [
                (INITIAL_MAX_DATA, limits.data),
                (INITIAL_MAX_STREAMS_UNI, limits.unidirectional),
                (INITIAL_MAX_STREAMS_BIDI, limits.bidirectional),
            ]
        });
        let settings = [
            (QPACK_MAX_TABLE_CAPACITY, 0),
            (MAX_FIELD_SECTION_SIZE, super::qpack::MAX_FIELD_SECTION_SIZE as u64),
            (QPACK_BLOCKED_STREAMS, 0),
            (ENABLE_CONNECT_PROTOCOL, 1),
            (H3_DATAGRAM, 1),
            (H3_DATAGRAM_DRAFT_04, 1),
            (ENABLE_WEBTRANSPORT_DRAFT_02, 1),
            (MAX_SESSIONS_DRAFT_07, 1),
            (MAX_SESSIONS_DRAFT_13, max_sessions),
            // Draft 15's WT_ENABLED (0x2c7cf000) is held back, and not looked for: it also demands the reset_stream_at
            // transport parameter, which quinn can't send.
        ];
        for (identifier, value) in settings.into_iter().chain(initial.into_iter().flatten()) {
            varint::write(&mut out, identifier);
            varint::write(&mut out, value);
        }
        out
    }

    /// Reads a payload. Unknown identifiers, GREASE among them, are passed over.
    pub(crate) fn decode(mut payload: &[u8]) -> Result<Self, Violation> {
        let mut settings = Self::default();
        let mut seen = Vec::new();
        let mut max_sessions_draft_13 = 0;
        while !payload.is_empty() {
            let (identifier, length) = varint::read(payload).ok_or(TRUNCATED)?;
            payload = &payload[length..];
            let (value, length) = varint::read(payload).ok_or(TRUNCATED)?;
            payload = &payload[length..];
            if seen.len() == MAX_SETTINGS {
                return Err(Violation::connection(ErrorCode::H3_EXCESSIVE_LOAD, "too many settings"));
            }
            if seen.contains(&identifier) {
                return Err(settings_error("a setting came twice"));
            }
            seen.push(identifier);
            match identifier {
                0x00 | 0x02..=0x05 => return Err(settings_error("a setting of HTTP/2")),
                MAX_FIELD_SECTION_SIZE => settings.max_field_section_size = Some(value),
                ENABLE_CONNECT_PROTOCOL => settings.enable_connect_protocol = boolean(value)?,
                H3_DATAGRAM => settings.h3_datagram |= boolean(value)?,
                H3_DATAGRAM_DRAFT_04 => settings.h3_datagram |= value == 1,
                ENABLE_WEBTRANSPORT_DRAFT_02 => {
                    settings.max_sessions = settings.max_sessions.max(u64::from(boolean(value)?));
                }
                MAX_SESSIONS_DRAFT_07 => settings.max_sessions = settings.max_sessions.max(value),
                MAX_SESSIONS_DRAFT_13 => {
                    max_sessions_draft_13 = value;
                    settings.flow_control |= value > 1;
                }
                INITIAL_MAX_DATA | INITIAL_MAX_STREAMS_UNI | INITIAL_MAX_STREAMS_BIDI => {
                    *match identifier {
                        INITIAL_MAX_DATA => &mut settings.initial.data,
                        INITIAL_MAX_STREAMS_UNI => &mut settings.initial.unidirectional,
                        _ => &mut settings.initial.bidirectional,
                    } = value;
                    settings.flow_control |= value > 0;
                }
                _ => {}
            }
        }
        if max_sessions_draft_13 > 0 {
            settings.max_sessions = max_sessions_draft_13;
        }
        Ok(settings)
    }

    /// Whether a client may ask this server for a session.
    pub(crate) fn server_supports_webtransport(&self) -> bool {
        self.enable_connect_protocol && self.h3_datagram && self.max_sessions > 0
    }
}

const TRUNCATED: Violation = Violation::connection(ErrorCode::H3_FRAME_ERROR, "SETTINGS ends inside a setting");

const fn settings_error(rule: &'static str) -> Violation {
    Violation::connection(ErrorCode::H3_SETTINGS_ERROR, rule)
}

fn boolean(value: u64) -> Result<bool, Violation> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(settings_error("a setting is neither 0 nor 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(settings: &[(u64, u64)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (identifier, value) in settings {
            varint::write(&mut out, *identifier);
            varint::write(&mut out, *value);
        }
        out
    }

    #[test]
    fn ours_are_understood_by_ourselves() {
        let initial = Limits {
            data: 1000,
            bidirectional: 20,
            unidirectional: 30,
        };
        let settings = Settings::decode(&Settings::ours(16, Some(initial))).expect("valid");
        assert_eq!((settings.max_sessions, settings.initial), (16, initial));
        assert!(settings.server_supports_webtransport() && settings.flow_control);
        let settings = Settings::decode(&Settings::ours(1, None)).expect("valid");
        assert!(settings.server_supports_webtransport() && !settings.flow_control);
    }

    #[test]
    fn the_latest_draft_says_how_many_sessions() {
        for (settings, max_sessions) in [
            (&[(MAX_SESSIONS_DRAFT_13, 2), (MAX_SESSIONS_DRAFT_07, 100)][..], 2),
            (&[(MAX_SESSIONS_DRAFT_07, 100), (MAX_SESSIONS_DRAFT_13, 2)], 2),
            (&[(MAX_SESSIONS_DRAFT_13, 0), (MAX_SESSIONS_DRAFT_07, 3)], 3),
            (&[(MAX_SESSIONS_DRAFT_07, 3), (ENABLE_WEBTRANSPORT_DRAFT_02, 1)], 3),
            (&[(ENABLE_WEBTRANSPORT_DRAFT_02, 1)], 1),
        ] {
            let read = Settings::decode(&payload(settings)).expect("valid");
            assert_eq!(read.max_sessions, max_sessions, "{settings:?}");
        }
    }

    #[test]
    fn flow_control_is_wanted_by_any_of_four_settings() {
        for (settings, wanted) in [
            (&[(MAX_SESSIONS_DRAFT_13, 1)][..], false),
            (&[(MAX_SESSIONS_DRAFT_13, 2)], true),
            (&[(MAX_SESSIONS_DRAFT_07, 2), (ENABLE_WEBTRANSPORT_DRAFT_02, 1)], false),
            (&[(INITIAL_MAX_DATA, 0)], false),
            (&[(INITIAL_MAX_DATA, 1)], true),
            (&[(INITIAL_MAX_STREAMS_UNI, 1)], true),
            (&[(INITIAL_MAX_STREAMS_BIDI, 1)], true),
        ] {
            let read = Settings::decode(&payload(settings)).expect("valid");
            assert_eq!(read.flow_control, wanted, "{settings:?}");
        }
    }

    #[test]
    fn each_drafts_setting_is_understood() {
        for identifier in [
            ENABLE_WEBTRANSPORT_DRAFT_02,
            MAX_SESSIONS_DRAFT_07,
            MAX_SESSIONS_DRAFT_13,
        ] {
            let bytes = payload(&[(0x8, 1), (0x33, 1), (identifier, 1), (0x1f * 7 + 0x21, 99)]);
            assert!(
                Settings::decode(&bytes).expect("valid").server_supports_webtransport(),
                "{identifier:#x}"
            );
        }
        assert!(
            Settings::decode(&payload(&[(0x8, 1), (0xffd277, 1), (0x2b60_3742, 1)]))
                .expect("valid")
                .h3_datagram
        );
    }

    #[test]
    fn what_is_missing_means_no_webtransport() {
        for settings in [
            &[][..],
            &[(0x33, 1), (0x2b60_3742, 1)],
            &[(0x8, 1), (0x2b60_3742, 1)],
            &[(0x8, 1), (0x33, 1)],
            &[(0x8, 1), (0x33, 1), (0x2b60_3742, 0)],
        ] {
            assert!(
                !Settings::decode(&payload(settings))
                    .expect("valid")
                    .server_supports_webtransport()
            );
        }
    }

    #[test]
    fn what_is_wrong_ends_the_connection() {
        for settings in [
            &[(0x8, 1), (0x8, 1)][..],
            &[(0x2, 0)],
            &[(0x4, 0)],
            &[(0x8, 2)],
            &[(0x33, 7)],
        ] {
            assert_eq!(
                Settings::decode(&payload(settings)).expect_err("wrong").code,
                ErrorCode::H3_SETTINGS_ERROR,
                "{settings:?}"
            );
        }
        let whole = payload(&[(0x8, 1), (0x2b60_3742, 1)]);
        for cut in [1, 3, 4, 5, 6] {
            assert_eq!(
                Settings::decode(&whole[..cut]).expect_err("cut").code,
                ErrorCode::H3_FRAME_ERROR,
                "{cut}"
            );
        }
        let many: Vec<_> = (0..300).map(|n| (0x1f * n + 0x21, 0)).collect();
        assert_eq!(
            Settings::decode(&payload(&many)).expect_err("many").code,
            ErrorCode::H3_EXCESSIVE_LOAD
        );
    }
}
