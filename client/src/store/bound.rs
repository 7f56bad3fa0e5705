//! What stands in the open beside a sealed value and is bound to it: changed there, the value does
//! not open.
//!
//! The associated data of such a value is `length of the row key u32 || row key || fields`, each
//! field with its type and, where it varies, its length. The label of the value is table and
//! column, so that it is no value of a column without such fields.

/// A field of a row as it is bound.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Field<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl Field<'_> {
    /// The most that it takes, bytes.
    fn room(self) -> usize {
        5 + match self {
            Self::Null => 0,
            Self::Int(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(value) => value.len(),
        }
    }

    fn encode(self, bytes: &mut Vec<u8>) {
        let (kind, value): (u8, &[u8]) = match self {
            Self::Null => (0, &[]),
            Self::Int(number) => {
                bytes.push(1);
                return bytes.extend(number.to_be_bytes());
            }
            Self::Text(text) => (2, text.as_bytes()),
            Self::Bytes(value) => (3, value),
        };
        bytes.push(kind);
        bytes.extend(length(value));
        bytes.extend(value);
    }
}

impl From<u64> for Field<'_> {
    fn from(number: u64) -> Self {
        Self::Int(super::int(number))
    }
}

/// The associated data of a value: where it is, and what stands beside it.
pub(crate) fn bind<'a>(
    row_key: &[u8],
    fields: impl IntoIterator<Item = Field<'a>, IntoIter: Clone>,
) -> Vec<u8> {
    let fields = fields.into_iter();
    let room = fields.clone().map(Field::room).sum::<usize>();
    let mut bytes = Vec::with_capacity(4 + row_key.len() + room);
    bytes.extend(length(row_key));
    bytes.extend(row_key);
    for field in fields {
        field.encode(&mut bytes);
    }
    bytes
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// What a seal holds that is there only for what it binds.
pub(crate) const NOTHING: &[u8] = &[1];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_are_bound_alike() {
        let rows = [
            bind(b"row", []),
            bind(b"ro", [Field::Text("w")]),
            bind(b"row", [Field::Null]),
            bind(b"row", [Field::Text("")]),
            bind(b"row", [Field::Bytes(b"")]),
            bind(b"row", [Field::Int(0)]),
            bind(b"row", [Field::Text("ab"), Field::Text("c")]),
            bind(b"row", [Field::Text("a"), Field::Text("bc")]),
        ];
        for (place, row) in rows.iter().enumerate() {
            assert!(!rows[..place].contains(row), "{place}");
        }
    }
}
