//! GOAWAY: the peer will look at no more requests. <https://www.rfc-editor.org/rfc/rfc9114#section-5.2>

use super::error_code::ErrorCode;
use super::stream_header::is_session_id;
use super::{Role, Violation};

/// What a peer has said about its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Goaway {
    /// Requests, or pushes, from this one on are not looked at.
    pub(crate) from: Option<u64>,
}

impl Goaway {
    /// Takes a GOAWAY frame that came to us. Each may only say less than the one before.
    pub(crate) fn receive(self, us: Role, id: u64) -> Result<Self, Violation> {
        let rule = match us {
            Role::Client if !is_session_id(id) => "a server's GOAWAY names a request",
            // A client's counts pushes, of which there are none.
            Role::Client | Role::Server if self.from.is_some_and(|before| id > before) => "GOAWAY never grows",
            Role::Client | Role::Server => return Ok(Self { from: Some(id) }),
        };
        Err(Violation::connection(ErrorCode::H3_ID_ERROR, rule))
    }

    /// Whether the peer does not look at the request of this number.
    pub(crate) fn excludes(self, id: u64) -> bool {
        self.from.is_some_and(|from| id >= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_less_than_the_one_before() {
        let goaway = Goaway::default();
        assert!(!goaway.excludes(0));
        let goaway = goaway.receive(Role::Client, 8).expect("sound");
        assert!(goaway.excludes(8) && !goaway.excludes(4));
        let goaway = goaway.receive(Role::Client, 8).expect("the same again");
        let goaway = goaway.receive(Role::Client, 4).expect("less");
        assert!(goaway.excludes(4) && !goaway.excludes(0));
        let grown = goaway.receive(Role::Client, 8).expect_err("more");
        assert_eq!(grown.code, ErrorCode::H3_ID_ERROR);
    }

    #[test]
    fn a_servers_names_a_request_and_a_clients_a_push() {
        for id in [1, 2, 3, 5] {
            let wrong = Goaway::default().receive(Role::Client, id).expect_err("no request");
            assert_eq!(wrong.code, ErrorCode::H3_ID_ERROR);
            assert!(Goaway::default().receive(Role::Server, id).is_ok());
        }
    }
}
