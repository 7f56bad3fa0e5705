//! SIGKILL of the node in the middle of sends to many: each is in all queues or in none, and what
//! the node says of it afterwards is what is there.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::time::Duration;

use futures::stream::FuturesOrdered;
use futures::{FutureExt, StreamExt};
use quicproquo_tests::load::{self, MessageId};
use quicproquo_tests::rpc::{Dialer, Fault, Pushed, Sent, Session, Target, Who};
use quicproquo_tests::seed::{part, say, seed, setting};
use quicproquo_tests::{Launch, Running, SOON};
use tempfile::TempDir;
use tokio::task::LocalSet;
use tokio::time::sleep;

const RECIPIENTS: u16 = 8;
const WINDOW: usize = 12;

/// Milliseconds from the first send to the kill.
const LIFE: RangeInclusive<u64> = 0..=60;

/// Kills of the control, of which one must come in the middle.
const TRIES: usize = 20;

/// How a sender sends to all.
#[derive(Clone, Copy)]
enum Way {
    /// With one `Session.send`.
    Whole,
    /// With an `enqueue` for each, one after the other.
    InParts,
}

struct Test {
    dialer: Dialer,
    sender: Who,
    recipients: Vec<Who>,
    counter: u64,
}

impl Test {
    fn new(node: &Running) -> Self {
        Self {
            dialer: Dialer::new(Target::of(node), SOON),
            sender: Who::new(1),
            recipients: (0..RECIPIENTS).map(load::recipient).collect(),
            counter: 0,
        }
    }

    fn send(
        session: &Session,
        recipients: &[Who],
        counter: u64,
    ) -> impl Future<Output = Result<Sent, Fault>> + use<> {
        let id = MessageId { producer: 1, counter };
        let to: Vec<_> =
            (0..).zip(recipients).map(|(n, who)| (who.identity(), id.header(n))).collect();
        session.send(counter, &to, &id.filler(200))
    }

    async fn send_in_parts(
        session: &Session,
        token: &[u8],
        recipients: &[Who],
        counter: u64,
    ) -> Result<Sent, Fault> {
        let id = MessageId { producer: 1, counter };
        let mut seqs = Vec::new();
        for (n, who) in (0..).zip(recipients) {
            let payload = [id.header(n), id.filler(200)].concat();
            seqs.push(Some(session.enqueue(token, who.identity(), &payload).await?));
        }
        Ok(seqs)
    }

    async fn session(&mut self) -> (quicproquo_tests::rpc::Link, Session) {
        let link = self.dialer.dial().await.expect("the node is there");
        let session = link.authenticate(&mut self.sender).await.expect("a Session");
        (link, session)
    }

    /// Sends until the node is gone; answers what was answered.
    async fn send_on(&mut self, session: &Session, way: Way) -> HashMap<u64, Sent> {
        let Ok(token) = session.token().await else {
            return HashMap::new();
        };
        let mut answered = HashMap::new();
        let mut waiting = FuturesOrdered::new();
        loop {
            while waiting.len() < WINDOW {
                self.counter += 1;
                let (counter, token, recipients) = (self.counter, &token, &self.recipients);
                let answer = match way {
                    Way::Whole => Self::send(session, recipients, counter).boxed_local(),
                    Way::InParts => {
                        Self::send_in_parts(session, token, recipients, counter).boxed_local()
                    }
                };
                waiting.push_back(answer.map(move |answer| (counter, answer)));
            }
            match waiting.next().await {
                Some((counter, Ok(sent))) => drop(answered.insert(counter, sent)),
                Some((_, Err(Fault::Gone(_)))) | None => return answered,
                Some((_, Err(refused))) => panic!("{refused:?}"),
            }
        }
    }

    /// Where each send is: by its number, the position in each queue that has it. Two rows of one
    /// send in one queue are a fault.
    async fn rows(&mut self, remove: bool) -> BTreeMap<u64, Sent> {
        let mut found: BTreeMap<u64, Sent> = BTreeMap::new();
        for (number, who) in self.recipients.iter_mut().enumerate() {
            let link = self.dialer.dial().await.expect("the node is there");
            let session = link.authenticate(who).await.expect("a Session");
            let rows = session.peek_all().await.expect("rows");
            for row in &rows {
                let Pushed::Row(seq, payload) = row else {
                    panic!("a gap: {row:?}");
                };
                let to = u16::try_from(number).expect("few");
                let id = MessageId::read(payload, to).expect("a whole row");
                let seqs =
                    found.entry(id.counter).or_insert_with(|| vec![None; usize::from(RECIPIENTS)]);
                assert_eq!(seqs[number].replace(*seq), None, "{id} is twice in queue {number}");
            }
            if let Some(last) = rows.last().filter(|_| remove) {
                session.ack(last.seq()).await.expect("an acknowledgement");
            }
        }
        found
    }
}

/// What a kill has left: by its number, what was answered to the sender, what the node says of a
/// send now, and where its rows are.
#[derive(Default, Clone)]
struct Left {
    answered: HashMap<u64, Sent>,
    known: HashMap<u64, Sent>,
    found: BTreeMap<u64, Sent>,
}

