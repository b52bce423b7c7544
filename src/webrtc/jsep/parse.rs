//! Reads the text of a session description, [RFC 8866](https://www.rfc-editor.org/rfc/rfc8866#section-9), in linear time
//! and with limits; an error names its line, as `RTCError.sdpLineNumber` wants it.

use super::Refusal;
use super::description::{
    Attribute, Description, Direction, Fingerprint, IceCredentials, Kind, MAX_CANDIDATES, Origin, Section, Setup,
};

/// The largest description that is read, in bytes: a browser's with 200 simulcast sections has a fifth of that.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// The longest line, in bytes.
const MAX_LINE: usize = 1 << 14;
/// The most m-sections.
const MAX_SECTIONS: usize = 1000;

/// Parses `sdp`. Lines end in CR LF or LF; blank lines are allowed at the end only.
pub(crate) fn parse(sdp: &str) -> Result<Description, Refusal> {
    if sdp.len() > MAX_BYTES {
        return Err(Refusal::Operation(format!(
            "The description is longer than {MAX_BYTES} bytes"
        )));
    }
    let mut reader = Reader::default();
    let mut offset = 0;
    let mut number = 0;
    for raw in sdp.split_inclusive('\n') {
        number += 1;
        let line = raw.strip_suffix('\n').unwrap_or(raw);
        let line = line.strip_suffix('\r').unwrap_or(line);
        reader.line(line, number, offset)?;
        offset += raw.len();
    }
    reader.finish(number.max(1), offset)
}

/// The place in the grammar of the session level; each kind of line has its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    Version,
    Origin,
    Name,
    /// i u e p c b, in any order and number.
    Details,
    /// After the first t=: r z k a, further t=, and m-sections.
    Timed,
}

#[derive(Default)]
struct Reader {
    turn: Turn,
    description: Description,
    /// Session-level values that a section without its own inherits.
    session: Section,
    ice: PartialIce,
    blank: Option<u32>,
    /// Where blank lines at the end began, in bytes.
    end: Option<usize>,
}

/// ufrag and pwd come on lines of their own.
#[derive(Default)]
struct PartialIce {
    username_fragment: Option<String>,
    password: Option<String>,
}

impl PartialIce {
    fn take(&mut self) -> Option<IceCredentials> {
        let (username_fragment, password) = (self.username_fragment.take(), self.password.take());
        Some(IceCredentials {
            username_fragment: username_fragment?,
            password: password?,
        })
    }
}

fn syntax<T>(line: u32, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Syntax {
        line,
        message: message.into(),
    })
}

impl Reader {
    fn line(&mut self, line: &str, number: u32, offset: usize) -> Result<(), Refusal> {
        if line.is_empty() {
            self.blank.get_or_insert(number);
            self.end.get_or_insert(offset);
            return Ok(());
        }
        if let Some(blank) = self.blank {
            return syntax(blank, "Blank line");
        }
        if line.len() > MAX_LINE {
            return syntax(number, "Line too long");
        }
        if line.bytes().any(|byte| matches!(byte, 0 | b'\r')) {
            return syntax(number, "Control character");
        }
        let Some((kind, value)) = line.split_once('=').filter(|(kind, _)| kind.len() == 1) else {
            return syntax(number, "Not a line of SDP: <letter>=<value> expected");
        };
        match kind {
            "m" if self.turn == Turn::Timed => self.media(value, number, offset),
            _ if !self.description.sections.is_empty() => match kind {
                "a" => self.attribute(value, number),
                "i" | "c" | "b" | "k" => Ok(()),
                _ => syntax(number, format!("{kind}= has no place in a media section")),
            },
            _ => self.session_line(kind, value, number),
        }
    }

