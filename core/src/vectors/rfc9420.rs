//! The MLS working group's vectors for RFC 9420 (`core/tests/vectors/rfc9420`): clients that follow
//! a group, on our storage and loaded anew from its rows for each step; and encodings.

mod encodings;
mod follower;

use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use follower::Follower;

/// A client that is invited, and what happens then.
#[derive(Deserialize)]
struct Scenario {
    cipher_suite: u16,
    external_psks: Vec<Psk>,
    key_package: Bytes,
    encryption_priv: Bytes,
    init_priv: Bytes,
    welcome: Bytes,
    ratchet_tree: Option<Bytes>,
    initial_epoch_authenticator: Bytes,
    epochs: Vec<Epoch>,
}

#[derive(Deserialize)]
struct Psk {
    psk_id: Bytes,
    psk: Bytes,
}

#[derive(Deserialize)]
struct Epoch {
    proposals: Vec<Bytes>,
    commit: Bytes,
    #[serde(rename = "epoch_authenticator")]
    authenticator: Bytes,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Bytes(Vec<u8>);

impl TryFrom<String> for Bytes {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        hex::decode(text).map(Self)
    }
}

fn read<T: DeserializeOwned>(json: &str) -> Vec<T> {
    serde_json::from_str(json).unwrap()
}

/// Follows every scenario; answers how many epochs there were.
fn follow(json: &str) -> (usize, usize) {
    let (mut scenarios, mut epochs) = (0, 0);
    for scenario in read::<Scenario>(json) {
        assert_eq!(scenario.cipher_suite, 1);
        let mut follower = Follower::join(&scenario);
        assert_eq!(follower.authenticator(), scenario.initial_epoch_authenticator.0);
        for epoch in &scenario.epochs {
            for proposal in &epoch.proposals {
                follower.process(&proposal.0);
            }
            follower.process(&epoch.commit.0);
            assert_eq!(follower.authenticator(), epoch.authenticator.0);
        }
        scenarios += 1;
        epochs += scenario.epochs.len();
    }
    (scenarios, epochs)
}

#[test]
fn welcomes() {
    let json = include_str!("../../tests/vectors/rfc9420/passive-client-welcome.json");
    assert_eq!(follow(json), (8, 0));
}

#[test]
fn commits() {
    in_2023("vectors::rfc9420::commits", || {
        let json = include_str!("../../tests/vectors/rfc9420/passive-client-handling-commit.json");
        assert_eq!(follow(json), (13, 26));
    });
}

#[test]
fn random_changes() {
    in_2023("vectors::rfc9420::random_changes", || {
        let json = include_str!("../../tests/vectors/rfc9420/passive-client-random.json");
        assert_eq!(follow(json), (1, 20));
    });
}

/// The control: another tree, another key.
#[test]
#[should_panic(expected = "assertion `left == right` failed")]
fn a_wrong_authenticator_is_noticed() {
    let json = include_str!("../../tests/vectors/rfc9420/passive-client-welcome.json");
    let mut scenarios: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
    scenarios[0]["initial_epoch_authenticator"] =
        scenarios[1]["initial_epoch_authenticator"].clone();
    follow(&serde_json::to_string(&scenarios).unwrap());
}

/// Runs a test in a process whose clock stands in 2023: openmls checks the lifetime of who is added
/// by the system's clock, and the vectors' were over in March 2024.
#[expect(clippy::disallowed_methods, clippy::print_stderr, reason = "a test that starts itself")]
fn in_2023(name: &str, work: impl FnOnce()) {
    if std::env::var("QPQ_IN_2023").is_ok() {
        return work();
    }
    let mut command = Command::new("faketime");
    command.arg("2023-06-01 12:00:00").arg(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env("QPQ_IN_2023", "1");
    match command.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            let failed = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.contains("1 passed"), "{said}{failed}");
        }
        Err(error) => eprintln!("{name}: SKIPPED, there is no faketime: {error}"),
    }
}
