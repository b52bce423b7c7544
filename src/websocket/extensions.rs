//! `Sec-WebSocket-Extensions` ([RFC 6455 section 9.1](https://www.rfc-editor.org/rfc/rfc6455#section-9.1)) and the
//! negotiation of permessage-deflate ([RFC 7692 section 7.1](https://www.rfc-editor.org/rfc/rfc7692#section-7.1)), the one
//! extension that we know.

use std::fmt::Write as _;

use crate::http_token::is_token_byte;

const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";
/// The window of an end of which nothing was said: 32 KiB.
pub(crate) const MAX_WINDOW_BITS: u8 = 15;

/// The parameters of permessage-deflate: what an end wants, or what both have agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// The server begins each message with an empty window.
    pub(crate) server_no_context_takeover: bool,
    /// The client begins each message with an empty window.
    pub(crate) client_no_context_takeover: bool,
    /// The server's window has at most two to this power of bytes, 8 to 15.
    pub(crate) server_max_window_bits: u8,
    /// The client's window has at most two to this power of bytes, 8 to 15.
    pub(crate) client_max_window_bits: u8,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: MAX_WINDOW_BITS,
            client_max_window_bits: MAX_WINDOW_BITS,
        }
    }
}

/// A value that does not follow the grammar: who receives it fails the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Why a server's response fails the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseFault {
    /// It does not follow the grammar.
    Malformed,
    /// An extension that was not asked for, or one twice.
    NotOffered,
    /// A parameter that is unknown, there twice or without a valid value, or one that the offer rules out.
    Parameter,
}

impl From<Malformed> for ResponseFault {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// One element of the list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Extension<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, Option<String>)>,
}

/// Parses the header's value, of all its lines together; an empty one has no extensions.
pub(crate) fn parse(value: &str) -> Result<Vec<Extension<'_>>, Malformed> {
    let mut input = Input(value);
    let mut extensions = Vec::new();
    if input.is_at_end() {
        return Ok(extensions);
    }
    loop {
        let name = input.token()?;
        let mut parameters = Vec::new();
        while input.takes(';') {
            let name = input.token()?;
            let value = if input.takes('=') { Some(input.value()?) } else { None };
            parameters.push((name, value));
        }
        extensions.push(Extension { name, parameters });
        if input.is_at_end() {
            return Ok(extensions);
        }
        if !input.takes(',') {
            return Err(Malformed);
        }
    }
}

/// The client's offer. Windows of 32 KiB go without saying; that ours can be limited is said in any case.
pub(crate) fn offer(wanted: &Parameters) -> String {
    let mut offer = String::from(NAME);
    write_takeovers(&mut offer, wanted);
    if wanted.server_max_window_bits < MAX_WINDOW_BITS {
        put(&mut offer, SERVER_MAX_WINDOW_BITS, Some(wanted.server_max_window_bits));
    }
    let limit = (wanted.client_max_window_bits < MAX_WINDOW_BITS).then_some(wanted.client_max_window_bits);
    put(&mut offer, CLIENT_MAX_WINDOW_BITS, limit);
    offer
}

/// What the server's response to [`offer`] agrees to: nothing, or permessage-deflate with these parameters. `offered` is
/// absent if nothing was offered.
pub(crate) fn read_response(value: &str, offered: Option<&Parameters>) -> Result<Option<Parameters>, ResponseFault> {
    let extensions = parse(value)?;
    let [extension] = extensions.as_slice() else {
        return if extensions.is_empty() {
            Ok(None)
        } else {
            Err(ResponseFault::NotOffered)
        };
    };
    let offered = offered
        .filter(|_| extension.name == NAME)
        .ok_or(ResponseFault::NotOffered)?;
    let response = Given::read(extension).ok_or(ResponseFault::Parameter)?;
    // What the offer asked for must be granted.
    if offered.server_no_context_takeover && !response.server_no_context_takeover {
        return Err(ResponseFault::Parameter);
    }
    let server_max_window_bits = response.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
    if server_max_window_bits > offered.server_max_window_bits {
        return Err(ResponseFault::Parameter);
    }
    // What the response says of our window must have a value, and not one above the offer's.
    let client_max_window_bits = match response.client_max_window_bits {
        Some(Some(bits)) if bits <= offered.client_max_window_bits => bits,
        Some(_) => return Err(ResponseFault::Parameter),
        None => offered.client_max_window_bits,
    };
    Ok(Some(Parameters {
        server_no_context_takeover: response.server_no_context_takeover,
        // Having offered it, we keep to it in any case.
        client_no_context_takeover: response.client_no_context_takeover || offered.client_no_context_takeover,
        server_max_window_bits,
        client_max_window_bits,
    }))
}

