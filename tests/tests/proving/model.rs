//! What a group must come to, operation by operation, as a few sets: the model against which
//! [sequences](super::sequences) of operations are judged.

use std::collections::BTreeSet;

use proptest::prelude::{BoxedStrategy, Just, Strategy as _, any, prop_oneof};
use proptest::sample::select;
use proptest_state_machine::ReferenceStateMachine;
use quicproquo_client::Suite;

/// Most members of a sequence.
const MOST: usize = 8;

/// A group as it is, or as a member knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) roster: BTreeSet<usize>,
    pub(crate) admins: BTreeSet<usize>,
    /// The operation that gave it its name.
    pub(crate) name: Option<usize>,
}

/// Something a member asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Say,
    Invite(usize),
    Remove(usize),
    Promote(usize),
    Demote(usize),
    Rename,
    Update,
    Leave,
}

/// What may happen; after each all comes to rest.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Ask(usize, Ask),
    /// At the same moment another one renews its keys: one of two commits is lost.
    Race(usize, Ask, usize),
    /// The node cannot be reached.
    Offline(usize),
    Online(usize),
    Crash(usize),
    BreakLink(usize),
    /// Nobody can add it until it comes back.
    Exhaust(usize),
    /// Its database is copied.
    BackUp(usize),
    /// The copy is put in the place of the database: it is added again, or told that it is out.
    Restore(usize),
    /// A member proposes to remove another one, which nobody may follow, or itself; then a third
    /// one renews its keys.
    Propose(usize, usize, usize),
}

/// The group, and what each member knows and must have heard.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) suite: Suite,
    pub(crate) room: Room,
    pub(crate) members: Vec<Member>,
    /// Operations so far.
    asked: usize,
    /// Whether the last operations were accepted.
    pub(crate) accepted: Vec<bool>,
    /// Steps so far.
    steps: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) online: bool,
    /// The group as this member knows it; none: it is not in it.
    view: Option<Room>,
    /// Asked for while offline.
    queued: Vec<(usize, Ask)>,
    /// The operations whose messages it must have, in order.
    pub(crate) heard: Vec<usize>,
    /// Payloads that it must have refused.
    pub(crate) refused: usize,
    exhausted: bool,
    backup: Option<Backup>,
    /// Since which step it knows of everybody who goes.
    since: usize,
    /// The step at which it went.
    went: usize,
}

/// What the copy of a member's database knows.
#[derive(Debug, Clone)]
struct Backup {
    view: Option<Room>,
    heard: usize,
    refused: usize,
}

impl Ask {
    /// Whether it decides who hears what is said.
    fn changes_roster(self) -> bool {
        matches!(self, Self::Invite(_) | Self::Remove(_) | Self::Leave)
    }
}

impl Room {
    fn admins_with(&self, member: usize) -> BTreeSet<usize> {
        let mut admins = self.admins.clone();
        admins.insert(member);
        admins
    }

    fn admins_without(&self, member: usize) -> BTreeSet<usize> {
        let mut admins = self.admins.clone();
        admins.remove(&member);
        admins
    }

    /// Whether a member who knows the group like this may ask.
    fn lets(&self, by: usize, ask: Ask) -> bool {
        let admin = self.admins.contains(&by);
        match ask {
            Ask::Say | Ask::Update => true,
            Ask::Rename => admin,
            Ask::Invite(whom) => admin && !self.roster.contains(&whom),
            Ask::Remove(whom) | Ask::Promote(whom) => admin && self.roster.contains(&whom),
            Ask::Demote(whom) => {
                admin && self.roster.contains(&whom) && !self.admins_without(whom).is_empty()
            }
            Ask::Leave => self.roster.len() == 1 || !self.admins_without(by).is_empty(),
        }
    }
}

impl Model {
    pub(crate) fn new(suite: Suite, count: usize, first: usize) -> Self {
        let room = Room { roster: (0..first).collect(), admins: [0].into(), name: None };
        let member = |index: usize| Member {
            online: true,
            view: (index < first).then(|| room.clone()),
            queued: Vec::new(),
            heard: Vec::new(),
            refused: 0,
            exhausted: false,
            backup: None,
            since: 0,
            went: 0,
        };
        let members = (0..count).map(member).collect();
        Self { suite, room, members, asked: 0, accepted: Vec::new(), steps: 0 }
    }

    /// All that would be accepted now, what is said and who is invited several times.
    fn good_asks(&self) -> Vec<(usize, Ask)> {
        let mut asks = Vec::new();
        for (by, member) in self.members.iter().enumerate() {
            let Some(view) = &member.view else { continue };
            let mut all = vec![Ask::Say; 2 * self.members.len()];
            all.extend([Ask::Rename, Ask::Update, Ask::Leave]);
            for whom in 0..self.members.len() {
                all.extend([Ask::Invite(whom), Ask::Invite(whom), Ask::Invite(whom)]);
                all.extend([Ask::Remove(whom), Ask::Promote(whom), Ask::Demote(whom)]);
            }
            asks.extend(all.into_iter().filter(|ask| view.lets(by, *ask)).map(|ask| (by, ask)));
        }
        asks
    }

