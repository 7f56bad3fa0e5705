//! The sessions of one database.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use quicproquo_core::identity::IdentityKey;
use quicproquo_core::kem::HybridSecret;
use quicproquo_schemas::id::Instance;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::archive::{Archive, ArchiveError, ArchiveKey};
use crate::clock::Clock;
use crate::config::ClientConfig;
use crate::error::{OpenError, SessionError};
use crate::rpc::{Connector, Driver};
use crate::seals::Seals;
use crate::session::Session;
use crate::store::{IdentityRecord, Store, StoreError};

/// What all sessions of a client use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Groups in memory that no unit of work holds at the moment.
    pub loaded_groups: usize,
    /// Bytes of memory that they take, about.
    pub loaded_bytes: usize,
    /// Bytes of values written to the database since it was opened; of each value once, without
    /// what the database adds.
    pub written_bytes: u64,
}

/// One process, one database, many sessions. Clones share everything.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    driver: Driver,
    clock: Clock,
    instance: Instance,
    stock: u32,
    invite: Option<Arc<str>>,
    tracker: TaskTracker,
    sessions: RwLock<HashMap<IdentityKey, Session>>,
}

impl Client {
    /// Opens the database, takes its lock and starts all sessions in it. The node need not be
    /// there.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(config: ClientConfig) -> Result<Self, OpenError> {
        let connector = Connector::new(&config.node)?;
        let store = Self::open_store(&config).await?;
        let failed = |source| OpenError::Io { path: config.data_dir.clone(), source };
        let driver = Driver::start(connector).map_err(failed)?;
        Self::start_all(config, store, driver, Clock::System).await
    }

    /// As [`Client::open`], with links that somebody else makes.
    pub(crate) async fn open_to(config: ClientConfig, driver: Driver) -> Result<Self, OpenError> {
        let store = Self::open_store(&config).await?;
        Self::start_all(config, store, driver, Clock::System).await
    }

    async fn open_store(config: &ClientConfig) -> Result<Arc<Store>, OpenError> {
        let (key, retention) = (&config.master_key, config.retention);
        Store::open(&config.data_dir, key, retention, config.loaded_bytes, config.sync).await
    }

    async fn start_all(
        config: ClientConfig,
        store: Arc<Store>,
        driver: Driver,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: config.data_dir.clone(), source };
        let mut instance = [0; Instance::LEN];
        getrandom::fill(&mut instance).map_err(|error| failed(std::io::Error::other(error)))?;
        let inner = Inner {
            store,
            driver,
            clock,
            instance: Instance::new(instance),
            stock: config.key_package_stock,
            invite: config.invite.as_deref().map(Arc::from),
            tracker: TaskTracker::new(),
            sessions: RwLock::new(HashMap::new()),
        };
        let client = Self { inner: Arc::new(inner) };
        let identities = client.inner.store.identities().await;
        for record in identities.map_err(|error| OpenError::Database(error.to_string()))? {
            client.start(record, None);
        }
        Ok(client)
    }

    /// Creates an identity, and its session, which registers at the node by itself: with `invite`
    /// or else with the one of the configuration, where the node asks for one.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub async fn create(&self, invite: Option<&str>) -> Result<Session, SessionError> {
        let hybrid =
            HybridSecret::generate().map_err(|error| SessionError::Internal(error.to_string()))?;
        let identity = self.inner.clock.new_identity();
        let record =
            self.inner.store.create_identity(identity, hybrid, self.inner.clock.now_ms()).await?;
        Ok(self.start(record, invite.map(Arc::from)))
    }

    /// Seals a secret of the application for a row of a database of its own: it opens for that row
    /// only, also when the master key has been replaced meanwhile.
    pub fn seal(&self, table: &str, row: &[u8], secret: &[u8]) -> Vec<u8> {
        self.inner.store.for_application().seal(table, row, secret)
    }

    /// Opens what [`Client::seal`] has sealed; `None` when it is damaged or of another row.
    pub fn open_sealed(
        &self,
        table: &str,
        row: &[u8],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        self.inner.store.for_application().open(table, row, sealed).ok()
    }

    /// Seals what an application keeps elsewhere, to whole rows.
    pub fn seals(&self) -> Seals {
        Seals::of(self.inner.store.for_application())
    }

    /// Whether the application has noted that everything it keeps elsewhere is sealed. It holds
    /// from the start of a new database: what is not sealed then was put there by somebody else.
    pub fn is_application_sealed(&self) -> bool {
        self.inner.store.is_application_sealed()
    }

    /// Notes, durably, that everything the application keeps elsewhere is sealed.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub async fn application_sealed(&self) -> Result<(), SessionError> {
        Ok(self.inner.store.application_sealed().await?)
    }

    /// Deletes an identity at the node, waiting at most 5 s for it, then stops its session and
    /// deletes everything of it in this database. Where the node has refused the identity or
    /// another instance runs it, the node is left alone.
    ///
    /// # Errors
    /// `NodeUnreachable` and `NodeRefused`, with nothing deleted here; `StorageUnavailable`. An
    /// unknown identity is no error.
    pub async fn delete(&self, identity: &IdentityKey) -> Result<(), SessionError> {
        if let Some(session) = self.session(identity) {
            session.delete_at_node().await?;
        }
        self.forget(identity).await
    }

    /// Stops the session of an identity and deletes everything of it in this database. The node is
    /// left alone: the identity may go on elsewhere, or come back from an archive.
    ///
    /// # Errors
    /// `StorageUnavailable`. An unknown identity is no error.
    pub async fn forget(&self, identity: &IdentityKey) -> Result<(), SessionError> {
        if let Some(session) = self.session(identity) {
            session.stop().await;
            self.inner.store.delete_identity(session.owner()).await?;
            self.sessions_mut().remove(identity);
        }
        Ok(())
    }

    /// Everything of an identity in a sealed archive, for [`Client::import`] elsewhere. Its session
    /// stands still from now on, also after a restart, so that of the two copies only one speaks;
    /// [`Session::resume`] takes that back, and another export gives the same state again.
    ///
    /// # Errors
    /// `Session`: the identity is not here (`Stopped`), or the database failed.
    pub async fn export(
        &self,
        identity: &IdentityKey,
        key: ArchiveKey,
    ) -> Result<Vec<u8>, ArchiveError> {
        self.export_with(identity, key, Vec::new()).await
    }

    /// The same with a note that [`Archive::note`] gives back.
    ///
    /// # Errors
    /// As [`Client::export`].
    pub async fn export_with(
        &self,
        identity: &IdentityKey,
        key: ArchiveKey,
        note: Vec<u8>,
    ) -> Result<Vec<u8>, ArchiveError> {
        let session = self.session(identity).ok_or(SessionError::Stopped)?;
        let mut exported = session.export().await?;
        exported.note = note.into();
        apart(move || Archive::seal(&exported, &key)).await
    }

    /// Opens an archive, to look at it or to import it.
    ///
    /// # Errors
    /// `Unknown`, `Sealed`, `Content`.
    pub async fn open_archive(
        &self,
        bytes: Vec<u8>,
        key: ArchiveKey,
    ) -> Result<Archive, ArchiveError> {
        apart(move || Archive::open(&bytes, &key)).await
    }

    /// Puts an exported identity into this database. Its session stands still until
    /// [`Session::resume`], so that what belongs to it elsewhere can be written first. Then it goes
    /// on where it was; if the identity has spoken since, its state is an old copy, and the session
    /// says so.
    ///
    /// # Errors
    /// `Exists`, `Content`, `Session`.
    pub async fn import(&self, archive: Archive) -> Result<Session, ArchiveError> {
        let identity = archive.identity();
        let store = &self.inner.store;
        let failed = |error| ArchiveError::Session(SessionError::from(error));
        if store.has_identity(&identity).await.map_err(failed)? {
            return Err(ArchiveError::Exists(identity));
        }
        let record = store.import(archive.0).await.map_err(|error| match error {
            StoreError::Row(_, detail) => ArchiveError::Content(detail),
            error => failed(error),
        })?;
        Ok(self.start(record, None))
    }

    /// The session of an identity.
    pub fn session(&self, identity: &IdentityKey) -> Option<Session> {
        let sessions = self.inner.sessions.read().unwrap_or_else(PoisonError::into_inner);
        sessions.get(identity).cloned()
    }

    /// All sessions.
    pub fn sessions(&self) -> Vec<Session> {
        let sessions = self.inner.sessions.read().unwrap_or_else(PoisonError::into_inner);
        sessions.values().cloned().collect()
    }

    /// What the sessions use.
    pub fn usage(&self) -> Usage {
        let (loaded_groups, loaded_bytes) = self.inner.store.loaded().size();
        Usage { loaded_groups, loaded_bytes, written_bytes: self.inner.store.written() }
    }

    /// Stops all sessions; what they have accepted is durable.
    pub async fn shutdown(&self) {
        let sessions = self.sessions();
        // Each may wait for the node a moment.
        futures::future::join_all(sessions.iter().map(Session::stop)).await;
        self.inner.tracker.close();
        self.inner.tracker.wait().await;
        self.inner.store.close().await;
    }

    /// As [`Client::open`], in a simulated process: with its time and its node.
    ///
    /// # Errors
    /// See [`OpenError`].
    #[cfg(feature = "simulation")]
    pub async fn open_in(
        config: ClientConfig,
        process: &crate::simulation::Process,
    ) -> Result<Self, OpenError> {
        let store = Self::open_store(&config).await?;
        Self::start_all(config, store, process.driver(), Clock::Simulated(process.clone())).await
    }

    /// Ends as SIGKILL does: nothing is answered, and nothing more is written. The database is
    /// closed then.
    #[cfg(feature = "simulation")]
    pub async fn crash(self) {
        if let Clock::Simulated(process) = &self.inner.clock {
            process.kill();
        }
        self.inner.tracker.close();
        self.inner.tracker.wait().await;
        self.inner.store.close().await;
    }

    fn start(&self, record: IdentityRecord, invite: Option<Arc<str>>) -> Session {
        let Inner { store, driver, clock, instance, stock, tracker, .. } = &*self.inner;
        let invite = invite.or_else(|| self.inner.invite.clone());
        let (driver, clock) = (driver, clock.clone());
        let session =
            Session::start(record, store, driver, clock, *instance, *stock, invite, tracker);
        self.sessions_mut().insert(session.identity(), session.clone());
        session
    }

    fn sessions_mut(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<IdentityKey, Session>> {
        self.inner.sessions.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Heavy work on a thread of its own.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(SessionError::Internal(error.to_string()).into()))
}