    fn session_line(&mut self, kind: &str, value: &str, number: u32) -> Result<(), Refusal> {
        self.turn = match (self.turn, kind) {
            (Turn::Version, "v") if value == "0" => Turn::Origin,
            (Turn::Origin, "o") => {
                let fields: Vec<&str> = value.split(' ').collect();
                let [_, session_id, version, _, _, _] = fields[..] else {
                    return syntax(number, "o= has six fields");
                };
                self.description.origin = Origin {
                    session_id: session_id.into(),
                    version: version.into(),
                };
                Turn::Name
            }
            (Turn::Name, "s") => Turn::Details,
            (Turn::Details, "i" | "u" | "e" | "p" | "c" | "b") => Turn::Details,
            (Turn::Details | Turn::Timed, "t") => Turn::Timed,
            (Turn::Timed, "r" | "z" | "k") => Turn::Timed,
            (Turn::Timed, "a") => {
                self.attribute(value, number)?;
                Turn::Timed
            }
            (Turn::Version, _) => return syntax(number, "v=0 expected"),
            (Turn::Origin, _) => return syntax(number, "o= expected"),
            (Turn::Name, _) => return syntax(number, "s= expected"),
            (Turn::Details, _) => return syntax(number, "t= expected"),
            (Turn::Timed, _) => return syntax(number, format!("{kind}= has no place here")),
        };
        Ok(())
    }

    fn media(&mut self, value: &str, number: u32, offset: usize) -> Result<(), Refusal> {
        self.close_section(offset);
        if self.description.sections.len() == MAX_SECTIONS {
            return Err(Refusal::Operation(format!("More than {MAX_SECTIONS} m-sections")));
        }
        let mut fields = value.split(' ').filter(|field| !field.is_empty());
        let (Some(kind), Some(port), Some(protocol)) = (fields.next(), fields.next(), fields.next()) else {
            return syntax(number, "m= has a type, a port, a protocol and formats");
        };
        let Ok(port) = port.split('/').next().unwrap_or(port).parse() else {
            return syntax(number, "Bad port");
        };
        let formats: Vec<String> = fields.map(str::to_owned).collect();
        if formats.is_empty() {
            return syntax(number, "m= without a format");
        }
        let kind = match kind {
            "audio" => Kind::Audio,
            "video" => Kind::Video,
            "application" => Kind::Application,
            other => Kind::Other(other.to_owned()),
        };
        self.description.sections.push(Section {
            line: number,
            span: offset..offset,
            kind,
            port,
            protocol: protocol.to_owned(),
            formats,
            ..Section::default()
        });
        Ok(())
    }

    /// Ends the part read so far: the session level or the last section.
    fn close_section(&mut self, offset: usize) {
        let ice = self.ice.take();
        match self.description.sections.last_mut() {
            Some(section) => {
                section.span.end = offset;
                section.ice = ice.or_else(|| self.session.ice.clone());
                if section.fingerprints.is_empty() {
                    section.fingerprints.clone_from(&self.session.fingerprints);
                }
                section.setup = section.setup.or(self.session.setup);
            }
            None => self.session.ice = ice,
        }
    }

