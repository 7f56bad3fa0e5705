//! TLS presentation language with the variable-length vectors of RFC 9420 section 2.1.2.

/// The bytes end early or break a rule of the encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Reads from the front of a slice.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.position == self.bytes.len()
    }

    /// What was read since `start`.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.position]
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let end = self.position.checked_add(len).ok_or(Malformed("length overflow"))?;
        let taken = self.bytes.get(self.position..end).ok_or(Malformed("ends early"))?;
        self.position = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed("ends early"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Length of 1, 2 or 4 bytes, told by the two highest bits, in its shortest form.
    fn length(&mut self) -> Result<usize, Malformed> {
        let first = self.u8()?;
        let rest = match first >> 6 {
            0 => 0,
            1 => 1,
            2 => 3,
            _ => return Err(Malformed("length of eight bytes")),
        };
        let mut length = usize::from(first & 0x3f);
        for byte in self.take(rest)? {
            length = length << 8 | usize::from(*byte);
        }
        let shortest = match rest {
            0 => true,
            1 => length >= 1 << 6,
            _ => length >= 1 << 14,
        };
        if shortest { Ok(length) } else { Err(Malformed("length is not in its shortest form")) }
    }

    /// `opaque x<V>`.
    pub(crate) fn vector(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length()?;
        self.take(length)
    }

    /// `uint16 x<V>`.
    pub(crate) fn numbers(&mut self) -> Result<Vec<u16>, Malformed> {
        let (pairs, rest) = self.vector()?.as_chunks::<2>();
        if rest.is_empty() {
            Ok(pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
        } else {
            Err(Malformed("odd list of 16-bit numbers"))
        }
    }
}

/// Appends `opaque x<V>`. Longer than 2^30 - 1 bytes does not occur: packages are 1 MiB at most.
pub(crate) fn put_vector(bytes: &mut Vec<u8>, content: &[u8]) {
    match u32::try_from(content.len()).unwrap_or(u32::MAX) {
        length @ 0..0x40 => bytes.extend(&length.to_be_bytes()[3..]),
        length @ 0x40..0x4000 => bytes.extend(&(length | 0x4000).to_be_bytes()[2..]),
        length => bytes.extend((length | 0x8000_0000).to_be_bytes()),
    }
    bytes.extend(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_back_at_every_size_of_length() {
        for len in [0, 1, 63, 64, 16_383, 16_384, 70_000] {
            let content = vec![7; len];
            let mut bytes = Vec::new();
            put_vector(&mut bytes, &content);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.vector().unwrap(), content);
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn long_forms_of_short_lengths_are_refused() {
        assert!(Reader::new(&[0x40, 0x01, 0xff]).vector().is_err());
        assert!(Reader::new(&[0x80, 0, 0, 1, 0xff]).vector().is_err());
        assert!(Reader::new(&[0xc0, 0, 0, 0, 0, 0, 0, 1, 0xff]).vector().is_err());
        assert!(Reader::new(&[0x02, 0xff]).vector().is_err());
    }
}
