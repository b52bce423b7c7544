//! Tables: header values and what becomes of them.

use super::*;

const NONE: Parameters = Parameters {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

#[test]
fn the_grammar() {
    let one = |name, parameters: &[(&'static str, Option<&str>)]| Extension {
        name,
        parameters: parameters
            .iter()
            .map(|(name, value)| (*name, value.map(str::to_owned)))
            .collect(),
    };
    assert_eq!(parse(""), Ok(vec![]));
    assert_eq!(parse(" \t"), Ok(vec![]));
    assert_eq!(parse("a"), Ok(vec![one("a", &[])]));
    assert_eq!(
        parse("a;b ; c=1;\td = \"2\" , e,f;g=\"\\1\\5\""),
        Ok(vec![
            one("a", &[("b", None), ("c", Some("1")), ("d", Some("2"))]),
            one("e", &[]),
            one("f", &[("g", Some("15"))]),
        ])
    );
    for malformed in [
        ",",
        "a,",
        ",a",
        "a,,b",
        "a;",
        "a;;b",
        "a;=1",
        "a;b=",
        "a;b=\"",
        "a;b=\"\"",
        "a;b=\"1",
        "a;b=\"1 2\"",
        "a;b=\"\\",
        "a b",
        "a;b=1 2",
        "a;b=1\"",
        "a/b",
        "é",
        "a;b=\"é\"",
        "\"a\"",
        "=",
        ";a",
    ] {
        assert_eq!(parse(malformed), Err(Malformed), "{malformed}");
    }
    assert_eq!(parse(&",".repeat(60_000)), Err(Malformed));
    assert_eq!(parse(&vec!["a"; 30_000].join(",")).map(|all| all.len()), Ok(30_000));
}

#[test]
fn what_the_client_offers() {
    assert_eq!(offer(&NONE), "permessage-deflate; client_max_window_bits");
    assert_eq!(
        offer(&Parameters {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: 9,
            client_max_window_bits: 8,
        }),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; \
         client_max_window_bits=8"
    );
}

#[test]
fn what_the_client_takes_from_a_response() {
    let takes = |value: &str, expected| assert_eq!(read_response(value, Some(&NONE)), Ok(Some(expected)), "{value}");
    assert_eq!(read_response("", Some(&NONE)), Ok(None));
    takes("permessage-deflate", NONE);
    takes(
        "permessage-deflate;server_no_context_takeover",
        Parameters {
            server_no_context_takeover: true,
            ..NONE
        },
    );
    takes(
        "permessage-deflate; client_no_context_takeover; client_max_window_bits=\"8\"; server_max_window_bits=10",
        Parameters {
            client_no_context_takeover: true,
            client_max_window_bits: 8,
            server_max_window_bits: 10,
            ..NONE
        },
    );
    for bits in 8..=15 {
        takes(
            &format!("permessage-deflate; server_max_window_bits={bits}"),
            Parameters {
                server_max_window_bits: bits,
                ..NONE
            },
        );
    }
}

#[test]
fn responses_that_fail_the_connection() {
    use ResponseFault::{Malformed, NotOffered, Parameter};
    let fails = |value: &str, offered: Option<&Parameters>, fault| {
        assert_eq!(read_response(value, offered), Err(fault), "{value}");
    };
    for (value, fault) in [
        ("permessage-deflate;", Malformed),
        ("permessage-deflate; server_max_window_bits=", Malformed),
        ("x-webkit-deflate-frame", NotOffered),
        ("Permessage-Deflate", NotOffered),
        ("permessage-deflate, permessage-deflate", NotOffered),
        ("permessage-deflate, other", NotOffered),
        ("permessage-deflate; unknown", Parameter),
        ("permessage-deflate; server_no_context_takeover=1", Parameter),
        ("permessage-deflate; client_no_context_takeover=true", Parameter),
        (
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            Parameter,
        ),
        ("permessage-deflate; server_max_window_bits", Parameter),
        ("permessage-deflate; client_max_window_bits", Parameter),
        (
            "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
            Parameter,
        ),
    ] {
        fails(value, Some(&NONE), fault);
    }
    for bits in [
        "7",
        "16",
        "08",
        "015",
        "+9",
        "-8",
        "1e1",
        "9.0",
        "0x9",
        "99999999999999999999",
    ] {
        fails(
            &format!("permessage-deflate; server_max_window_bits={bits}"),
            Some(&NONE),
            Parameter,
        );
        fails(
            &format!("permessage-deflate; client_max_window_bits={bits}"),
            Some(&NONE),
            Parameter,
        );
    }
    fails("permessage-deflate", None, NotOffered);
    let strict = Parameters {
        server_no_context_takeover: true,
        server_max_window_bits: 10,
        client_max_window_bits: 10,
        ..NONE
    };
    for value in [
        "permessage-deflate; server_max_window_bits=10",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=11",
    ] {
        fails(value, Some(&strict), Parameter);
    }
    assert_eq!(
        read_response(
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
            Some(&strict)
        ),
        Ok(Some(Parameters {
            server_max_window_bits: 9,
            ..strict
        }))
    );
}

#[test]
fn what_was_hinted_is_kept_to() {
    let hinting = Parameters {
        client_no_context_takeover: true,
        client_max_window_bits: 9,
        ..NONE
    };
    assert_eq!(read_response("permessage-deflate", Some(&hinting)), Ok(Some(hinting)));
}

#[test]
fn what_the_server_accepts() {
    let accepts = |value: &str, wanted: &Parameters, response: Option<&str>| {
        let offers = parse(value).expect("well-formed");
        let accepted = accept(&offers, wanted);
        assert_eq!(
            accepted.as_ref().map(|(_, response)| response.as_str()),
            response,
            "{value}"
        );
        accepted.map(|(agreed, _)| agreed)
    };
    let small = Parameters {
        server_max_window_bits: 10,
        client_max_window_bits: 11,
        ..NONE
    };
    let forgetful = Parameters {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..NONE
    };
    let same = |value: &str, wanted, response| accepts(value, wanted, Some(response));
    same("permessage-deflate", &NONE, "permessage-deflate");
    same(
        "permessage-deflate; client_max_window_bits",
        &NONE,
        "permessage-deflate",
    );
    same(
        "permessage-deflate; client_max_window_bits=15; server_max_window_bits=15",
        &NONE,
        "permessage-deflate; server_max_window_bits=15",
    );
    same(
        "permessage-deflate; client_max_window_bits",
        &small,
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11",
    );
    let agreed = same(
        "permessage-deflate; server_max_window_bits=8; client_max_window_bits=9; client_no_context_takeover",
        &small,
        "permessage-deflate; client_no_context_takeover; server_max_window_bits=8; client_max_window_bits=9",
    );
    assert_eq!(
        agreed,
        Some(Parameters {
            client_no_context_takeover: true,
            server_max_window_bits: 8,
            client_max_window_bits: 9,
            ..NONE
        })
    );
    same(
        "permessage-deflate",
        &forgetful,
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    );
    // The first one that will do, in the client's order.
    same(
        "permessage-deflate; server_max_window_bits=9, permessage-deflate",
        &NONE,
        "permessage-deflate; server_max_window_bits=9",
    );
    same(
        "other, permessage-deflate; unknown, permessage-deflate; server_max_window_bits=7, permessage-deflate;\
         server_no_context_takeover",
        &NONE,
        "permessage-deflate; server_no_context_takeover",
    );
    same(
        "permessage-deflate, permessage-deflate; client_max_window_bits",
        &small,
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11",
    );
    for none in [
        "",
        "other",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; client_max_window_bits=7",
    ] {
        accepts(none, &NONE, None);
    }
    // Its window could not be limited.
    accepts("permessage-deflate", &small, None);
}

#[test]
fn both_ends_agree() {
    let flags = [false, true];
    for server_no_context_takeover in flags {
        for client_no_context_takeover in flags {
            for server_max_window_bits in 8..=15 {
                for client_max_window_bits in 8..=15 {
                    let wanted = Parameters {
                        server_no_context_takeover,
                        client_no_context_takeover,
                        server_max_window_bits,
                        client_max_window_bits,
                    };
                    for (client, server) in [(NONE, wanted), (wanted, NONE), (wanted, wanted)] {
                        let text = offer(&client);
                        let (agreed, response) =
                            accept(&parse(&text).expect("ours"), &server).expect("such offers go with anything");
                        assert_eq!(
                            read_response(&response, Some(&client)),
                            Ok(Some(agreed)),
                            "{text}: {response}"
                        );
                        assert_eq!(agreed, wanted);
                    }
                }
            }
        }
    }
}