    fn attribute(&mut self, text: &str, number: u32) -> Result<(), Refusal> {
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        if name.is_empty() || name.bytes().any(|byte| !is_token(byte)) {
            return syntax(number, "Bad attribute name");
        }
        let at_session = self.description.sections.is_empty();
        let section = self.description.sections.last_mut().unwrap_or(&mut self.session);
        let text = value.unwrap_or_default();
        match name {
            "mid" if !at_session => {
                if text.is_empty() || text.len() > 64 || !text.bytes().all(is_token) {
                    return syntax(number, "Bad mid");
                }
                section.mid = Some(text.to_owned());
            }
            "sendrecv" => section.direction = Some(Direction::SendRecv),
            "sendonly" => section.direction = Some(Direction::SendOnly),
            "recvonly" => section.direction = Some(Direction::RecvOnly),
            "inactive" => section.direction = Some(Direction::Inactive),
            "bundle-only" => section.bundle_only = true,
            "rtcp-mux" => section.rtcp_mux = true,
            "ice-ufrag" => self.ice.username_fragment = Some(ice_string(text, 4, number)?),
            "ice-pwd" => self.ice.password = Some(ice_string(text, 22, number)?),
            "ice-lite" => self.description.ice_lite = true,
            "ice-options" => {
                // libdatachannel separates them by a comma.
                let options = text
                    .split([' ', ','])
                    .filter(|option| !option.is_empty())
                    .map(str::to_owned)
                    .collect();
                if at_session {
                    self.description.ice_options = options;
                } else {
                    section.ice_options = options;
                }
            }
            "fingerprint" => section.fingerprints.push(fingerprint(text, number)?),
            "setup" => {
                section.setup = Some(match text {
                    "actpass" => Setup::Actpass,
                    "active" => Setup::Active,
                    "passive" => Setup::Passive,
                    "holdconn" => Setup::Holdconn,
                    _ => return syntax(number, "Bad setup"),
                });
            }
            "sctp-port" => match text.parse() {
                Ok(port) if port > 0 => section.sctp_port = Some(port),
                _ => return syntax(number, "Bad sctp-port"),
            },
            "max-message-size" => match text.parse() {
                Ok(size) => section.max_message_size = Some(size),
                Err(_) => return syntax(number, "Bad max-message-size"),
            },
            "candidate" if !at_session => {
                if section.candidates.len() < MAX_CANDIDATES {
                    section.candidates.push(format!("candidate:{text}"));
                }
            }
            "end-of-candidates" => section.end_of_candidates = true,
            "group" if at_session => {
                let mut words = text.split(' ').filter(|word| !word.is_empty());
                if words.next() == Some("BUNDLE") {
                    self.description.bundle.push(words.map(str::to_owned).collect());
                }
            }
            _ => {
                let attributes = if at_session {
                    &mut self.description.attributes
                } else {
                    &mut section.attributes
                };
                attributes.push(Attribute {
                    name: name.to_owned(),
                    value: value.map(str::to_owned),
                });
            }
        }
        Ok(())
    }

    fn finish(mut self, last: u32, offset: usize) -> Result<Description, Refusal> {
        match self.turn {
            Turn::Version => return syntax(1, "v=0 expected"),
            Turn::Origin | Turn::Name | Turn::Details => return syntax(last, "The description ends too early"),
            Turn::Timed => {}
        }
        let end = self.end.unwrap_or(offset);
        self.close_section(end);
        Ok(self.description)
    }
}

/// A token of RFC 8866, section 9.
const fn is_token(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x27 | 0x2a..=0x2b | 0x2d..=0x2e | 0x30..=0x39 | 0x41..=0x5a | 0x5e..=0x7e)
}

/// An ICE character, RFC 8839, section 5.4.
pub(crate) const fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

fn ice_string(text: &str, shortest: usize, number: u32) -> Result<String, Refusal> {
    if text.len() < shortest || text.len() > 256 || !text.bytes().all(is_ice_char) {
        return syntax(
            number,
            format!("An ICE credential has {shortest} to 256 characters of A-Z a-z 0-9 + /"),
        );
    }
    Ok(text.to_owned())
}

fn fingerprint(text: &str, number: u32) -> Result<Fingerprint, Refusal> {
    let Some((algorithm, value)) = text.split_once(' ') else {
        return syntax(number, "A fingerprint has a hash and a value");
    };
    let algorithm = algorithm.to_ascii_lowercase();
    let pairs_are_hex = value
        .split(':')
        .all(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()));
    let length_fits = match algorithm.as_str() {
        "md2" | "md5" => value.len() == 16 * 3 - 1,
        "sha-1" => value.len() == 20 * 3 - 1,
        "sha-224" => value.len() == 28 * 3 - 1,
        "sha-256" => value.len() == 32 * 3 - 1,
        "sha-384" => value.len() == 48 * 3 - 1,
        "sha-512" => value.len() == 64 * 3 - 1,
        _ => true,
    };
    if algorithm.is_empty() || !pairs_are_hex || !length_fits {
        return syntax(number, "Bad fingerprint");
    }
    Ok(Fingerprint {
        algorithm,
        value: value.to_ascii_uppercase(),
    })
}
