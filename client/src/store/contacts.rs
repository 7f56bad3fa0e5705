//! What is known of other identities: names, pinned to the first key that signed for them, when a
//! key was first met, and whether a person has verified it.

use std::collections::{BTreeSet, HashMap};

use quicproquo_core::identity::IdentityKey;
use sqlx::QueryBuilder;
use sqlx::sqlite::Sqlite;

use super::bound::{Field, NOTHING, bind};
use super::damage::intact;
use super::seal::Sealer;
use super::tables::{PIN, TRUST};
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
    /// When, unix milliseconds.
    pub(crate) at_ms: u64,
}

/// A row of trust: what is known of an identity that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrustRow {
    pub(crate) first_seen_ms: u64,
    pub(crate) verified_at_ms: Option<u64>,
    /// It has a name that pointed to another key before, and was not verified since.
    pub(crate) took_over: bool,
}

/// What is known of one identity.
#[derive(Debug, Clone, Default)]
struct Known {
    /// In the order in which they were pinned.
    names: Vec<String>,
    first_seen_ms: Option<u64>,
    verified_at_ms: Option<u64>,
    /// As its row says, or because that does not read; names say the same.
    took_over: bool,
}

/// What an identity knows of others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pins: HashMap<String, Pin>,
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
        let handed_over =
            |name: &String| self.pins.get(name).is_some_and(|pin| pin.handover == Handover::Seen);
        match self.known.get(identity) {
            _ if own == identity => TrustState::Verified,
            Some(known) if known.took_over || known.names.iter().any(handed_over) => {
                TrustState::Changed
            }
            Some(Known { verified_at_ms: Some(_), .. }) => TrustState::Verified,
            _ => TrustState::Tofu,
        }
    }

    /// The key a name is pinned to.
    pub(crate) fn pinned(&self, name: &str) -> Option<IdentityKey> {
        self.pins.get(name).map(|pin| pin.identity)
    }

    /// Its row of trust; `None`: it was not met.
    pub(crate) fn row(&self, identity: &IdentityKey) -> Option<TrustRow> {
        let known = self.known.get(identity)?;
        let Known { verified_at_ms, took_over, .. } = *known;
        Some(TrustRow { first_seen_ms: known.first_seen_ms?, verified_at_ms, took_over })
    }

    /// Its names that pointed to another key before.
    pub(crate) fn taken(&self, identity: &IdentityKey) -> Vec<Pin> {
        let pins = self.names(identity).iter().filter_map(|name| self.pins.get(name));
        pins.filter(|pin| pin.handover != Handover::None).cloned().collect()
    }

    pub(crate) fn insert(&mut self, pin: &Pin) {
        let Pin { name, identity, handover, .. } = pin;
        let before = self.pins.insert(name.clone(), pin.clone());
        let known = self.known.entry(*identity).or_default();
        known.took_over |= *handover == Handover::Seen;
        match before {
            Some(former) if former.identity == *identity => {}
            Some(former) => {
                known.names.push(name.clone());
                let lost = former.handover == Handover::Seen;
                let still = |name: &String| {
                    self.pins.get(name).is_some_and(|pin| pin.handover == Handover::Seen)
                };
                if let Some(known) = self.known.get_mut(&former.identity) {
                    known.names.retain(|known| known != name);
                    known.took_over &= !lost || known.names.iter().any(still);
                }
            }
            None => known.names.push(name.clone()),
        }
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
        known.took_over &= at_ms.is_none();
        for name in &known.names {
            if let Some(pin) = self.pins.get_mut(name)
                && pin.handover != Handover::None
            {
                pin.handover = if at_ms.is_some() { Handover::Verified } else { Handover::Seen };
                known.took_over |= at_ms.is_none();
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
        let rows: Vec<PinRow> =
            select("SELECT name, identity, changed, pinned_at, seal FROM names")
                .push(" ORDER BY pinned_at, name")
                .build_query_as()
                .fetch_all(&self.reads)
                .await?;
        for (name, identity, changed, pinned_at, seal) in rows {
            let key = batch::identity(&identity);
            let Some(identity) = intact("names", owner, &name, key)? else { continue };
            let handover = Handover::of(changed);
            let mut pin = Pin { name, identity, handover, at_ms: uint(pinned_at) };
            let read = self.sealer.open(PIN, &pin_row(owner, &pin), &seal.unwrap_or_default());
            if intact("names", owner, &pin.name, read.map_err(StoreError::from))?.is_none() {
                // Whatever it was: that key is not known to have been its first.
                pin.handover = Handover::Seen;
            }
            names.insert(&pin);
        }
        let rows: Vec<TrustedRow> =
            select("SELECT identity, first_seen, took_over, verified FROM trust")
                .build_query_as()
                .fetch_all(&self.reads)
                .await?;
        for (identity, first_seen, took_over, sealed) in rows {
            let row = hex::encode(&identity);
            let Some(key) = intact("trust", owner, &row, batch::identity(&identity))? else {
                continue;
            };
            let first_seen = uint(first_seen);
            names.meet(&key, first_seen);
            let bound = trust_row(owner, &key, first_seen, took_over);
            let read = record::open(&self.sealer, TRUST, &bound, &sealed.unwrap_or_default());
            let read = intact("trust", owner, &row, read)?;
            let known = names.known.entry(key).or_default();
            // What does not read is not verified, and may have taken over any name.
            known.took_over |= took_over || read.is_none();
            known.verified_at_ms = read.flatten();
        }
        Ok(names)
    }
}

/// Identity, when it was met, whether it has taken over a name, when it was verified (sealed).
type TrustedRow = (Vec<u8>, i64, bool, Option<Vec<u8>>);

/// Name, identity, whether it changed, when it was pinned, seal.
type PinRow = (String, Vec<u8>, i64, i64, Option<Vec<u8>>);

fn pin_row(owner: Owner, pin: &Pin) -> Vec<u8> {
    let Pin { name, identity, handover, at_ms } = pin;
    let changed = Field::Int(handover.number().into());
    let fields = [Field::Bytes(identity.as_bytes()), (*at_ms).into(), changed];
    bind(&record::named(owner.0, name.as_bytes()), fields)
}

pub(super) fn seal_pin(sealer: &Sealer, owner: Owner, pin: &Pin) -> Vec<u8> {
    sealer.seal(PIN, &pin_row(owner, pin), NOTHING)
}

fn trust_row(owner: Owner, identity: &IdentityKey, first_seen: u64, took_over: bool) -> Vec<u8> {
    let fields = [first_seen.into(), Field::Int(took_over.into())];
    bind(&record::named(owner.0, identity.as_bytes()), fields)
}

/// Seals when it was verified, with the rest of its row.
pub(super) fn seal_trust(
    sealer: &Sealer,
    owner: Owner,
    identity: &IdentityKey,
    trust: &TrustRow,
) -> Vec<u8> {
    let row = trust_row(owner, identity, trust.first_seen_ms, trust.took_over);
    record::seal(sealer, TRUST, &row, &trust.verified_at_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: IdentityKey = IdentityKey::new([0; 32]);
    const BOB: IdentityKey = IdentityKey::new([1; 32]);
    const EVE: IdentityKey = IdentityKey::new([2; 32]);

    fn pin(name: &str, identity: IdentityKey, handover: Handover) -> Pin {
        Pin { name: name.to_owned(), identity, handover, at_ms: 1 }
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
