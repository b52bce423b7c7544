//! The signalling half of an RTCPeerConnection as pure functions: [JSEP, RFC 9429](https://www.rfc-editor.org/rfc/rfc9429).
//!
//! Nothing here keeps state: the description slots live in `web/`, come in as a [`apply::Snapshot`] and go out as
//! [`apply::Changes`]. Start with [`description`] (the model), then [`apply`] (the signalling state machine).

pub(crate) mod answer;
pub(crate) mod apply;
pub(crate) mod candidate;
pub(crate) mod check;
pub(crate) mod description;
pub(crate) mod offer;
pub(crate) mod parse;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
pub(crate) mod trickle;

/// Why a description or candidate is refused; names the exception that a script is to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// An `RTCError` "sdp-syntax-error" at a line, counted from 1.
    Syntax { line: u32, message: String },
    /// An `InvalidStateError`: the type does not fit the signalling state.
    InvalidState(String),
    /// An `InvalidAccessError`: well-formed, but its content is invalid.
    InvalidAccess(String),
    /// An `OperationError`: everything else, limits included.
    Operation(String),
}

impl Refusal {
    /// The name of the exception; an RTCError's name is that of its base, `OperationError`.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::InvalidState(_) => "InvalidStateError",
            Self::InvalidAccess(_) => "InvalidAccessError",
            Self::Syntax { .. } | Self::Operation(_) => "OperationError",
        }
    }

    /// The text for people.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Syntax { message, .. }
            | Self::InvalidState(message)
            | Self::InvalidAccess(message)
            | Self::Operation(message) => message,
        }
    }

    /// The line of a syntax error, counted from 1.
    pub(crate) const fn line(&self) -> Option<u32> {
        match self {
            Self::Syntax { line, .. } => Some(*line),
            Self::InvalidState(_) | Self::InvalidAccess(_) | Self::Operation(_) => None,
        }
    }
}