    /// Whose old copy can be put back; anybody, when there is none.
    fn restorable(&self) -> Vec<usize> {
        let all = || 0..self.members.len();
        let able: Vec<_> = all().filter(|member| self.can_restore(*member)).collect();
        if able.is_empty() { all().collect() } else { able }
    }

    /// A member asks; what is accepted happens at once, or when it is back.
    fn ask(&mut self, by: usize, ask: Ask) {
        let number = self.asked;
        self.asked += 1;
        let accepted = self.members[by].view.as_ref().is_some_and(|view| view.lets(by, ask));
        self.accepted.push(accepted);
        if !accepted {
            return;
        }
        if self.members[by].online {
            self.happen(number, by, ask);
        } else {
            self.members[by].queued.push((number, ask));
        }
    }

    /// Whoever is online learns of it.
    fn happen(&mut self, number: usize, by: usize, ask: Ask) {
        let before = self.room.roster.clone();
        self.change(number, by, ask);
        for member in self.room.roster.symmetric_difference(&before) {
            let (now, member) = (self.steps, &mut self.members[*member]);
            (member.since, member.went) = (now, now);
        }
        self.learn();
    }

    fn change(&mut self, number: usize, by: usize, ask: Ask) {
        let room = &mut self.room;
        if room.roster.contains(&by) && room.lets(by, ask) {
            match ask {
                Ask::Say => {
                    for member in room.roster.iter().filter(|member| **member != by) {
                        self.members[*member].heard.push(number);
                    }
                }
                Ask::Invite(whom) if self.members[whom].exhausted => {}
                Ask::Invite(whom) => drop(room.roster.insert(whom)),
                Ask::Remove(whom) => {
                    room.roster.remove(&whom);
                    room.admins.remove(&whom);
                }
                Ask::Promote(whom) => room.admins = room.admins_with(whom),
                Ask::Demote(whom) => room.admins = room.admins_without(whom),
                Ask::Rename => room.name = Some(number),
                Ask::Update => {}
                Ask::Leave => {
                    room.roster.remove(&by);
                    room.admins.remove(&by);
                }
            }
        }
    }

    fn learn(&mut self) {
        for (index, member) in self.members.iter_mut().enumerate().filter(|(_, it)| it.online) {
            member.view = self.room.roster.contains(&index).then(|| self.room.clone());
        }
    }

    /// A proposal that no session has made. Its proposer may be taken at its word, and nobody else.
    fn propose(&mut self, by: usize, whom: usize) {
        if by == whom && self.room.lets(by, Ask::Leave) {
            return self.happen(self.asked, by, Ask::Leave);
        }
        for member in self.room.roster.iter().filter(|member| **member != by) {
            self.members[*member].refused += 1;
        }
    }

    fn back_up(&mut self, member: usize) {
        let it = &mut self.members[member];
        let (view, heard, refused) = (it.view.clone(), it.heard.len(), it.refused);
        it.backup = Some(Backup { view, heard, refused });
    }

    /// What the member heard since is forgotten, what it did since is not.
    fn restore(&mut self, member: usize) {
        let now = self.steps;
        let it = &mut self.members[member];
        let Some(backup) = it.backup.take() else { return };
        it.heard.truncate(backup.heard);
        it.refused = backup.refused;
        it.since = now;
    }

    /// Whether there is one outcome of putting an old copy in the place of a database.
    fn can_restore(&self, member: usize) -> bool {
        let it = &self.members[member];
        let Some(backup) = &it.backup else { return false };
        let is_in = self.room.roster.contains(&member);
        let Some(view) = &backup.view else {
            // A group that it was added to since is one that it cannot know of.
            return it.online && !is_in;
        };
        // Whoever it knows adds it again; whom it knows as an admin tells it that it is out.
        let helps = |other: usize| {
            let by = &self.members[other];
            let tells = self.room.admins.contains(&other)
                && view.admins.contains(&other)
                && by.since <= it.went;
            let adds = self.room.roster.contains(&other) && view.roster.contains(&other);
            other != member && by.online && if is_in { adds } else { tells }
        };
        it.online && (0..self.members.len()).any(helps)
    }

    /// Whether somebody is there who takes a proposer at its word for all to follow.
    fn can_propose(&self, by: usize, whom: usize, too: usize) -> bool {
        let is_there =
            |member: usize| self.members[member].online && self.room.roster.contains(&member);
        let mut admins = self.room.admins_without(by).into_iter();
        let goes = by == whom && self.room.lets(by, Ask::Leave);
        let followed = self.room.roster.len() > 2 && admins.any(is_there);
        is_there(by)
            && is_there(too)
            && by != too
            && self.room.roster.contains(&whom)
            && (!goes || followed)
    }

