//! Sealed values of an application, which it keeps in rows of its own.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::store::{Field, NOTHING, Sealer, bind};

/// Seals values to the row in which they are, and to what stands there in the open.
#[derive(Clone)]
pub struct Seals(Arc<Sealer>);

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seals")
    }
}

impl Seals {
    pub(crate) fn of(sealer: Sealer) -> Self {
        Self(Arc::new(sealer))
    }

    /// With a key of the application's own.
    pub fn new(key: &[u8; 32]) -> Self {
        Self::of(Sealer::new(key))
    }

    /// Seals a value of a table's row; it opens only beside the same fields.
    pub fn seal(&self, table: &str, fields: &[Option<&[u8]>], plain: &[u8]) -> Vec<u8> {
        self.0.seal(table, &row(fields), plain)
    }

    /// Opens it; `None` when it or a field was changed.
    pub fn open(
        &self,
        table: &str,
        fields: &[Option<&[u8]>],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        self.0.open(table, &row(fields), sealed).ok()
    }

    /// Seals nothing but the fields.
    pub fn bind(&self, table: &str, fields: &[Option<&[u8]>]) -> Vec<u8> {
        self.seal(table, fields, NOTHING)
    }

    /// Whether the fields are as they were bound.
    pub fn holds(&self, table: &str, fields: &[Option<&[u8]>], seal: Option<&[u8]>) -> bool {
        let opened = seal.and_then(|seal| self.open(table, fields, seal));
        opened.is_some_and(|opened| *opened == NOTHING)
    }
}

fn row(fields: &[Option<&[u8]>]) -> Vec<u8> {
    bind(&[], fields.iter().map(|field| field.map_or(Field::Null, Field::Bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_holds_for_its_table_and_fields_alone() {
        let seals = Seals::new(&[1; 32]);
        let fields: [Option<&[u8]>; 3] = [Some(b"a"), None, Some(b"")];
        let seal = seals.bind("tokens", &fields);
        assert!(seals.holds("tokens", &fields, Some(&seal)));
        assert!(!seals.holds("bots", &fields, Some(&seal)));
        assert!(!seals.holds("tokens", &[Some(b"a"), Some(b""), Some(b"")], Some(&seal)));
        assert!(!seals.holds("tokens", &fields, None));
        assert!(!Seals::new(&[2; 32]).holds("tokens", &fields, Some(&seal)));
        let value = seals.seal("tokens", &fields, b"value");
        assert!(!seals.holds("tokens", &fields, Some(&value)), "a value is no seal");
        assert_eq!(seals.open("tokens", &fields, &value).unwrap().as_slice(), b"value");
    }
}
