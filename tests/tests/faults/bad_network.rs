//! A bad network between gateway and node: everything arrives once and in order, and soon after
//! the network is good again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use quicproquo_tests::proxy::{Proxy, Weather};
use quicproquo_tests::seed::{is_long, part, say, seed, word};
use quicproquo_tests::{Bot, LONG, Launch, pair, wait_for};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long after the end of bad weather everything must be as it should.
const HEALED: Duration = Duration::from_secs(10);

/// Between two messages of a bot.
const PACE: Duration = Duration::from_millis(50);

/// Bad weather: for how long, and what happens in it.
struct Profile {
    name: &'static str,
    weather: Weather,
    seconds: u64,
    /// Milliseconds between two changes of port.
    rebind: Option<u64>,
    /// Milliseconds of darkness and of light, in turn.
    flicker: Option<(u64, u64)>,
}

const CLEAR: Profile =
    Profile { name: "", weather: Weather::GOOD, seconds: 4, rebind: None, flicker: None };
const fn weather(loss: u8, double: u8, delay: u64, jitter: u64) -> Weather {
    Weather { loss, double, delay, jitter, dark: false }
}
const DARK: Weather = Weather { dark: true, ..Weather::GOOD };
const fn dark(name: &'static str, seconds: u64) -> Profile {
    Profile { name, weather: DARK, seconds, ..CLEAR }
}

/// The gate runs these.
const FAST: [Profile; 6] = [
    Profile { name: "loss 20 %", weather: weather(20, 0, 0, 0), ..CLEAR },
    Profile { name: "jitter 60 ms", weather: weather(0, 0, 5, 60), ..CLEAR },
    Profile { name: "doubles 50 %", weather: weather(0, 50, 0, 5), seconds: 2, ..CLEAR },
    Profile { name: "rebinding", rebind: Some(300), ..CLEAR },
    dark("dark 6 s", 6),
    Profile {
        name: "everything",
        weather: weather(10, 10, 5, 40),
        rebind: Some(1000),
        flicker: Some((300, 700)),
        ..CLEAR
    },
];

/// `cargo xtask long` runs these as well.
const LONG_FORM: [Profile; 20] = [
    Profile { name: "loss 1 %", weather: weather(1, 0, 0, 0), seconds: 8, ..CLEAR },
    Profile { name: "loss 5 %, 20 ms", weather: weather(5, 0, 20, 0), seconds: 8, ..CLEAR },
    Profile { name: "loss 10 %, 50 ms", weather: weather(10, 0, 50, 5), seconds: 8, ..CLEAR },
    Profile { name: "loss 20 %, 100 ms", weather: weather(20, 0, 100, 0), seconds: 10, ..CLEAR },
    Profile { name: "late by 300 ms", weather: weather(0, 0, 300, 0), seconds: 8, ..CLEAR },
    Profile { name: "late by 1 s", weather: weather(0, 0, 1000, 100), seconds: 10, ..CLEAR },
    Profile { name: "jitter 250 ms", weather: weather(0, 0, 1, 250), seconds: 8, ..CLEAR },
    Profile { name: "doubles 100 %", weather: weather(0, 100, 0, 20), seconds: 8, ..CLEAR },
    Profile { name: "fast rebinding", rebind: Some(50), seconds: 8, ..CLEAR },
    Profile {
        name: "rebinding, loss 10 %",
        weather: weather(10, 0, 10, 0),
        rebind: Some(500),
        seconds: 10,
        ..CLEAR
    },
    Profile { name: "flicker 1 s", flicker: Some((1000, 1000)), seconds: 12, ..CLEAR },
    Profile { name: "flicker 4 s", flicker: Some((4000, 500)), seconds: 20, ..CLEAR },
    dark("dark 1 s", 1),
    dark("dark 9 s", 9),
    dark("dark 12 s", 12),
    dark("dark 16 s", 16),
    dark("dark 20 s", 20),
    dark("dark 29 s", 29),
    dark("dark 40 s", 40),
    dark("dark 60 s", 60),
];

/// Lets the bad weather pass by.
async fn storm(profile: &Profile, proxy: &Proxy) {
    let end = Instant::now() + Duration::from_secs(profile.seconds);
    let mut rebind = Instant::now();
    let mut turn = Instant::now();
    let mut dark = profile.weather.dark;
    while Instant::now() < end {
        if let Some((off, on)) = profile.flicker
            && Instant::now() >= turn
        {
            dark = !dark;
            turn = Instant::now() + Duration::from_millis(if dark { off } else { on });
        }
        if let Some(every) = profile.rebind
            && Instant::now() >= rebind
        {
            proxy.rebind();
            rebind = Instant::now() + Duration::from_millis(every);
        }
        proxy.set(Weather { dark, ..profile.weather });
        sleep(Duration::from_millis(10)).await;
    }
    proxy.set(Weather::GOOD);
}