    fn come_back(&mut self, member: usize) {
        let it = &mut self.members[member];
        it.online = true;
        if std::mem::take(&mut it.exhausted) {
            // It publishes packages that its copy has no private halves of, so that one who was
            // put back by it then would lose an invitation.
            it.backup = None;
        }
        self.learn();
        for (number, ask) in std::mem::take(&mut self.members[member].queued) {
            self.happen(number, member, ask);
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let sizes = (3..=MOST).prop_flat_map(|count| (Just(count), 2..=count));
        (any::<bool>(), sizes)
            .prop_map(|(envelope, (count, first))| {
                let suite = if envelope { Suite::Envelope } else { Suite::Native };
                Self::new(suite, count, first)
            })
            .boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let count = state.members.len();
        let member = || 0..count;
        let any_ask = prop_oneof![
            6 => Just(Ask::Say),
            3 => member().prop_map(Ask::Invite),
            2 => member().prop_map(Ask::Remove),
            2 => member().prop_map(Ask::Promote),
            1 => member().prop_map(Ask::Demote),
            1 => Just(Ask::Rename),
            1 => Just(Ask::Update),
            1 => Just(Ask::Leave),
        ];
        // Mostly what is accepted.
        let good = || select(state.good_asks());
        let (any_by, too) =
            (member(), select(state.room.roster.iter().copied().collect::<Vec<_>>()));
        prop_oneof![
            12 => good().prop_map(|(by, ask)| Step::Ask(by, ask)),
            1 => (any_by, any_ask).prop_map(|(by, ask)| Step::Ask(by, ask)),
            3 => (good(), too).prop_map(|((by, ask), too)| Step::Race(by, ask, too)),
            2 => member().prop_map(Step::Offline),
            3 => member().prop_map(Step::Online),
            1 => member().prop_map(Step::Crash),
            1 => member().prop_map(Step::BreakLink),
            1 => member().prop_map(Step::Exhaust),
            2 => member().prop_map(Step::BackUp),
            2 => select(state.restorable()).prop_map(Step::Restore),
            2 => (member(), member(), member())
                .prop_map(|(by, whom, too)| Step::Propose(by, whom, too)),
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.accepted.clear();
        state.steps += 1;
        match *step {
            Step::Ask(by, ask) => state.ask(by, ask),
            Step::Race(by, ask, too) => {
                state.ask(by, ask);
                state.ask(too, Ask::Update);
            }
            Step::Offline(member) => state.members[member].online = false,
            Step::Online(member) => state.come_back(member),
            Step::Exhaust(member) => state.members[member].exhausted = true,
            Step::BackUp(member) => state.back_up(member),
            Step::Restore(member) => state.restore(member),
            Step::Propose(by, whom, too) => {
                state.propose(by, whom);
                state.ask(too, Ask::Update);
            }
            Step::Crash(_) | Step::BreakLink(_) => {}
        }
        state
    }

    fn preconditions(state: &Self, step: &Step) -> bool {
        let may = |by: usize, ask: Ask| {
            let Member { online, queued, .. } = &state.members[by];
            let itself = matches!(ask, Ask::Invite(it) | Ask::Remove(it) if it == by);
            // Whoever may commit it must be there.
            let can_leave = *online
                && state.room.roster.iter().any(|it| *it != by && state.members[*it].online);
            // Somebody must be left to go on.
            let parts = matches!(ask, Ask::Remove(_) | Ask::Leave);
            let can_part = !parts || state.room.roster.len() > 2;
            // Which of them comes first when it is back is not laid down.
            let mixed = queued.iter().any(|(_, queued)| {
                (*queued == Ask::Say && ask.changes_roster())
                    || (queued.changes_roster() && ask == Ask::Say)
            });
            // Who is removed, comes again and is back only then says what it wanted to say.
            let comes_again =
                matches!(ask, Ask::Invite(it) if !state.members[it].queued.is_empty());
            !itself && !mixed && !comes_again && can_part && (ask != Ask::Leave || can_leave)
        };
        match *step {
            Step::Ask(by, ask) => may(by, ask),
            Step::Race(by, ask, too) => {
                let together = state.members[by].online && state.members[too].online;
                let stays = ask != Ask::Leave && ask != Ask::Remove(too) && ask != Ask::Invite(too);
                by != too && together && stays && ask != Ask::Say && may(by, ask)
            }
            Step::Online(member) | Step::Exhaust(member) => !state.members[member].online,
            Step::Offline(member) | Step::BreakLink(member) | Step::BackUp(member) => {
                state.members[member].online
            }
            Step::Restore(member) => state.can_restore(member),
            Step::Propose(by, whom, too) => state.can_propose(by, whom, too),
            Step::Crash(_) => true,
        }
    }
}
