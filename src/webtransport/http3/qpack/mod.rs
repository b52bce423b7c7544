//! Field sections compressed with QPACK's static table and Huffman code:
//! <https://www.rfc-editor.org/rfc/rfc9204>.
//!
//! We advertise a dynamic table of capacity 0, so a peer that refers to one is wrong.

mod huffman;
mod static_table;

use self::static_table::STATIC_TABLE;
use super::error_code::ErrorCode;
use super::{Field, Violation};

/// The largest field section that we take, measured as RFC 9114, section 4.2.2 says.
pub(crate) const MAX_FIELD_SECTION_SIZE: usize = 64 * 1024;

const INDEXED: u8 = 0b1000_0000;
const INDEXED_STATIC: u8 = 0b0100_0000;
const LITERAL_WITH_NAME_REFERENCE: u8 = 0b0100_0000;
const NAME_REFERENCE_STATIC: u8 = 0b0001_0000;
const LITERAL: u8 = 0b0010_0000;
const LITERAL_NAME_HUFFMAN: u8 = 0b0000_1000;
const STRING_HUFFMAN: u8 = 0b1000_0000;

/// Compresses a field section.
pub(crate) fn encode(fields: &[Field]) -> Vec<u8> {
    // Required Insert Count and Base: no dynamic table.
    let mut out = vec![0, 0];
    for field in fields {
        let mut by_name = None;
        let mut whole = None;
        for (index, (name, value)) in STATIC_TABLE.iter().enumerate() {
            if name.as_bytes() == field.name {
                by_name = by_name.or(Some(index));
                if value.as_bytes() == field.value {
                    whole = Some(index);
                    break;
                }
            }
        }
        match (whole, by_name) {
            (Some(index), _) => write_integer(&mut out, INDEXED | INDEXED_STATIC, 6, index),
            (None, Some(index)) => {
                write_integer(&mut out, LITERAL_WITH_NAME_REFERENCE | NAME_REFERENCE_STATIC, 4, index);
                write_string(&mut out, 0, STRING_HUFFMAN, 7, &field.value);
            }
            (None, None) => {
                write_string(&mut out, LITERAL, LITERAL_NAME_HUFFMAN, 3, &field.name);
                write_string(&mut out, 0, STRING_HUFFMAN, 7, &field.value);
            }
        }
    }
    out
}

/// Why a field section can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// It can't be read, or it refers to a dynamic table.
    Malformed(Violation),
    /// It is larger than [`MAX_FIELD_SECTION_SIZE`]. The stream fails, the connection may live on.
    TooLarge,
}

const FAILED: DecodeError = DecodeError::Malformed(Violation::connection(
    ErrorCode::QPACK_DECOMPRESSION_FAILED,
    "a field section can't be decompressed",
));

/// Reads a field section of at most [`MAX_FIELD_SECTION_SIZE`].
pub(crate) fn decode(section: &[u8]) -> Result<Vec<Field>, DecodeError> {
    let mut reader = Reader(section);
    let (_, required_insert_count) = reader.integer(8)?;
    if required_insert_count != 0 {
        return Err(FAILED);
    }
    reader.integer(7)?;
    let mut fields = Vec::new();
    let mut size = 0;
    while let Some(first) = reader.0.first().copied() {
        let field = if first & INDEXED != 0 {
            let (flags, index) = reader.integer(6)?;
            if flags & INDEXED_STATIC == 0 {
                return Err(FAILED);
            }
            let (name, value) = STATIC_TABLE.get(index).ok_or(FAILED)?;
            Field::new(*name, *value)
        } else if first & LITERAL_WITH_NAME_REFERENCE != 0 {
            let (flags, index) = reader.integer(4)?;
            if flags & NAME_REFERENCE_STATIC == 0 {
                return Err(FAILED);
            }
            let (name, _) = STATIC_TABLE.get(index).ok_or(FAILED)?;
            Field::new(*name, reader.string(STRING_HUFFMAN, 7)?)
        } else if first & LITERAL != 0 {
            Field {
                name: reader.string(LITERAL_NAME_HUFFMAN, 3)?,
                value: reader.string(STRING_HUFFMAN, 7)?,
            }
        } else {
            // Both post-base forms refer to the dynamic table.
            return Err(FAILED);
        };
        size += field.size();
        if size > MAX_FIELD_SECTION_SIZE {
            return Err(DecodeError::TooLarge);
        }
        fields.push(field);
    }
    Ok(fields)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.0.split_first().ok_or(FAILED)?;
        self.0 = rest;
        Ok(*first)
    }

    /// The bits before the prefix, and the integer: RFC 7541, section 5.1.
    fn integer(&mut self, prefix: u32) -> Result<(u8, usize), DecodeError> {
        let first = self.byte()?;
        let mask = ((1_u16 << prefix) - 1) as u8;
        let flags = first & !mask;
        let mut value = usize::from(first & mask);
        if value < usize::from(mask) {
            return Ok((flags, value));
        }
        // Four more bytes hold more than any length or index that we take.
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((flags, value));
            }
        }
        Err(FAILED)
    }

    fn string(&mut self, huffman: u8, prefix: u32) -> Result<Vec<u8>, DecodeError> {
        let (flags, length) = self.integer(prefix)?;
        if length > self.0.len() {
            return Err(FAILED);
        }
        let (encoded, rest) = self.0.split_at(length);
        self.0 = rest;
        if flags & huffman == 0 {
            return Ok(encoded.to_vec());
        }
        huffman::decode(encoded).ok_or(FAILED)
    }
}