impl Left {
    /// Each send is in all queues or in none, where the node says, and what was answered is so.
    /// How many that were not answered were done and were not; otherwise what is wrong.
    fn judge(&self, sends: RangeInclusive<u64>) -> Result<(u64, u64), String> {
        let (mut done, mut undone) = (0, 0);
        for counter in sends {
            let answered = self.answered.get(&counter);
            let (known, found) = (self.known.get(&counter), self.found.get(&counter));
            if let Some(partly) = found.filter(|found| found.iter().any(Option::is_none)) {
                return Err(format!("{counter} is in some queues only: {partly:?}"));
            }
            if known != found {
                return Err(format!("{counter} is {known:?} by its result, and {found:?}"));
            }
            match answered {
                Some(_) if answered != known => {
                    return Err(format!("{counter} was answered {answered:?}, and is {known:?}"));
                }
                Some(_) => {}
                None if known.is_some() => done += 1,
                None => undone += 1,
            }
        }
        Ok((done, undone))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_to_many_is_in_all_queues_or_in_none() {
    let seed = seed("multicast");
    let kills = setting("QPQ_KILLS", 12, 100);
    let mut rng = part(seed, 0);
    let dir = TempDir::new().unwrap();
    let mut node = Launch::node(&dir.path().join("node")).log("warn").start().await;
    let mut test = Test::new(&node);
    let (mut done, mut undone) = (0, 0);
    let all = async {
        for _ in 0..kills {
            let first = test.counter + 1;
            let (link, session) = test.session().await;
            let life = Duration::from_millis(rng.u64(LIFE));
            // The new node tells the sender that its connection is gone.
            let (answered, again) = tokio::join!(test.send_on(&session, Way::Whole), async {
                sleep(life).await;
                node.kill().await.start().await
            });
            drop(link);
            node = again;

            let mut left = Left { answered, found: test.rows(false).await, ..Left::default() };
            let (_link, session) = test.session().await;
            let sends = first..=test.counter;
            for counter in sends.clone() {
                let known = session.send_result(counter).await.expect("an answer");
                left.known.extend(known.map(|known| (counter, known)));
            }
            let counts = left.judge(sends.clone());
            let counts = counts.unwrap_or_else(|wrong| panic!("{wrong}"));
            (done, undone) = (done + counts.0, undone + counts.1);
            // Again, word for word: the kept answer, and no row is new where there was one.
            let mut kept = left.known;
            for counter in sends.clone() {
                let again = Test::send(&session, &test.recipients, counter).await;
                let again = again.expect("an answer");
                let first = kept.entry(counter).or_insert_with(|| again.clone());
                assert_eq!(*first, again, "{counter}: the replay answers the same");
            }
            let found = test.rows(true).await;
            assert!(found.keys().copied().eq(sends), "each send is there, and nothing else");
            assert!(found.iter().all(|(counter, seqs)| kept[counter] == *seqs), "where it was");
        }
    };
    LocalSet::new().run_until(all).await;
    say(&format!(
        "{kills} kills, {} sends; of those in flight {done} were done and {undone} were not",
        test.counter
    ));
    assert!(undone > 0, "no kill came in the middle");
}

/// The control: whoever sends to each by itself is found with messages in some queues only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_in_parts_is_seen_in_some_queues() {
    let mut rng = part(seed("multicast control"), 0);
    let dir = TempDir::new().unwrap();
    let mut node = Launch::node(&dir.path().join("node")).log("warn").start().await;
    let mut test = Test::new(&node);
    let all = async {
        // A kill that comes before the first send shows nothing.
        for _ in 0..TRIES {
            let first = test.counter + 1;
            let (link, session) = test.session().await;
            let life = Duration::from_millis(rng.u64(LIFE));
            let (_, again) = tokio::join!(test.send_on(&session, Way::InParts), async {
                sleep(life).await;
                node.kill().await.start().await
            });
            drop(link);
            node = again;
            let left = Left { found: test.rows(true).await, ..Left::default() };
            let wrong = left.judge(first..=test.counter);
            if wrong.is_err_and(|wrong| wrong.contains("in some queues only")) {
                return true;
            }
        }
        false
    };
    assert!(LocalSet::new().run_until(all).await, "no message is seen in parts");
}

/// The control of the judgement: it sees each promise that is broken.
#[test]
fn each_wrong_state_is_seen() {
    let at = |seq: u64| vec![Some(seq), Some(seq + 1)];
    let rows = HashMap::from([(1, at(1)), (2, at(2))]);
    let found = BTreeMap::from([(1, at(1)), (2, at(2))]);
    let good = Left { answered: HashMap::from([(1, at(1))]), known: rows, found };
    assert_eq!(good.judge(1..=3), Ok((1, 1)));
    let wrong = |change: fn(&mut Left)| {
        let mut left = good.clone();
        change(&mut left);
        left.judge(1..=3).expect_err("a broken promise that nobody sees")
    };
    let lost = wrong(|left| {
        left.known.remove(&1);
        left.found.remove(&1);
    });
    assert!(lost.contains("was answered"), "{lost}");
    let partly = wrong(|left| left.found.get_mut(&2).expect("2 is there")[1] = None);
    assert!(partly.contains("some queues"), "{partly}");
    wrong(|left| drop(left.found.remove(&2)));
    wrong(|left| drop(left.known.remove(&2)));
    wrong(|left| drop(left.known.insert(2, vec![Some(9), Some(3)])));
    wrong(|left| drop(left.answered.insert(1, vec![Some(9), Some(2)])));
}
