//! A node in memory that does nothing by itself: whoever drives it makes one [`Move`] at a time.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quicproquo_core::identity::IdentityKey;
use tokio::sync::mpsc;

pub use super::account::Known;
use super::account::{Account, Reply};
use crate::rpc::{Driver, LinkEvent, LinkSpec, Request, Row, RowContent, refuse};

/// What may happen next, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Move {
    /// A link comes up.
    Connect(IdentityKey),
    /// The oldest request of a link arrives.
    Serve(IdentityKey),
    /// A request arrives whose link is gone already.
    ServeLate(IdentityKey),
    /// One of so many answers comes back; they may overtake each other.
    Answer(IdentityKey, usize),
    /// At most so many rows come, in order.
    Push(IdentityKey, usize),
}

/// The node. Clones are the same one.
#[derive(Clone)]
pub struct FakeNode {
    state: Arc<Mutex<State>>,
    links: mpsc::UnboundedSender<LinkSpec>,
}

pub(super) struct State {
    specs: mpsc::UnboundedReceiver<LinkSpec>,
    accounts: BTreeMap<IdentityKey, Account>,
    pub(super) names: BTreeMap<String, (IdentityKey, Vec<u8>)>,
    called: BTreeMap<IdentityKey, String>,
    pub(super) old: bool,
}

/// A link of a session.
pub(super) struct Link {
    spec: LinkSpec,
    up: bool,
    requests: VecDeque<Request>,
    answers: Vec<(String, Reply)>,
    pushed_up_to: u64,
}

impl fmt::Debug for FakeNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeNode")
    }
}

impl FakeNode {
    pub(super) fn new() -> Self {
        let (links, specs) = mpsc::unbounded_channel();
        let state = State {
            specs,
            accounts: BTreeMap::new(),
            names: BTreeMap::new(),
            called: BTreeMap::new(),
            old: false,
        };
        Self { state: Arc::new(Mutex::new(state)), links }
    }

    pub(super) fn driver(&self) -> Driver {
        Driver::to(self.links.clone())
    }

    /// What an identity is called in what [`FakeNode::make`] says.
    pub fn call(&self, identity: IdentityKey, name: &str) {
        self.state().called.insert(identity, name.to_owned());
    }

    /// Everything that may happen now, identities in the order of `of`. Nothing else happens.
    pub fn moves(&self, of: &[IdentityKey]) -> Vec<Move> {
        let mut state = self.state();
        state.look();
        let mut moves = Vec::new();
        for identity in of {
            let account = state.account(identity);
            if !account.ghosts.is_empty() {
                moves.push(Move::ServeLate(*identity));
            }
            let Some(link) = &account.link else { continue };
            if !link.up {
                if !account.cut_off {
                    moves.push(Move::Connect(*identity));
                }
                continue;
            }
            if !link.requests.is_empty() {
                moves.push(Move::Serve(*identity));
            }
            if !link.answers.is_empty() {
                moves.push(Move::Answer(*identity, link.answers.len()));
            }
            let rows = account.rows.iter().filter(|row| row.seq > link.pushed_up_to).count();
            if rows > 0 {
                moves.push(Move::Push(*identity, rows));
            }
        }
        moves
    }

    /// Lets something happen that [`FakeNode::moves`] has offered, with `which` the answer that
    /// comes back (counted from 0) or the number of rows that come; says what it was.
    pub fn make(&self, a_move: Move, which: usize) -> String {
        let mut state = self.state();
        match a_move {
            Move::Connect(identity) => state.connect(&identity),
            Move::Serve(identity) => state.serve_next(&identity),
            Move::ServeLate(identity) => {
                let Some(request) = state.account(&identity).ghosts.pop_front() else {
                    return "nothing".into();
                };
                let (said, _) = state.serve(&identity, request);
                format!("the node, of {}'s former link, {said}", state.name(&identity))
            }
            Move::Answer(identity, _) => {
                let name = state.name(&identity);
                let Some(link) = &mut state.account(&identity).link else {
                    return "nothing".into();
                };
                if which >= link.answers.len() {
                    return "nothing".into();
                }
                let (said, answer) = link.answers.remove(which);
                answer();
                format!("{name} has its answer: the node {said}")
            }
            Move::Push(identity, _) => state.push(&identity, which),
        }
    }