/// The server's choice: the first offer that goes with `wanted`, and the response to it. An offer that is not valid is
/// passed over.
pub(crate) fn accept(offers: &[Extension<'_>], wanted: &Parameters) -> Option<(Parameters, String)> {
    offers
        .iter()
        .filter(|extension| extension.name == NAME)
        .find_map(|extension| Given::read(extension)?.accept(wanted))
}

/// The parameters that stand in an offer or a response.
struct Given {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// It may have no value, in an offer.
    client_max_window_bits: Option<Option<u8>>,
}

impl Given {
    /// `None`: a parameter is unknown, there twice or has no valid value.
    fn read(extension: &Extension<'_>) -> Option<Self> {
        let mut given = Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_max_window_bits: None,
        };
        for (name, value) in &extension.parameters {
            let twice = match (*name, value) {
                (SERVER_NO_CONTEXT_TAKEOVER, None) => std::mem::replace(&mut given.server_no_context_takeover, true),
                (CLIENT_NO_CONTEXT_TAKEOVER, None) => std::mem::replace(&mut given.client_no_context_takeover, true),
                (SERVER_MAX_WINDOW_BITS, Some(bits)) => {
                    given.server_max_window_bits.replace(window_bits(bits)?).is_some()
                }
                (CLIENT_MAX_WINDOW_BITS, Some(bits)) => {
                    given.client_max_window_bits.replace(Some(window_bits(bits)?)).is_some()
                }
                (CLIENT_MAX_WINDOW_BITS, None) => given.client_max_window_bits.replace(None).is_some(),
                _ => return None,
            };
            if twice {
                return None;
            }
        }
        Some(given)
    }

    fn accept(self, wanted: &Parameters) -> Option<(Parameters, String)> {
        let server_max_window_bits = self
            .server_max_window_bits
            .unwrap_or(MAX_WINDOW_BITS)
            .min(wanted.server_max_window_bits);
        let client_max_window_bits = match self.client_max_window_bits {
            Some(bits) => bits.unwrap_or(MAX_WINDOW_BITS).min(wanted.client_max_window_bits),
            // This client can't be told.
            None if wanted.client_max_window_bits < MAX_WINDOW_BITS => return None,
            None => MAX_WINDOW_BITS,
        };
        let agreed = Parameters {
            server_no_context_takeover: self.server_no_context_takeover || wanted.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover || wanted.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
        };
        let mut response = String::from(NAME);
        write_takeovers(&mut response, &agreed);
        if self.server_max_window_bits.is_some() || server_max_window_bits < MAX_WINDOW_BITS {
            put(&mut response, SERVER_MAX_WINDOW_BITS, Some(server_max_window_bits));
        }
        if client_max_window_bits < MAX_WINDOW_BITS {
            put(&mut response, CLIENT_MAX_WINDOW_BITS, Some(client_max_window_bits));
        }
        Some((agreed, response))
    }
}

/// Eight to fifteen, without leading zeros.
fn window_bits(value: &str) -> Option<u8> {
    match value.as_bytes() {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

fn write_takeovers(output: &mut String, parameters: &Parameters) {
    if parameters.server_no_context_takeover {
        put(output, SERVER_NO_CONTEXT_TAKEOVER, None);
    }
    if parameters.client_no_context_takeover {
        put(output, CLIENT_NO_CONTEXT_TAKEOVER, None);
    }
}

fn put(output: &mut String, name: &str, value: Option<u8>) {
    match value {
        Some(value) => write!(output, "; {name}={value}"),
        None => write!(output, "; {name}"),
    }
    .expect("writing to a String does not fail");
}

/// What is left of the header's value. White space may stand between any two words.
struct Input<'a>(&'a str);

impl<'a> Input<'a> {
    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.0.is_empty()
    }

    fn takes(&mut self, character: char) -> bool {
        self.skip_space();
        match self.0.strip_prefix(character) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn token(&mut self) -> Result<&'a str, Malformed> {
        self.skip_space();
        let length = self.0.bytes().take_while(|&byte| is_token_byte(byte)).count();
        if length == 0 {
            return Err(Malformed);
        }
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        Ok(token)
    }

    /// A token, or a quoted string that is one when it is unescaped.
    fn value(&mut self) -> Result<String, Malformed> {
        if !self.takes('"') {
            return self.token().map(str::to_owned);
        }
        let mut value = String::new();
        let mut characters = self.0.char_indices();
        loop {
            match characters.next() {
                Some((at, '"')) => {
                    self.0 = &self.0[at + 1..];
                    break;
                }
                Some((_, '\\')) => value.push(characters.next().ok_or(Malformed)?.1),
                Some((_, character)) => value.push(character),
                None => return Err(Malformed),
            }
        }
        if value.is_empty() || !value.bytes().all(is_token_byte) {
            return Err(Malformed);
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests;
