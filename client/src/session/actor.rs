//! The task that owns one identity's state.
//!
//! Inputs are commands, link events and answers to own requests. The task takes what has queued
//! up, changes its state in memory, writes all of it in one transaction, and only then lets
//! anything out: replies, requests to the node, acknowledgements. While a transaction syncs,
//! inputs queue up for the next one. When a transaction fails, the memory is thrown away and
//! read again from the database.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::{Identity, IdentityKey};
use quicproquo_core::kem::HybridSecret;
use quicproquo_core::suite::Suite;
use tokio::sync::{mpsc, watch};
use tracing::{Instrument as _, Span};
use zeroize::Zeroizing;

use super::Reply;
use super::command::{Asked, Command};
use super::input::Input;
use super::outgoing::Outgoing;
use super::published::Published;
use super::reach::Reach;
use super::recent::Recent;
use super::said::Said;
use super::slot::Slot;
use super::unit::Unit;
use super::uplink::Uplink;
use crate::clock::{Clock, Point};
use crate::error::SessionError;
use crate::event::{Cursor, EventData};
use crate::model::{Change, GroupState, Health, InvitePolicy, LinkState, Message, Outcome};
use crate::rpc::{LinkEvent, Stock};
use crate::store::{
    Damage, DamagedRow, Halted, IdentityRecord, IntentRecord, Names, Overlay, Owner, Positions,
    Store, StoreError,
};

/// Inputs that one transaction takes.
const INPUTS: usize = 256;

/// A caller that waits, and whether an earlier request did the work.
type Waiting<T> = (Reply<Outcome<T>>, bool);

/// Payloads that wait for a group, with when they came (unix milliseconds).
type Buffered = BTreeMap<Vec<u8>, Vec<(u64, Zeroizing<Vec<u8>>)>>;

/// Callers that wait for an outcome.
#[derive(Default)]
pub(super) struct Waits {
    pub(super) intents: HashMap<u64, Vec<Waiting<Change>>>,
    pub(super) sends: HashMap<u64, Vec<Waiting<Message>>>,
    /// The spans of those who asked for open intents.
    pub(super) asked_by: HashMap<u64, Span>,
}

/// All state of one session.
pub(super) struct Actor {
    pub(super) owner: Owner,
    pub(super) identity: Arc<Identity>,
    pub(super) store: Arc<Store>,
    pub(super) hybrid: Vec<HybridSecret>,
    pub(super) incarnation: u64,
    pub(super) positions: Positions,
    pub(super) policy: InvitePolicy,
    pub(super) names: Names,
    pub(super) asked_names: BTreeSet<IdentityKey>,
    pub(super) published: Published,
    pub(super) asked_keys: BTreeSet<IdentityKey>,
    pub(super) asking_names: usize,
    pub(super) groups: BTreeMap<GroupId, Slot>,
    pub(super) outbox: BTreeMap<u64, Outgoing>,
    pub(super) said: Said,
    pub(super) reach: Reach,
    /// Groups in which messages wait for room in the outbox.
    pub(super) backlog: BTreeSet<GroupId>,
    pub(super) intents: BTreeMap<u64, IntentRecord>,
    pub(super) last_intent: u64,
    pub(super) claiming: BTreeSet<u64>,
    pub(super) buffered: Buffered,
    pub(super) last_buffered: u64,
    pub(super) last_hidden: u64,
    /// Bytes set aside since the last look at them all.
    pub(super) set_aside_bytes: u64,
    /// Rows that did not read and are to be set aside.
    pub(super) damaged: Vec<DamagedRow>,
    pub(super) overlay: Overlay,
    /// Bytes of the groups that this unit has loaded, about.
    pub(super) in_use: usize,
    pub(super) uplink: Uplink,
    pub(super) stock: Vec<Stock>,
    pub(super) stock_target: u32,
    pub(super) clock: Clock,
    /// When the last-resort package of a suite was made, unix milliseconds.
    pub(super) last_resorts: BTreeMap<Suite, u64>,
    pub(super) making: bool,
    /// Suites whose packages at the node were replaced, when all are to be.
    pub(super) replaced: BTreeSet<Suite>,
    /// When they last were because a Welcome was for one that is not here, unix milliseconds.
    pub(super) doubted_packages_ms: u64,
    pub(super) waiting_names: Vec<(String, Reply<()>)>,
    pub(super) waits: Waits,
    /// A timer runs for asking, after a gap, where groups are.
    pub(super) inquiring: bool,
    /// When the memory was last thrown away, unix milliseconds.
    pub(super) reloaded_ms: Option<u64>,
    pub(super) jobs: FuturesUnordered<BoxFuture<'static, Input>>,
    pub(super) tail: watch::Sender<Cursor>,
    pub(super) recent: Arc<Recent>,
    pub(super) health: watch::Sender<Health>,
}

