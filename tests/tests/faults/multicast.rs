//! SIGKILL of the node in the middle of sends to many: each is in all queues or in none, and what
//! the node says of it afterwards is what is there.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use quicproquo_tests::load::{self, MessageId};
use quicproquo_tests::rpc::{Dialer, Fault, Pushed, Sent, Session, Target, Who};
use quicproquo_tests::seed::{part, say, seed, setting};
use quicproquo_tests::{Launch, SOON};
use tempfile::TempDir;
use tokio::task::LocalSet;
use tokio::time::sleep;

const RECIPIENTS: u16 = 8;
const WINDOW: usize = 12;

/// Milliseconds from the first send to the kill.
const LIFE: std::ops::RangeInclusive<u64> = 0..=60;

struct Test {
    dialer: Dialer,
    sender: Who,
    recipients: Vec<Who>,
    counter: u64,
}

impl Test {
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

    async fn session(&mut self) -> (quicproquo_tests::rpc::Link, Session) {
        let link = self.dialer.dial().await.expect("the node is there");
        let session = link.authenticate(&mut self.sender).await.expect("a Session");
        (link, session)
    }

    /// Sends until the node is gone; answers what was answered.
    async fn send_on(&mut self, session: &Session) -> HashMap<u64, Sent> {
        let mut answered = HashMap::new();
        let mut waiting = FuturesOrdered::new();
        loop {
            while waiting.len() < WINDOW {
                self.counter += 1;
                let counter = self.counter;
                let answer = Self::send(session, &self.recipients, counter);
                waiting.push_back(async move { (counter, answer.await) });
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_to_many_is_in_all_queues_or_in_none() {
    let seed = seed("multicast");
    let kills = setting("QPQ_KILLS", 12, 100);
    let mut rng = part(seed, 0);
    let dir = TempDir::new().unwrap();
    let mut node = Launch::node(&dir.path().join("node")).log("warn").start().await;
    let mut test = Test {
        dialer: Dialer::new(Target::of(&node), SOON),
        sender: Who::new(1),
        recipients: (0..RECIPIENTS).map(load::recipient).collect(),
        counter: 0,
    };
    let (mut done, mut undone) = (0, 0);
    let all = async {
        for _ in 0..kills {
            let first = test.counter + 1;
            let (link, session) = test.session().await;
            let life = Duration::from_millis(rng.u64(LIFE));
            // The new node tells the sender that its connection is gone.
            let (answered, again) = tokio::join!(test.send_on(&session), async {
                sleep(life).await;
                node.kill().await.start().await
            });
            drop(link);
            node = again;

            let found = test.rows(false).await;
            let (_link, session) = test.session().await;
            let sends = first..=test.counter;
            let mut kept: HashMap<u64, Sent> = HashMap::new();
            for counter in sends.clone() {
                let known = session.send_result(counter).await.expect("an answer");
                match (&known, found.get(&counter)) {
                    (Some(known), Some(found)) => {
                        assert_eq!(known, found, "{counter}: the result is what is there");
                        assert!(
                            known.iter().all(Option::is_some),
                            "{counter} is in all: {known:?}"
                        );
                    }
                    (None, None) => {}
                    (known, found) => panic!("{counter}: {known:?}, and there is {found:?}"),
                }
                match (answered.get(&counter), &known) {
                    (Some(_), None) => panic!("{counter} was answered and is not there"),
                    (Some(answered), Some(known)) => assert_eq!(answered, known, "{counter}"),
                    (None, Some(_)) => done += 1,
                    (None, None) => undone += 1,
                }
                kept.extend(known.map(|known| (counter, known)));
            }
            // Again, word for word: the kept answer, and no row is new where there was one.
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
