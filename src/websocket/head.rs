//! Where the head of an HTTP/1.1 message ends that comes in pieces
//! ([RFC 9112 section 2.1](https://www.rfc-editor.org/rfc/rfc9112#section-2.1)).

/// How far behind the beginning the last line may begin that is empty and stands before the start line
/// ([section 2.2](https://www.rfc-editor.org/rfc/rfc9112#section-2.2)): two of them, of CR and LF.
const BEFORE_START_LINE: usize = 2;

/// Looks for the empty line that ends a head. Each byte is looked at once, in however small pieces it comes.
#[derive(Debug, Default)]
pub(super) struct HeadSearch {
    /// Where the head begins.
    start: usize,
    /// Bytes of the input that have been looked at.
    seen: usize,
    /// Where the line begins that the next byte belongs to.
    line_start: usize,
    line: Line,
}

/// What a line has, as far as it has been seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Line {
    #[default]
    Empty,
    Cr,
    Text,
}

impl HeadSearch {
    /// For a head that begins at this place of the input.
    pub(super) fn from(start: usize) -> Self {
        Self {
            start,
            seen: start,
            line_start: start,
            line: Line::Empty,
        }
    }

    /// Where the head begins.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Where the empty line ends, once it is there. `input` begins with the input of the call before.
    pub(super) fn end(&mut self, input: &[u8]) -> Option<usize> {
        for &byte in input.get(self.seen..)? {
            self.seen += 1;
            self.line = match (byte, self.line) {
                (b'\n', Line::Empty | Line::Cr) if self.line_start > self.start + BEFORE_START_LINE => {
                    return Some(self.seen);
                }
                (b'\n', Line::Empty | Line::Cr | Line::Text) => {
                    self.line_start = self.seen;
                    Line::Empty
                }
                (b'\r', Line::Empty) => Line::Cr,
                (_, Line::Empty | Line::Cr | Line::Text) => Line::Text,
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `input` in pieces of this size. What has been given once is something else in later pieces: LFs, an end of its
    /// own to whoever looks at it again.
    fn end_in_pieces(input: &[u8], size: usize) -> Option<usize> {
        let mut search = HeadSearch::default();
        let mut known = 0;
        while known < input.len() {
            let next = input.len().min(known + size);
            let mut shown = vec![b'\n'; known];
            shown.extend_from_slice(&input[known..next]);
            if let Some(end) = search.end(&shown) {
                return Some(end);
            }
            known = next;
        }
        None
    }

    #[test]
    fn the_end_of_a_head() {
        let cases: [(&[u8], Option<usize>); 12] = [
            (b"", None),
            (b"GET / HTTP/1.1\r\n\r\nrest", Some(18)),
            (b"GET / HTTP/1.1\n\nrest", Some(16)),
            (b"GET / HTTP/1.1\n\r\n", Some(17)),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n", Some(27)),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r", None),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\rb\n", None),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", None),
            (b"GET / HTTP/1.1\r\n \r\n", None),
            (b"\r\nGET / HTTP/1.1\r\n\r\n", Some(20)),
            (b"\n\nGET / HTTP/1.1\r\n\r\n", Some(20)),
            (b"\r\n\r\n\r\n", Some(6)),
        ];
        for (input, expected) in cases {
            for size in 1..=input.len().max(1) {
                assert_eq!(
                    end_in_pieces(input, size),
                    expected,
                    "{} by {size}",
                    input.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn a_head_behind_another_one() {
        let input = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        let end = HeadSearch::default().end(input).expect("the first one is whole");
        assert_eq!((end, HeadSearch::from(end).end(input)), (25, Some(44)));
        assert_eq!(HeadSearch::from(44).end(input), None);
    }
}
