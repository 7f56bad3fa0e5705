//! What is known of other identities: names, pinned to the first key that signed for them, when a
//! key was first met, and whether a person has verified it.

use std::collections::{BTreeSet, HashMap};

use quicproquo_core::identity::IdentityKey;
use sqlx::QueryBuilder;
use sqlx::sqlite::Sqlite;

use super::damage::intact;
use super::seal::Sealer;
use super::{Owner, Store, StoreError, batch, record, uint};
use crate::model::TrustState;

/// Whether a name pointed to another key before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handover {
    /// Not that we know.
    None,
    /// It did.
    Seen,
    /// It did, and the key was verified since.
    Verified,
}

impl Handover {
    pub(super) fn number(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Seen => 1,
            Self::Verified => 2,
        }
    }

    fn of(number: i64) -> Self {
        match number {
            0 => Self::None,
            2 => Self::Verified,
            _ => Self::Seen,
        }
    }
}

/// A name and the key it is pinned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) name: String,
    pub(crate) identity: IdentityKey,
    pub(crate) handover: Handover,
}

/// What is known of one identity.
#[derive(Debug, Clone, Default)]
struct Known {
    /// In the order in which they were pinned.
    names: Vec<String>,
    first_seen_ms: Option<u64>,
    verified_at_ms: Option<u64>,
}

/// What an identity knows of others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pins: HashMap<String, (IdentityKey, Handover)>,
    known: HashMap<IdentityKey, Known>,
}

impl Names {
    /// The name that was pinned first.
    pub(crate) fn name(&self, identity: &IdentityKey) -> Option<String> {
        self.names(identity).first().cloned()
    }

    /// All names, in the order in which they were pinned.
    pub(crate) fn names(&self, identity: &IdentityKey) -> &[String] {
        self.known.get(identity).map_or(&[], |known| &known.names)
    }

    /// When it was met, unix milliseconds.
    pub(crate) fn first_seen(&self, identity: &IdentityKey) -> Option<u64> {
        self.known.get(identity)?.first_seen_ms
    }

    /// When it was verified, unix milliseconds.
    pub(crate) fn verified_at(&self, identity: &IdentityKey) -> Option<u64> {
        self.known.get(identity)?.verified_at_ms
    }

    /// A name that came from another key outweighs an earlier verification: a person has compared
    /// the key, not that it took the name over.
    pub(crate) fn trust(&self, own: &IdentityKey, identity: &IdentityKey) -> TrustState {
        let handed_over = |name: &String| {
            self.pins.get(name).is_some_and(|(_, handover)| *handover == Handover::Seen)
        };
        match self.known.get(identity) {
            _ if own == identity => TrustState::Verified,
            Some(known) if known.names.iter().any(handed_over) => TrustState::Changed,
            Some(Known { verified_at_ms: Some(_), .. }) => TrustState::Verified,
            _ => TrustState::Tofu,
        }
    }

    /// The key a name is pinned to.
    pub(crate) fn pinned(&self, name: &str) -> Option<IdentityKey> {
        self.pins.get(name).map(|(identity, _)| *identity)
    }

    pub(crate) fn insert(&mut self, pin: &Pin) {
        let Pin { name, identity, handover } = pin;
        let before = self.pins.insert(name.clone(), (*identity, *handover));
        match before {
            Some((former, _)) if former == *identity => return,
            Some((former, _)) => {
                if let Some(known) = self.known.get_mut(&former) {
                    known.names.retain(|known| known != name);
                }
            }
            None => {}
        }
        self.known.entry(*identity).or_default().names.push(name.clone());
    }

    /// `true`: it is met for the first time.
    pub(crate) fn meet(&mut self, identity: &IdentityKey, now_ms: u64) -> bool {
        let known = self.known.entry(*identity).or_default();
        let first = known.first_seen_ms.is_none();
        known.first_seen_ms.get_or_insert(now_ms);
        first
    }

    /// Verified by a person, or not any more. What it has taken over goes with it.
    pub(crate) fn set_verified(&mut self, identity: &IdentityKey, at_ms: Option<u64>) {
        let known = self.known.entry(*identity).or_default();
        known.verified_at_ms = at_ms;
        for name in &known.names {
            if let Some((_, handover)) = self.pins.get_mut(name)
                && *handover != Handover::None
            {
                *handover = if at_ms.is_some() { Handover::Verified } else { Handover::Seen };
            }
        }
    }
}

impl Store {
    /// All that is known.
    pub(crate) async fn names(&self, owner: Owner) -> Result<Names, StoreError> {
        self.read_names(owner, None).await
    }

    /// What is known of these identities.
    pub(crate) async fn names_of(
        &self,
        owner: Owner,
        identities: BTreeSet<IdentityKey>,
    ) -> Result<Names, StoreError> {
        self.read_names(owner, Some(identities)).await
    }

