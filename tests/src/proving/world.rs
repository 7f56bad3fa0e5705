//! The members, their processes, and the node between them.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use quicproquo_client::simulation::{Process, Simulation};
use quicproquo_client::{
    Client, ClientConfig, Cursor, Event, EventData, GroupId, IdentityKey, InvitePolicy,
    NodeAddress, Session, Trust,
};
use tempfile::TempDir;

use super::Verdict;
use super::losses::Backup;
use super::operation::Operation;

const NAMES: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];

/// Longest time, of the machine, until everything waits for the next thing to happen.
const QUIET: Duration = Duration::from_mins(1);

/// The sessions and what they have said and heard.
#[derive(Debug)]
pub struct World {
    /// Time and node.
    pub sim: Simulation,
    /// The sessions.
    pub members: Vec<Member>,
    /// What was asked for.
    pub operations: Vec<Operation>,
    /// The groups that were made.
    pub groups: Vec<GroupId>,
    /// Decides what happens next.
    pub rng: fastrand::Rng,
    /// What happened, and how it ends.
    pub verdict: Verdict,
    /// Things get lost for good.
    pub losses: bool,
    /// Somebody keeps to no rules, and is refused what it may not do.
    pub foul: bool,
    /// Who cannot come back to which group, as it was told.
    pub(super) beyond_help: Vec<(usize, GroupId)>,
    /// Operations from this one on are last words, which everybody must hear.
    pub last_words: usize,
    /// Bytes of groups that sessions keep in memory.
    loaded_bytes: usize,
    dir: TempDir,
    began_ms: u64,
    steps: usize,
}

/// A session in a process of its own.
#[derive(Debug)]
pub struct Member {
    /// What it is called.
    pub name: &'static str,
    /// Who it is.
    pub key: IdentityKey,
    /// Its process; another one after each crash.
    pub process: Process,
    /// None while its process is dead.
    pub running: Option<(Client, Session)>,
    /// All it was told.
    pub log: Vec<Event>,
    /// At which epochs its groups were when it could not read a payload.
    pub undecryptable: Vec<BTreeMap<GroupId, u64>>,
    /// Operations whose answers a crash has swallowed: to be asked for again.
    pub unanswered: VecDeque<usize>,
    pub(super) cursor: Cursor,
    /// An old copy of its database.
    pub(super) backup: Option<Backup>,
    /// Rows of its queue have changed places.
    pub(super) swapped: bool,
    /// An old copy of its database was put in its place.
    pub(super) restored: bool,
}

/// Runs a simulation on this thread.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

impl World {
    /// Sessions that are known at the node and can be invited, and accept what invites them.
    pub async fn new(seed: u64, members: usize) -> Self {
        let mut world = Self {
            sim: Simulation::new(seed),
            members: Vec::new(),
            operations: Vec::new(),
            groups: Vec::new(),
            rng: crate::seed::part(seed, 1),
            verdict: Verdict::default(),
            losses: false,
            foul: false,
            beyond_help: Vec::new(),
            last_words: usize::MAX,
            loaded_bytes: 0,
            dir: directory(),
            began_ms: 0,
            steps: 0,
        };
        world.began_ms = world.sim.now_ms();
        // In every second run a group leaves memory as soon as it is not in use.
        world.loaded_bytes = if world.rng.bool() { 0 } else { 1 << 20 };
        for name in &NAMES[..members] {
            world.join(name).await;
        }
        // Everybody comes in the same way each time.
        world.verdict.story.clear();
        world.steps = 0;
        world
    }

    async fn join(&mut self, name: &'static str) {
        let process = self.sim.process();
        let client = Client::open_in(self.config(name), &process).await.expect("a client");
        let session = client.create(None).await.expect("an identity");
        let key = session.identity();
        self.sim.node().call(key, name);
        session.set_invite_policy(InvitePolicy::All).await.expect("a policy");
        self.members.push(Member {
            name,
            key,
            process,
            running: Some((client, session)),
            log: Vec::new(),
            undecryptable: Vec::new(),
            unanswered: VecDeque::new(),
            cursor: Cursor::default(),
            backup: None,
            swapped: false,
            restored: false,
        });
        self.quiet().await;
        self.rest().await;
    }

    fn config(&self, name: &str) -> ClientConfig {
        // Nobody is there: the node is in memory.
        let addr = "127.0.0.1:1".parse().expect("an address");
        let node = NodeAddress { addr, server_name: "localhost".into(), trust: Trust::SystemRoots };
        ClientConfig {
            key_package_stock: 4,
            loaded_bytes: self.loaded_bytes,
            ..ClientConfig::new(self.path(name), node)
        }
    }

