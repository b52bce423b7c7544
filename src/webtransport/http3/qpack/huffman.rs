//! The Huffman code of strings: <https://www.rfc-editor.org/rfc/rfc7541#section-5.2>.

use httlib_huffman::DecoderSpeed;

/// The text of an encoded string; `None` when it is not what an encoder would have written.
pub(super) fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(encoded.len() * 2);
    httlib_huffman::decode(encoded, &mut text, DecoderSpeed::FourBits).ok()?;
    // The crate takes paddings that the RFC forbids (zeros, or a whole byte). An encoding is unique: compare.
    (encode(&text)? == encoded).then_some(text)
}

/// The encoded string when that saves bytes.
pub(super) fn encode_if_shorter(text: &[u8]) -> Option<Vec<u8>> {
    encode(text).filter(|encoded| encoded.len() < text.len())
}

fn encode(text: &[u8]) -> Option<Vec<u8>> {
    let mut encoded = Vec::with_capacity(text.len());
    httlib_huffman::encode(text, &mut encoded).ok()?;
    Some(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfcs_examples() {
        for (text, encoded) in [
            (
                &b"www.example.com"[..],
                &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff][..],
            ),
            (b"no-cache", &[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]),
            (b"302", &[0x64, 0x02]),
            (b"", &[]),
        ] {
            assert_eq!(encode(text).as_deref(), Some(encoded));
            assert_eq!(decode(encoded).as_deref(), Some(text));
        }
    }

    #[test]
    fn every_byte_after_every_padding() {
        for byte in 0..=255_u8 {
            for before in 0..8 {
                // '0' is five bits long, so eight of them reach every offset.
                let text = [&vec![b'0'; before][..], &[byte, b'a']].concat();
                assert_eq!(decode(&encode(&text).expect("any byte")), Some(text));
            }
        }
    }

    #[test]
    fn wrong_paddings() {
        for wrong in [
            &[0xff][..],                     // a whole byte of padding
            &[0x64, 0x02, 0xff],             // the same after text
            &[0xa8, 0xeb, 0x10, 0x64, 0x9c], // cut
            &[0xff, 0xff, 0xff, 0xff],       // EOS
            &[0xff, 0xff, 0xff, 0xfc, 0x00], // EOS and text
            &[0b0000_0000],                  // '0' and zero padding
            &[0b0000_0011],                  // '0' and half a padding
        ] {
            assert_eq!(decode(wrong), None, "{wrong:x?}");
        }
    }
}
