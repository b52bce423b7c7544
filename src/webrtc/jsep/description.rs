//! A session description: the model, its printing, and the small edits that candidates make to its text.
//! [RFC 8866](https://www.rfc-editor.org/rfc/rfc8866) (SDP), [RFC 9143](https://www.rfc-editor.org/rfc/rfc9143) (BUNDLE),
//! [RFC 8841](https://www.rfc-editor.org/rfc/rfc8841) (SCTP over DTLS).

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

/// A parsed or generated description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) origin: Origin,
    pub(crate) ice_lite: bool,
    pub(crate) ice_options: Vec<String>,
    /// The BUNDLE groups, each a list of mids whose first accepted one carries the transport.
    pub(crate) bundle: Vec<Vec<String>>,
    /// Session-level attributes that have no field here, in order.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) sections: Vec<Section>,
}

/// The `o=` line, as far as JSEP cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) session_id: String,
    pub(crate) version: String,
}

/// One m-section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Section {
    /// The line of `m=`, counted from 1; 0 in a generated section.
    pub(crate) line: u32,
    /// The bytes of the section in the text that it was parsed from.
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    pub(crate) protocol: String,
    pub(crate) formats: Vec<String>,
    pub(crate) mid: Option<String>,
    pub(crate) direction: Option<Direction>,
    pub(crate) bundle_only: bool,
    pub(crate) rtcp_mux: bool,
    pub(crate) ice: Option<IceCredentials>,
    pub(crate) ice_options: Vec<String>,
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) setup: Option<Setup>,
    pub(crate) sctp_port: Option<u16>,
    pub(crate) max_message_size: Option<u64>,
    /// Values of `a=candidate`, with the leading `candidate:`, at most [`MAX_CANDIDATES`].
    pub(crate) candidates: Vec<String>,
    pub(crate) end_of_candidates: bool,
    /// The other attributes in order (codecs, header extensions, ssrc, rid, simulcast), as media will need them.
    pub(crate) attributes: Vec<Attribute>,
}

/// Candidates kept of one section; a peer that sends more gains nothing.
pub(crate) const MAX_CANDIDATES: usize = 100;

/// An attribute without a field of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

/// The media type of an m-section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    Audio,
    Video,
    #[default]
    Application,
    /// text, message, image or anything newer.
    Other(String),
}

impl Kind {
    /// The word of the m= line.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Application => "application",
            Self::Other(name) => name,
        }
    }
}

/// The direction of a media section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    /// The attribute's name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// `a=setup`, RFC 4145.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    Actpass,
    Active,
    Passive,
    Holdconn,
}

impl Setup {
    /// The attribute's value.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Actpass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
            Self::Holdconn => "holdconn",
        }
    }
}

/// `a=ice-ufrag` and `a=ice-pwd`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IceCredentials {
    pub(crate) username_fragment: String,
    pub(crate) password: String,
}

/// `a=fingerprint`: the hash in lower case, the digest as upper-case hex pairs with colons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) algorithm: String,
    pub(crate) value: String,
}

impl Section {
    /// Whether the m-section is refused or stopped: port 0, unless it only waits for its bundle.
    pub(crate) fn is_rejected(&self) -> bool {
        self.port == 0 && !self.bundle_only
    }

    /// Whether this is a data section that we speak: SCTP over DTLS in the format of RFC 8841.
    pub(crate) fn is_data(&self) -> bool {
        self.kind == Kind::Application
            && matches!(self.protocol.as_str(), "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP" | "DTLS/SCTP")
            && self.formats.iter().any(|format| format == "webrtc-datachannel")
    }

    /// The section as its side refuses it: port 0 and nothing but its mid.
    pub(crate) fn refused(&self) -> Self {
        Self {
            kind: self.kind.clone(),
            protocol: self.protocol.clone(),
            formats: self.formats.clone(),
            mid: self.mid.clone(),
            direction: (self.kind != Kind::Application).then_some(Direction::Inactive),
            ..Self::default()
        }
    }
}