fn write_integer(out: &mut Vec<u8>, flags: u8, prefix: u32, value: usize) {
    let mask = ((1_u16 << prefix) - 1) as u8;
    if value < usize::from(mask) {
        out.push(flags | value as u8);
        return;
    }
    out.push(flags | mask);
    let mut left = value - usize::from(mask);
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

fn write_string(out: &mut Vec<u8>, flags: u8, huffman: u8, prefix: u32, text: &[u8]) {
    match huffman::encode_if_shorter(text) {
        Some(encoded) => {
            write_integer(out, flags | huffman, prefix, encoded.len());
            out.extend_from_slice(&encoded);
        }
        None => {
            write_integer(out, flags, prefix, text.len());
            out.extend_from_slice(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Result<Vec<Field>, DecodeError> {
        Err(FAILED)
    }

    #[test]
    fn the_rfcs_first_example() {
        let bytes = b"\0\0\x51\x0b/index.html";
        assert_eq!(decode(bytes), Ok(vec![Field::new(":path", "/index.html")]));
        for cut in 0..bytes.len() {
            let decoded = decode(&bytes[..cut]);
            assert_eq!(decoded, if cut == 2 { Ok(vec![]) } else { failed() }, "cut at {cut}");
        }
    }

    #[test]
    fn the_forms_that_we_write() {
        for (field, bytes) in [
            (Field::new(":method", "CONNECT"), &[0xc0 | 15][..]),
            (Field::new("x-frame-options", "sameorigin"), &[0xff, 35]),
            (Field::new(":path", "*"), &[0x51, 1, b'*']),
            (Field::new("origin", "*"), &[0x5f, 75, 1, b'*']),
            (Field::new("~", "*"), &[0x21, b'~', 1, b'*']),
        ] {
            let encoded = encode(std::slice::from_ref(&field));
            assert_eq!(encoded[2..], *bytes, "{field:?}");
            assert_eq!(decode(&encoded), Ok(vec![field]));
        }
    }

    #[test]
    fn round_trip() {
        let all_bytes: Vec<u8> = (0..=255).collect();
        let mut fields: Vec<_> = STATIC_TABLE
            .iter()
            .map(|(name, value)| Field::new(*name, *value))
            .collect();
        fields.extend(
            STATIC_TABLE
                .iter()
                .map(|(name, _)| Field::new(*name, "a value of its own")),
        );
        fields.push(Field::new("x-unheard-of", all_bytes));
        fields.push(Field::new("", ""));
        fields.push(Field::new("x", "y".repeat(20_000)));
        assert_eq!(decode(&encode(&fields)), Ok(fields));
    }

    #[test]
    fn a_dynamic_table_is_refused() {
        for bytes in [
            &[1, 0][..],          // Required Insert Count
            &[0, 0, 0x80],        // indexed, dynamic
            &[0, 0, 0x40, 0],     // name reference, dynamic
            &[0, 0, 0x10],        // indexed, post-base
            &[0, 0, 0x00, 0],     // name reference, post-base
            &[0, 0, 0xff, 36],    // past the static table's end
            &[0, 0, 0x5f, 84, 0], // the same, by name
        ] {
            assert_eq!(decode(bytes), failed(), "{bytes:?}");
        }
    }

    #[test]
    fn lengths_past_the_end_and_overlong_integers() {
        for bytes in [
            &[][..],
            &[0],
            &[0, 0, 0x51, 5, b'a'],
            &[0, 0, 0x27, 0xff],
            &[0, 0, 0x51, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            &[0, 0, 0xff, 0x80, 0x80, 0x80, 0x80, 0x00],
        ] {
            assert_eq!(decode(bytes), failed(), "{bytes:?}");
        }
    }

    #[test]
    fn a_small_section_of_many_fields_is_too_large() {
        let bytes = [&[0, 0][..], &[0xc0 | 1; 3000]].concat();
        assert_eq!(decode(&bytes), Err(DecodeError::TooLarge));
    }
}