/// Talks until told to stop; answers what was said.
async fn talk(bot: &Bot, group: &str, words: &str, until: &std::cell::Cell<bool>) -> Vec<String> {
    let mut said = Vec::new();
    while !until.get() {
        let text = format!("{words} {}", said.len());
        bot.say(group, &text).await;
        said.push(text);
        sleep(PACE).await;
    }
    said
}

/// Waits for as many texts as were said, then compares them.
async fn everything_is_heard(bot: &Bot, tail: &str, group: &str, said: &[String], limit: Duration) {
    wait_for("everything that was said", limit, || async {
        (bot.heard(tail, group).await.len() >= said.len()).then_some(())
    })
    .await;
    assert_eq!(bot.heard(tail, group).await, said, "each once, in order");
}

struct World {
    _dir: TempDir,
    _node: quicproquo_tests::Running,
    _gateway: quicproquo_tests::Running,
    proxy: Proxy,
    alice: Bot,
    bob: Bot,
    group: String,
}

impl World {
    async fn new(rng: fastrand::Rng) -> Self {
        let dir = TempDir::new().expect("a directory");
        let node = Launch::node(&dir.path().join("node")).log("warn").start().await;
        let proxy = Proxy::start(node.field("node").parse().expect("an address"), rng);
        let gateway = Launch::gateway(&dir.path().join("gateway"), &node)
            .arg("--node", &proxy.address().to_string())
            .log("warn,quicproquo_client=debug")
            .start()
            .await;
        let (alice, bob, group) = pair(&gateway).await;
        Self { _dir: dir, _node: node, _gateway: gateway, proxy, alice, bob, group }
    }

    /// Everything that is said in bad weather is heard; answers how soon after its end.
    async fn weather(&self, profile: &Profile) -> Duration {
        let Self { proxy, alice, bob, group, .. } = self;
        let (alices, bobs) = (alice.tail().await, bob.tail().await);
        let over = std::cell::Cell::new(false);
        let storm = async {
            storm(profile, proxy).await;
            over.set(true);
            Instant::now()
        };
        let talk = (talk(alice, group, "over", &over), talk(bob, group, "back", &over));
        let (over, back, good) = tokio::join!(talk.0, talk.1, storm);
        everything_is_heard(bob, &bobs, group, &over, LONG).await;
        everything_is_heard(alice, &alices, group, &back, LONG).await;
        let healed = good.elapsed();
        let said = over.len() + back.len();
        say(&format!("{}: {said} messages, healed after {healed:.1?}", profile.name));
        healed
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_network_loses_nothing_and_heals() {
    let world = World::new(part(seed("bad_network"), 0)).await;
    // One of either form, for people who look into it.
    let wanted = word("QPQ_PROFILE");
    let all = FAST.iter().map(|profile| (profile, true));
    let all = all.chain(LONG_FORM.iter().map(|profile| (profile, is_long())));
    // What is late is said after the last, so that one run tells of all of them.
    let mut late = Vec::new();
    for (profile, runs) in all {
        if wanted.as_ref().map_or(runs, |wanted| profile.name.contains(wanted.as_str())) {
            let healed = world.weather(profile).await;
            if healed > HEALED {
                late.push((profile.name, healed));
            }
        }
    }
    assert!(late.is_empty(), "healed later than {HEALED:?}: {late:.1?}");
    if wanted.is_some() {
        return;
    }
    let counts = world.proxy.counts();
    say(&format!("{counts:?}"));
    for (what, count) in [
        ("lost", &counts.lost),
        ("doubled", &counts.doubled),
        ("overtaken", &counts.overtaken),
        ("rebound", &counts.rebound),
    ] {
        assert!(count.load(Ordering::Relaxed) > 0, "no datagram was {what}: {counts:?}");
    }
}

/// The control: what is said passes through the proxy and no other way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_darkness_nothing_arrives() {
    let world = World::new(part(seed("bad_network control"), 0)).await;
    let tail = world.bob.tail().await;
    world.proxy.set(DARK);
    let sent = world.alice.say(&world.group, "lost?").await;
    assert_eq!(sent["delivery"]["state"], "queued");
    let lost = || world.proxy.counts().lost.load(Ordering::Relaxed);
    wait_for("datagrams to be lost", LONG, || async { (lost() >= 4).then_some(()) }).await;
    assert_eq!(world.bob.heard(&tail, &world.group).await, Vec::<String>::new());
    world.proxy.set(Weather::GOOD);
    everything_is_heard(&world.bob, &tail, &world.group, &["lost?".to_owned()], HEALED).await;
}