impl Actor {
    #[expect(clippy::too_many_arguments, reason = "what a session has for life")]
    pub(super) fn new(
        store: Arc<Store>,
        record: IdentityRecord,
        uplink: Uplink,
        stock_target: u32,
        clock: Clock,
        tail: watch::Sender<Cursor>,
        recent: Arc<Recent>,
        health: watch::Sender<Health>,
    ) -> Self {
        let mut positions = record.positions;
        positions.link_gone();
        Self {
            owner: record.owner,
            identity: record.identity,
            store,
            hybrid: record.hybrid,
            incarnation: record.incarnation,
            positions,
            policy: record.policy,
            names: Names::default(),
            asked_names: BTreeSet::new(),
            published: Published::new(),
            asked_keys: BTreeSet::new(),
            asking_names: 0,
            groups: BTreeMap::new(),
            outbox: BTreeMap::new(),
            said: Said::default(),
            reach: Reach::default(),
            backlog: BTreeSet::new(),
            intents: BTreeMap::new(),
            last_intent: 0,
            claiming: BTreeSet::new(),
            buffered: BTreeMap::new(),
            last_buffered: 0,
            last_hidden: 0,
            set_aside_bytes: 0,
            damaged: Vec::new(),
            overlay: Overlay::default(),
            in_use: 0,
            uplink,
            stock: Vec::new(),
            stock_target,
            clock,
            last_resorts: BTreeMap::new(),
            making: false,
            replaced: BTreeSet::new(),
            doubted_packages_ms: 0,
            waiting_names: Vec::new(),
            waits: Waits::default(),
            inquiring: false,
            reloaded_ms: None,
            jobs: FuturesUnordered::new(),
            tail,
            recent,
            health,
        }
    }