impl Description {
    /// For each section the index of the one that carries its transport: the tagged section of its BUNDLE group (the
    /// first of the group that is not refused), or itself. Linear time.
    pub(crate) fn transports(&self) -> Vec<usize> {
        let mut transports: Vec<usize> = (0..self.sections.len()).collect();
        let by_mid: HashMap<&str, usize> = self
            .sections
            .iter()
            .enumerate()
            .filter_map(|(i, section)| Some((section.mid.as_deref()?, i)))
            .collect();
        for group in &self.bundle {
            let members = group.iter().filter_map(|mid| by_mid.get(mid.as_str()).copied());
            let mut accepted = members.filter(|&index| !self.sections[index].is_rejected());
            if let Some(tagged) = accepted.next() {
                accepted.for_each(|index| transports[index] = tagged);
            }
        }
        transports
    }

    /// The index of the first data section that is not refused.
    pub(crate) fn data_section(&self) -> Option<usize> {
        self.sections
            .iter()
            .position(|section| section.is_data() && !section.is_rejected())
    }

    /// Whether the description says that its side takes candidates one by one.
    pub(crate) fn can_trickle(&self) -> bool {
        let trickles = |options: &[String]| options.iter().any(|option| option == "trickle");
        trickles(&self.ice_options) || self.sections.iter().any(|section| trickles(&section.ice_options))
    }
}

/// The mid of a section, or the one that a description without mids gets from its place.
pub(crate) fn mid_or_place(section: &Section, index: usize) -> String {
    section.mid.clone().unwrap_or_else(|| format!("{index}"))
}

/// The text with `lines` (without line ends) added at the end of the section with this span.
pub(crate) fn with_lines(sdp: &str, span: &Range<usize>, lines: &[&str]) -> String {
    let (head, tail) = sdp.split_at(span.end);
    let mut text = String::with_capacity(sdp.len() + lines.iter().map(|line| line.len() + 2).sum::<usize>() + 2);
    text.push_str(head);
    if !head.ends_with('\n') {
        text.push_str("\r\n");
    }
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str(tail);
    text
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "v=0\r\no=- {} {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
            self.origin.session_id, self.origin.version
        )?;
        for group in &self.bundle {
            write!(f, "a=group:BUNDLE {}\r\n", group.join(" "))?;
        }
        if self.ice_lite {
            f.write_str("a=ice-lite\r\n")?;
        }
        if !self.ice_options.is_empty() {
            write!(f, "a=ice-options:{}\r\n", self.ice_options.join(" "))?;
        }
        print_attributes(f, &self.attributes)?;
        self.sections.iter().try_for_each(|section| section.fmt(f))
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "m={} {} {} {}\r\n",
            self.kind.as_str(),
            self.port,
            self.protocol,
            self.formats.join(" ")
        )?;
        f.write_str("c=IN IP4 0.0.0.0\r\n")?;
        if let Some(mid) = &self.mid {
            write!(f, "a=mid:{mid}\r\n")?;
        }
        if let Some(direction) = self.direction {
            write!(f, "a={}\r\n", direction.as_str())?;
        }
        if self.bundle_only {
            f.write_str("a=bundle-only\r\n")?;
        }
        if self.rtcp_mux {
            f.write_str("a=rtcp-mux\r\n")?;
        }
        if let Some(ice) = &self.ice {
            write!(
                f,
                "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n",
                ice.username_fragment, ice.password
            )?;
        }
        if !self.ice_options.is_empty() {
            write!(f, "a=ice-options:{}\r\n", self.ice_options.join(" "))?;
        }
        for fingerprint in &self.fingerprints {
            write!(f, "a=fingerprint:{} {}\r\n", fingerprint.algorithm, fingerprint.value)?;
        }
        if let Some(setup) = self.setup {
            write!(f, "a=setup:{}\r\n", setup.as_str())?;
        }
        if let Some(port) = self.sctp_port {
            write!(f, "a=sctp-port:{port}\r\n")?;
        }
        if let Some(size) = self.max_message_size {
            write!(f, "a=max-message-size:{size}\r\n")?;
        }
        print_attributes(f, &self.attributes)?;
        for candidate in &self.candidates {
            write!(f, "a={candidate}\r\n")?;
        }
        if self.end_of_candidates {
            f.write_str("a=end-of-candidates\r\n")?;
        }
        Ok(())
    }
}

fn print_attributes(f: &mut fmt::Formatter<'_>, attributes: &[Attribute]) -> fmt::Result {
    attributes.iter().try_for_each(|attribute| match &attribute.value {
        Some(value) => write!(f, "a={}:{value}\r\n", attribute.name),
        None => write!(f, "a={}\r\n", attribute.name),
    })
}