    /// A link goes down, unless it is; what is on its way there may still arrive.
    pub fn drop_link(&self, identity: &IdentityKey) {
        let mut state = self.state();
        state.look();
        state.account(identity).drop_link();
    }

    /// No new link comes up while it is cut off.
    pub fn cut_off(&self, identity: &IdentityKey, cut_off: bool) {
        self.state().account(identity).cut_off = cut_off;
    }

    /// Nothing is taken for a full queue: its owner gets a gap, senders are told.
    pub fn fill(&self, identity: &IdentityKey, full: bool) {
        self.state().account(identity).full = full;
    }

    /// From now on it says of no send what came before it, as nodes of former versions.
    pub fn be_old(&self) {
        self.state().old = true;
    }

    /// Whoever claims a key package of an identity gets its last-resort one.
    pub fn keep_last_resorts(&self, identity: &IdentityKey) {
        self.state().account(identity).keep_last_resorts();
    }

    /// No key package of an identity is left.
    pub fn forget_key_packages(&self, identity: &IdentityKey) {
        self.state().account(identity).forget_key_packages();
    }

    /// Refuses the next sends of an identity for now.
    pub fn refuse_sends(&self, identity: &IdentityKey, sends: u32) {
        self.state().account(identity).refusing += sends;
    }

    /// Refuses the next sends of an identity for good.
    pub fn reject_sends(&self, identity: &IdentityKey, sends: u32) {
        self.state().account(identity).rejecting += sends;
    }

    /// Queues the newest row of an identity once more.
    pub fn repeat_row(&self, identity: &IdentityKey) -> bool {
        let mut state = self.state();
        let account = state.account(identity);
        let newest = account.rows.iter().rev().find_map(|row| match &row.content {
            RowContent::Payload(payload) => Some(payload.clone()),
            RowContent::Gap(_) => None,
        });
        let Some(payload) = newest else { return false };
        account.newest += 1;
        account.rows.push_back(Row { seq: account.newest, content: RowContent::Payload(payload) });
        true
    }

    /// Queues a payload that no session has sent.
    pub fn queue(&self, to: &IdentityKey, payload: Vec<u8>) {
        self.state().account(to).append(RowContent::Payload(payload));
    }

    /// The payloads that wait in a queue, the oldest first.
    pub fn waiting(&self, identity: &IdentityKey) -> Vec<Vec<u8>> {
        let mut state = self.state();
        let rows = state.account(identity).rows.iter().filter_map(|row| match &row.content {
            RowContent::Payload(payload) => Some(payload.clone()),
            RowContent::Gap(_) => None,
        });
        rows.collect()
    }

    /// What it would tell an identity that connects.
    pub fn known(&self, identity: &IdentityKey) -> Known {
        self.state().account(identity).known()
    }

    /// Breaks the node's promise: it knows no more of an identity than it did then.
    pub fn forget_since(&self, identity: &IdentityKey, known: Known) {
        self.state().account(identity).forget_since(known);
    }

    /// Breaks the node's promise: the oldest row that was not pushed yet is gone, and nobody is
    /// told.
    pub fn forget_row(&self, identity: &IdentityKey) -> bool {
        let mut state = self.state();
        let account = state.account(identity);
        let pushed = account.ever_pushed;
        let place = account.rows.iter().position(|row| row.seq > pushed);
        place.is_some_and(|place| account.rows.remove(place).is_some())
    }

    /// Breaks the node's promise: what is pushed counts as acknowledged from now on.
    pub fn take_pushed_for_acknowledged(&self, identity: &IdentityKey) {
        self.state().account(identity).careless = true;
    }

