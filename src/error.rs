//! What can go wrong, as data: a DOMException name, a text for people and, where a standard has one, a code.
//!
//! A text is never parsed: JavaScript reads the name (`error.code` of a thrown error, a number in an event).

use std::borrow::Cow;
use std::fmt;

/// The class or DOMException name that a script is to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorName {
    /// A JavaScript `TypeError`, not a DOMException.
    TypeError,
    /// `DOMException` "SyntaxError".
    SyntaxError,
    /// `DOMException` "InvalidStateError".
    InvalidStateError,
    /// `DOMException` "InvalidAccessError".
    InvalidAccessError,
    /// `DOMException` "NotSupportedError".
    NotSupportedError,
    /// `DOMException` "OperationError".
    OperationError,
    /// `DOMException` "NetworkError".
    NetworkError,
    /// `DOMException` "InvalidModificationError".
    InvalidModificationError,
    /// Not a DOMException: an error of the operating system; the text begins with its code (`EADDRINUSE`).
    SystemError,
    /// The binding layer itself refused: a wrong argument type that `web/` should have caught.
    Binding,
}

impl ErrorName {
    const fn as_str(self) -> &'static str {
        match self {
            Self::TypeError => "TypeError",
            Self::SyntaxError => "SyntaxError",
            Self::InvalidStateError => "InvalidStateError",
            Self::InvalidAccessError => "InvalidAccessError",
            Self::NotSupportedError => "NotSupportedError",
            Self::OperationError => "OperationError",
            Self::NetworkError => "NetworkError",
            Self::InvalidModificationError => "InvalidModificationError",
            Self::SystemError => "SystemError",
            Self::Binding => "Binding",
        }
    }
}

impl AsRef<str> for ErrorName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl From<napi::Status> for ErrorName {
    fn from(_: napi::Status) -> Self {
        Self::Binding
    }
}

/// An error on its way to JavaScript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    pub(crate) name: ErrorName,
    pub(crate) message: Cow<'static, str>,
    /// A code of the standard at hand (a stream error code, a line of an SDP), where there is one.
    pub(crate) code: Option<u32>,
}

impl Error {
    /// An error without a code.
    pub(crate) fn new(name: ErrorName, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name,
            message: message.into(),
            code: None,
        }
    }

    /// An error of the operating system, its text led by the code that Node users know (`EADDRINUSE: …`).
    pub(crate) fn system(error: &std::io::Error) -> Self {
        Self::new(ErrorName::SystemError, format!("{}: {error}", system_code(error)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name.as_str(), self.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for napi::Error<ErrorName> {
    fn from(error: Error) -> Self {
        Self::new(error.name, error.message.into_owned())
    }
}

/// What a synchronous method of a door returns; JavaScript sees the name as `error.code`.
pub type Result<T> = std::result::Result<T, napi::Error<ErrorName>>;

/// A name that has no address. std keeps none of the resolver's codes; nearly all mean this one.
#[derive(Debug)]
struct UnknownHost(std::io::Error);

impl fmt::Display for UnknownHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for UnknownHost {}

/// What the look-up of a name has failed with: known as that from here on, unless it was the system that failed.
pub(crate) fn unknown_host(error: std::io::Error) -> std::io::Error {
    match error.raw_os_error() {
        // On Windows the resolver's own codes come so too.
        Some(_) if cfg!(unix) => error,
        Some(_) | None => std::io::Error::other(UnknownHost(error)),
    }
}

/// The name that Node gives to a system error.
pub(crate) fn system_code(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind as Kind;
    if error.get_ref().is_some_and(|inner| inner.is::<UnknownHost>()) {
        return "ENOTFOUND";
    }
    // What std has no kind for.
    #[cfg(unix)]
    match error.raw_os_error() {
        Some(23) => return "ENFILE",
        Some(24) => return "EMFILE",
        Some(_) | None => {}
    }
    match error.kind() {
        Kind::AddrInUse => "EADDRINUSE",
        Kind::AddrNotAvailable => "EADDRNOTAVAIL",
        Kind::PermissionDenied => "EACCES",
        Kind::ConnectionRefused => "ECONNREFUSED",
        Kind::ConnectionReset => "ECONNRESET",
        Kind::TimedOut => "ETIMEDOUT",
        Kind::HostUnreachable => "EHOSTUNREACH",
        Kind::NetworkUnreachable => "ENETUNREACH",
        Kind::NotFound => "ENOENT",
        Kind::InvalidInput => "EINVAL",
        Kind::BrokenPipe => "EPIPE",
        Kind::ConnectionAborted => "ECONNABORTED",
        Kind::UnexpectedEof => "EOF",
        Kind::Unsupported => "ENOTSUP",
        _ => "EIO",
    }
}
