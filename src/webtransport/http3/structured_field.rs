//! The two structured fields of protocol negotiation, a list of strings and a string:
//! <https://www.rfc-editor.org/rfc/rfc9651> and
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-3.3>.

use crate::http_token::is_token_byte;

/// Writes `wt-available-protocols`.
pub(crate) fn serialize_list(items: &[String]) -> String {
    items
        .iter()
        .map(|item| serialize_string(item))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Writes `wt-protocol`.
pub(crate) fn serialize_string(item: &str) -> String {
    let mut out = String::with_capacity(item.len() + 2);
    out.push('"');
    for character in item.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
    out
}

/// Reads a list whose members are all strings; their parameters are passed over.
pub(crate) fn parse_list(field: &[u8]) -> Option<Vec<String>> {
    let mut parser = Parser(field);
    let mut items = Vec::new();
    parser.skip(b" ");
    while !parser.0.is_empty() {
        items.push(parser.item()?);
        parser.skip(b" \t");
        if parser.0.is_empty() {
            break;
        }
        parser.expect(b',')?;
        parser.skip(b" \t");
        if parser.0.is_empty() {
            return None;
        }
    }
    Some(items)
}

/// Reads an item that is a string; its parameters are passed over.
pub(crate) fn parse_string(field: &[u8]) -> Option<String> {
    let mut parser = Parser(field);
    parser.skip(b" ");
    let item = parser.item()?;
    parser.skip(b" ");
    parser.0.is_empty().then_some(item)
}

struct Parser<'a>(&'a [u8]);

impl Parser<'_> {
    fn skip(&mut self, characters: &[u8]) {
        while let Some((first, rest)) = self.0.split_first()
            && characters.contains(first)
        {
            self.0 = rest;
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn expect(&mut self, character: u8) -> Option<()> {
        (self.next()? == character).then_some(())
    }

    fn item(&mut self) -> Option<String> {
        let item = self.string()?;
        self.parameters()?;
        Some(item)
    }

    fn string(&mut self) -> Option<String> {
        self.expect(b'"')?;
        let mut text = String::new();
        loop {
            match self.next()? {
                b'"' => return Some(text),
                b'\\' => match self.next()? {
                    escaped @ (b'"' | b'\\') => text.push(char::from(escaped)),
                    _ => return None,
                },
                character @ 0x20..=0x7e => text.push(char::from(character)),
                _ => return None,
            }
        }
    }

    fn parameters(&mut self) -> Option<()> {
        while self.0.first() == Some(&b';') {
            self.next();
            self.skip(b" ");
            self.characters(
                |character| character.is_ascii_lowercase() || character == b'*',
                is_key_character,
            )?;
            if self.0.first() == Some(&b'=') {
                self.next();
                if self.0.first() == Some(&b'"') {
                    self.string()?;
                } else {
                    self.characters(is_bare_character, is_bare_character)?;
                }
            }
        }
        Some(())
    }

    fn characters(&mut self, first: impl Fn(u8) -> bool, later: impl Fn(u8) -> bool) -> Option<()> {
        if !first(self.next()?) {
            return None;
        }
        while let Some((character, rest)) = self.0.split_first()
            && later(*character)
        {
            self.0 = rest;
        }
        Some(())
    }
}

fn is_key_character(character: u8) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit() || b"_-.*".contains(&character)
}

/// Characters of tokens, numbers, booleans, dates and byte sequences.
fn is_bare_character(character: u8) -> bool {
    is_token_byte(character) || b":/?@=".contains(&character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(field: &str) -> Option<Vec<String>> {
        parse_list(field.as_bytes())
    }

    #[test]
    fn lists() {
        assert_eq!(
            list(r#""a", "b\"\\c";q=1;x="y";z ,	"d""#),
            Some(vec!["a".into(), r#"b"\c"#.into(), "d".into()])
        );
        assert_eq!(list(""), Some(vec![]));
        for wrong in [
            "a",
            "\"a",
            "\"a\",",
            "\"a\" \"b\"",
            "\"\\n\"",
            "\"é\"",
            "(\"a\")",
            "\"a\";=1",
            "1",
            "\"a\";a=",
        ] {
            assert_eq!(list(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn round_trip() {
        let items = vec![String::new(), "chat".into(), r#"quote " and \ slash"#.into()];
        assert_eq!(list(&serialize_list(&items)), Some(items.clone()));
        for item in items {
            assert_eq!(parse_string(serialize_string(&item).as_bytes()), Some(item));
        }
        assert_eq!(parse_string(b"\"a\", \"b\""), None);
        assert_eq!(parse_string(b"token"), None);
    }
}