    /// Breaks the node's promise: it forgets what became of an identity's sends.
    pub fn forget_sends(&self, identity: &IdentityKey) {
        self.state().account(identity).forget_sends();
    }

    /// Breaks the node's promise: the two newest rows of a queue change places.
    pub fn swap_rows(&self, identity: &IdentityKey) -> bool {
        let mut state = self.state();
        let account = state.account(identity);
        let pushed = account.ever_pushed;
        let waiting = account.rows.iter().filter(|row| row.seq > pushed).count();
        if waiting < 2 {
            return false;
        }
        let rows = account.rows.make_contiguous();
        let last = rows.len() - 1;
        let (before, after) = rows.split_at_mut(last);
        std::mem::swap(&mut before[last - 1].content, &mut after[0].content);
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn account(&mut self, identity: &IdentityKey) -> &mut Account {
        self.accounts.entry(*identity).or_default()
    }

    pub(super) fn name(&self, identity: &IdentityKey) -> String {
        self.called.get(identity).cloned().unwrap_or_else(|| identity.to_string())
    }

    /// Takes in what sessions have done: links opened and closed, requests made.
    fn look(&mut self) {
        while let Ok(spec) = self.specs.try_recv() {
            let account = self.account(&spec.identity.key());
            account.drop_link();
            let (requests, answers) = (VecDeque::new(), Vec::new());
            account.link = Some(Link { spec, up: false, requests, answers, pushed_up_to: 0 });
        }
        for account in self.accounts.values_mut() {
            let Some(link) = &mut account.link else { continue };
            while let Ok(request) = link.spec.requests.try_recv() {
                if link.up { link.requests.push_back(request) } else { refuse(request) }
            }
            if link.spec.stop.is_cancelled() || link.spec.events.is_closed() {
                account.drop_link();
                account.link = None;
            }
        }
    }

    fn connect(&mut self, identity: &IdentityKey) -> String {
        let name = self.name(identity);
        let account = self.account(identity);
        // The fence: nothing of a former link is taken any more.
        account.begin_session();
        let (last_send, acked_up_to) = (account.last_send, account.acked_up_to);
        if let Some(link) = &mut account.link {
            link.up = true;
            link.pushed_up_to = acked_up_to;
            let _ =
                link.spec.events.try_send(LinkEvent::Up { last_send, acked_up_to, node_time: 0 });
        }
        format!("{name} connects, and is told of send {} and row {acked_up_to}", last_send.counter)
    }

    fn serve_next(&mut self, identity: &IdentityKey) -> String {
        let link = self.account(identity).link.as_mut();
        let Some(request) = link.and_then(|link| link.requests.pop_front()) else {
            return "nothing".into();
        };
        let (said, answer) = self.serve(identity, request);
        if let Some(link) = &mut self.account(identity).link {
            link.answers.push((said.clone(), answer));
        }
        format!("the node, of {}, {said}", self.name(identity))
    }

    fn push(&mut self, identity: &IdentityKey, most: usize) -> String {
        let name = self.name(identity);
        let account = self.account(identity);
        let Some(link) = &mut account.link else { return "nothing".into() };
        let behind = account.rows.iter().filter(|row| row.seq > link.pushed_up_to);
        let rows: Vec<Row> = behind.take(most).cloned().collect();
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return "nothing".into();
        };
        let said = format!("{name} gets rows {} to {}", first.seq, last.seq);
        let last_pushed = last.seq;
        link.pushed_up_to = last_pushed;
        account.ever_pushed = account.ever_pushed.max(last_pushed);
        let _ = link.spec.events.try_send(LinkEvent::Rows(rows));
        if account.careless {
            account.acked_up_to = last_pushed;
            account.rows.retain(|row| row.seq > last_pushed);
        }
        said
    }
}

impl Account {
    fn drop_link(&mut self) {
        if let Some(link) = &mut self.link
            && std::mem::take(&mut link.up)
        {
            link.answers.clear();
            self.ghosts.append(&mut link.requests);
            let _ = link.spec.events.try_send(LinkEvent::Down);
        }
    }
}