    async fn read_names(
        &self,
        owner: Owner,
        only: Option<BTreeSet<IdentityKey>>,
    ) -> Result<Names, StoreError> {
        let select = |what: &str| {
            let mut query = QueryBuilder::<Sqlite>::new(what);
            query.push(" WHERE owner = ").push_bind(owner.0);
            if let Some(identities) = &only {
                query.push(" AND identity IN (");
                let mut list = query.separated(", ");
                for identity in identities {
                    list.push_bind(identity.as_bytes().to_vec());
                }
                query.push(")");
            }
            query
        };
        let mut names = Names::default();
        let rows: Vec<(String, Vec<u8>, i64)> = select("SELECT name, identity, changed FROM names")
            .push(" ORDER BY pinned_at, name")
            .build_query_as()
            .fetch_all(&self.reads)
            .await?;
        for (name, identity, changed) in rows {
            let key = batch::identity(&identity);
            if let Some(identity) = intact("names", owner, &name, key)? {
                names.insert(&Pin { name, identity, handover: Handover::of(changed) });
            }
        }
        let rows: Vec<(Vec<u8>, i64, Option<Vec<u8>>)> =
            select("SELECT identity, first_seen, verified FROM trust")
                .build_query_as()
                .fetch_all(&self.reads)
                .await?;
        for (identity, first_seen, verified) in rows {
            let row = hex::encode(&identity);
            let Some(key) = intact("trust", owner, &row, batch::identity(&identity))? else {
                continue;
            };
            names.meet(&key, uint(first_seen));
            // What does not read is not verified.
            let verified = verified.map(|sealed| open_verified(&self.sealer, owner, &key, &sealed));
            let verified = verified.and_then(|read| intact("trust", owner, &row, read).transpose());
            names.known.entry(key).or_default().verified_at_ms = verified.transpose()?;
        }
        Ok(names)
    }
}

fn trust_row(owner: Owner, identity: &IdentityKey) -> Vec<u8> {
    record::named(owner.0, identity.as_bytes())
}

pub(super) fn seal_verified(
    sealer: &Sealer,
    owner: Owner,
    identity: &IdentityKey,
    at_ms: u64,
) -> Vec<u8> {
    record::seal(sealer, "trust", &trust_row(owner, identity), &at_ms)
}

fn open_verified(
    sealer: &Sealer,
    owner: Owner,
    identity: &IdentityKey,
    sealed: &[u8],
) -> Result<u64, StoreError> {
    record::open(sealer, "trust", &trust_row(owner, identity), sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: IdentityKey = IdentityKey::new([0; 32]);
    const BOB: IdentityKey = IdentityKey::new([1; 32]);
    const EVE: IdentityKey = IdentityKey::new([2; 32]);

    fn pin(name: &str, identity: IdentityKey, handover: Handover) -> Pin {
        Pin { name: name.to_owned(), identity, handover }
    }

    #[tokio::test]
    async fn names_of_an_earlier_version_stay_pinned() {
        use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
        let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
        for migration in crate::store::MIGRATIONS.iter() {
            if migration.version == 4 {
                let contacts =
                    "INSERT INTO contacts VALUES (1, x'01', 'bob', 0), (1, x'02', 'eve', 1)";
                connection.execute(contacts).await.unwrap();
            }
            let sql = AssertSqlSafe(migration.sql.as_str().to_owned());
            connection.execute(sqlx::raw_sql(sql)).await.unwrap();
        }
        let sql = "SELECT name, identity, changed FROM names ORDER BY name";
        let names: Vec<(String, Vec<u8>, i64)> =
            sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
        assert_eq!(names, [("bob".to_owned(), vec![1], 0), ("eve".to_owned(), vec![2], 1)]);
    }

    #[test]
    fn every_name_has_its_own_pin() {
        let mut names = Names::default();
        names.insert(&pin("bob", BOB, Handover::None));
        names.insert(&pin("robert", BOB, Handover::None));
        assert_eq!(names.name(&BOB).as_deref(), Some("bob"));
        assert_eq!(names.pinned("bob"), Some(BOB));
        assert_eq!(names.pinned("robert"), Some(BOB));
        names.insert(&pin("bob", EVE, Handover::Seen));
        assert_eq!(names.names(&BOB), ["robert"]);
        assert_eq!(names.trust(&OWN, &BOB), TrustState::Tofu);
        assert_eq!(names.trust(&OWN, &EVE), TrustState::Changed);
    }

    #[test]
    fn a_verified_key_that_takes_over_a_name_is_to_be_verified_again() {
        let mut names = Names::default();
        assert!(names.meet(&EVE, 7));
        assert!(!names.meet(&EVE, 8));
        names.set_verified(&EVE, Some(9));
        assert_eq!(names.trust(&OWN, &EVE), TrustState::Verified);
        names.insert(&pin("bob", EVE, Handover::Seen));
        assert_eq!(names.trust(&OWN, &EVE), TrustState::Changed);
        names.set_verified(&EVE, Some(10));
        assert_eq!(names.trust(&OWN, &EVE), TrustState::Verified);
        names.set_verified(&EVE, None);
        assert_eq!(names.trust(&OWN, &EVE), TrustState::Changed);
        assert_eq!(names.first_seen(&EVE), Some(7));
        assert_eq!(names.trust(&OWN, &OWN), TrustState::Verified);
    }
}