    /// Runs until it is told to stop or every handle is gone.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Asked>) {
        if !self.first_load(&mut commands).await {
            return;
        }
        self.after(Duration::ZERO, Input::Sweep);
        loop {
            let Some(first) = self.next(&mut commands).await else {
                break;
            };
            let _busy = self.clock.busy();
            let mut unit = Unit::new(self.store.batch(), self.clock.now_ms());
            unit.told = self.recent.wanted().then(Vec::new);
            let mut stop = self.take(first, &mut unit).await;
            for _ in 1..INPUTS {
                match self.queued(&mut commands) {
                    Some(input) if !stop => stop = self.take(input, &mut unit).await,
                    _ => break,
                }
            }
            if stop {
                self.answer_waiting(&mut unit).await;
            }
            if !self.finish(unit, &mut commands).await {
                break;
            }
            if stop {
                self.acknowledge_last().await;
                break;
            }
        }
        self.uplink.close();
        self.store.loaded().forget(self.owner);
    }

    /// `false`: the session is to stop.
    async fn first_load(&mut self, commands: &mut mpsc::Receiver<Asked>) -> bool {
        let _busy = self.clock.busy();
        match self.load().await {
            Ok(()) => self.uplink.open(),
            Err(error) => {
                tracing::error!(%error, "a session cannot read its state");
                return self.reload(commands).await;
            }
        }
        true
    }

    async fn next(&mut self, commands: &mut mpsc::Receiver<Asked>) -> Option<Input> {
        tokio::select! {
            // Of what is there already a command comes first here, and last in `queued`.
            biased;
            command = commands.recv() => Some(command.map_or(Input::Stop, Input::Command)),
            event = self.uplink.events.recv(), if !self.uplink.over => {
                Some(event.map_or(Input::LinkOver, Input::Link))
            }
            Some(input) = self.jobs.next(), if !self.jobs.is_empty() => Some(input),
        }
    }

    fn queued(&mut self, commands: &mut mpsc::Receiver<Asked>) -> Option<Input> {
        if let Some(Some(input)) = self.jobs.next().now_or_never() {
            return Some(input);
        }
        if let Ok(event) = self.uplink.events.try_recv() {
            return Some(Input::Link(event));
        }
        commands.try_recv().ok().map(Input::Command)
    }

    /// Applies one input to the state in memory. `true`: stop.
    async fn take(&mut self, input: Input, unit: &mut Unit) -> bool {
        let result = match input {
            Input::Stop | Input::Command(Asked { command: Command::Stop, .. }) => return true,
            Input::Command(Asked { command, by }) => {
                self.command(command, unit).instrument(by).await;
                Ok(())
            }
            // What a link that was cut off for good still says is for who goes on.
            Input::Link(_) if self.uplink.state == LinkState::Exported => Ok(()),
            Input::Link(event) => self.link_event(event, unit).await,
            input => self.answered(input, unit).await,
        };
        if let Err(error) = result {
            // Reading failed; what is in memory may lack what should have been read.
            tracing::error!(%error, "a session cannot read its state");
            self.uplink.broken = true;
        }
        false
    }

    /// Lets groups go on, commits, and lets out what waited for the commit. `false`: the store
    /// is closed.
    async fn finish(&mut self, mut unit: Unit, commands: &mut mpsc::Receiver<Asked>) -> bool {
        if !self.uplink.broken
            && let Err(error) = self.go_on(&mut unit).await
        {
            tracing::error!(%error, "a session cannot read its state");
            self.uplink.broken = true;
        }
        for n in std::mem::take(&mut unit.waited) {
            self.intent_waited(n, &mut unit);
        }
        if self.uplink.broken {
            unit.answer(&Err(SessionError::StorageUnavailable));
            return self.reload(commands).await;
        }
        if let Err(error) = self.collect(&mut unit) {
            tracing::error!(%error, "the state of a group cannot be written");
            unit.answer(&Err(SessionError::StorageUnavailable));
            return self.reload(commands).await;
        }
        let batch = std::mem::replace(&mut unit.batch, self.store.batch());
        let rewritten = batch.rewrites();
        let written = if batch.is_empty() {
            Ok(Vec::new())
        } else {
            self.clock.at(Point::BeforeCommit).await;
            let written = self.clock.write(self.store.write(batch)).await;
            self.clock.at(Point::AfterCommit).await;
            written.map_err(SessionError::from)
        };
        let ignored = match written {
            Ok(ignored) => ignored,
            Err(error) => {
                unit.answer(&Err(error));
                return self.reload(commands).await;
            }
        };
        self.give_back();
        self.answer_exports(std::mem::take(&mut unit.exports)).await;
        if let Some(told) = &mut unit.told {
            told.retain(|(event, _)| !ignored.contains(&event.cursor.0));
        }
        self.recent.grow(unit.told.take(), self.positions.tail, rewritten);
        self.tail.send_if_modified(|tail| {
            let moved = tail.0 != self.positions.tail;
            tail.0 = self.positions.tail;
            moved
        });
        unit.answer(&Ok(()));
        self.clock.at(Point::AfterAnswer).await;
        if unit.upload_hybrid {
            self.upload_hybrid();
        }
        if let Some(packages) = unit.publish {
            self.publish(packages);
        }
        if self.acknowledge() {
            self.clock.at(Point::AfterAck).await;
        }
        self.pump();
        self.clock.at(Point::AfterSend).await;
        self.report();
        true
    }

    /// Puts MLS writes, records and positions into the batch.
    fn collect(&mut self, unit: &mut Unit) -> Result<(), quicproquo_core::StoreError> {
        for slot in self.groups.values_mut() {
            let Some(mls) = slot.mls.as_mut().filter(|mls| mls.dirty()) else {
                continue;
            };
            self.overlay.put_all(mls.take_writes()?);
        }
        self.meet_members(unit);
        for id in std::mem::take(&mut unit.records) {
            let slot = self.groups.get(&id);
            if let Some(slot) = slot.filter(|slot| slot.record.damage == Damage::None) {
                unit.batch.group(self.owner, &id, &slot.record, unit.now_ms);
            }
        }
        self.overlay.drain_into(self.owner, &mut unit.batch);
        if !unit.batch.is_empty() || unit.received || unit.moved {
            unit.batch.positions(self.owner, self.positions);
        }
        Ok(())
    }

    /// The counter of the next send.
    pub(super) fn next_counter(&mut self) -> u64 {
        self.positions.next_counter += 1;
        self.positions.next_counter - 1
    }

    /// Later, this input.
    pub(super) fn after(&self, pause: Duration, input: Input) {
        self.jobs.push(self.clock.sleep(pause).map(|()| input).boxed());
    }

    pub(super) fn report(&self) {
        let stock = self.stock.iter().filter_map(|stock| {
            let suite = Suite::from_code(stock.ciphersuite)?;
            Some((suite, stock.one_time))
        });
        let member =
            |slot: &&Slot| slot.record.state != GroupState::Invited && !slot.record.is_over();
        let health = Health {
            link: self.uplink.state.clone(),
            stock: stock.collect(),
            outbox: self.outbox.values().filter(|outgoing| outgoing.is_open()).count() as u64,
            groups: self.groups.values().filter(member).count() as u64,
            clock_ahead_secs: self.uplink.clock_ahead,
        };
        self.health.send_if_modified(|known| {
            let changed = *known != health;
            *known = health;
            changed
        });
    }

    async fn link_event(&mut self, event: LinkEvent, unit: &mut Unit) -> Result<(), StoreError> {
        match event {
            LinkEvent::Up { last_send, acked_up_to, node_time } => {
                self.link_up(last_send, acked_up_to, unit);
                self.compare_clocks(node_time, unit);
            }
            LinkEvent::Rows(rows) => self.rows(rows, unit).await?,
            LinkEvent::Down => self.link_down(),
            LinkEvent::Refused { code, text } => {
                self.positions.link_gone();
                self.uplink.up = false;
                self.refuse_names(code, &text, unit);
                self.uplink.state = LinkState::Refused(text);
            }
            LinkEvent::Displaced { by } => {
                self.positions.link_gone();
                self.uplink.up = false;
                self.uplink.state = LinkState::Displaced(by.clone());
                unit.batch.halted(&self.identity.key(), Some(&Halted::Displaced(by.clone())));
                self.emit(unit, None, EventData::SessionDisplaced { by });
            }
        }
        Ok(())
    }
}