    /// A place of this run.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The database of a member.
    pub fn database(&self, index: usize) -> PathBuf {
        self.dir.path().join(self.members[index].name).join("client.db")
    }

    /// All members, in their order.
    pub fn keys(&self) -> Vec<IdentityKey> {
        self.members.iter().map(|member| member.key).collect()
    }

    /// What a member is called.
    pub fn name(&self, key: &IdentityKey) -> &'static str {
        self.members.iter().find(|member| member.key == *key).map_or("somebody", |it| it.name)
    }

    /// What a group is called.
    pub fn room(&self, group: &GroupId) -> String {
        let place = self.groups.iter().position(|known| known == group);
        place.map_or_else(|| "a new room".into(), |place| format!("room {}", place + 1))
    }

    /// Adds a line to the story.
    pub fn tell(&mut self, line: &str) {
        self.steps += 1;
        let at = Duration::from_millis(self.sim.now_ms() - self.began_ms);
        self.verdict.story.push(format!("{:>5} {:>10.3}s  {line}", self.steps, at.as_secs_f64()));
    }

    /// Something that must not happen.
    pub fn fault(&mut self, line: String) {
        self.tell(&format!("FAULT: {line}"));
        self.verdict.faults.push(line);
    }

    /// Waits until all sessions wait, and reads what they were told. Who has died stays dead.
    pub async fn quiet(&mut self) {
        if tokio::time::timeout(QUIET, self.sim.quiet()).await.is_err() {
            let story = std::mem::take(&mut self.verdict);
            panic!("the sessions do not come to rest\n{story}");
        }
        for index in 0..self.members.len() {
            if self.members[index].process.is_dead() {
                self.bury(index).await;
            }
            self.read(index).await;
        }
    }

    /// Closes the database of a process that has died.
    async fn bury(&mut self, index: usize) {
        if let Some((client, _)) = self.members[index].running.take() {
            client.crash().await;
            self.verdict.crashes += 1;
            self.verdict.failures += self.members[index].process.failed_writes();
            self.tell(&format!("{} has died", self.members[index].name));
        }
    }

    /// A process dies here and now.
    pub async fn crash(&mut self, index: usize) {
        self.members[index].process.kill();
        self.quiet().await;
    }

    /// Starts a process again on the database of the one that died, unless it runs; it asks again
    /// for what it got no answer to.
    pub async fn start(&mut self, index: usize) {
        if self.members[index].running.is_some() {
            return;
        }
        let process = self.sim.process();
        let config = self.config(self.members[index].name);
        let client = Client::open_in(config, &process).await.expect("a client");
        let session = client.sessions().pop().expect("its session");
        let member = &mut self.members[index];
        member.process = process;
        member.running = Some((client, session));
        let name = member.name;
        self.tell(&format!("{name} starts again"));
        self.quiet().await;
        self.ask_again(index).await;
    }

    /// Repeats what has got no answer, in the order in which it was asked for.
    pub async fn ask_again(&mut self, index: usize) {
        while self.members[index].running.is_some() {
            let Some(operation) = self.members[index].unanswered.front().copied() else { return };
            if !self.attempt(operation).await {
                return;
            }
            self.members[index].unanswered.pop_front();
        }
    }

    /// Reads what a member was told since the last time.
    async fn read(&mut self, index: usize) {
        loop {
            let member = &self.members[index];
            let Some((_, session)) = &member.running else { return };
            if *session.tail().borrow() == member.cursor {
                return;
            }
            let session = session.clone();
            let page = session.events(member.cursor, 1000).await.expect("events");
            let name = member.name;
            for event in page.items {
                if matches!(event.data, EventData::MessageUndecryptable { .. })
                    && !(self.foul && is_refused(&event))
                {
                    let epochs = session.epochs().await.expect("groups");
                    self.members[index].undecryptable.push(epochs);
                }
                let said = super::story::said(self, &event);
                self.tell(&format!("        {name}: {said}"));
                self.members[index].log.push(event);
            }
            self.members[index].cursor = page.next;
        }
    }

    /// How many payloads a member has refused because their sender may not send them.
    pub fn refused_by(&self, index: usize) -> usize {
        self.members[index].log.iter().filter(|event| is_refused(event)).count()
    }

    /// Ends the simulation.
    pub async fn end(mut self) -> Verdict {
        for member in &mut self.members {
            if let Some((client, _)) = member.running.take() {
                client.crash().await;
                self.verdict.failures += member.process.failed_writes();
            }
        }
        self.verdict
    }
}

/// Whether it tells of something that a member may not do.
pub(super) fn is_refused(event: &Event) -> bool {
    matches!(&event.data, EventData::MessageUndecryptable { reason, .. } if reason == "unauthorized")
}

/// In memory where there is such a place: the databases sync each transaction.
fn directory() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a temporary directory")
}
