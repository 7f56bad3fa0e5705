//! A member that knows nothing of ours: bare openmls with ciphersuite 0x0001, envelopes of version
//! 1, contents of version 1, one `enqueue` per recipient, an operator's token.

use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use openmls::group::{MlsGroup, MlsGroupJoinConfig, StagedWelcome};
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    BasicCredential, Capabilities, Ciphersuite, CredentialWithKey, KeyPackage, LeafNodeParameters,
    MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, ProcessedMessageContent, SignatureScheme,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::signatures::{Signer, SignerError};
use quicproquo_client::{
    ClientConfig, Cursor, EventData, GroupId, NewGroup, NodeAddress, Options, Outgoing, Profile,
    Session, Suite, Trust,
};
use quicproquo_core::{HybridPublic, HybridSecret, envelope};
use quicproquo_tests::{Launch, Running, within};
use tempfile::TempDir;

use super::client::put;
use super::{Client, LONG, run, token_for};

const CIPHERSUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;

struct Key(SigningKey);

impl Signer for Key {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// The foreign member.
struct Peer {
    key: Key,
    hybrid: HybridSecret,
    provider: OpenMlsRustCrypto,
    group: Option<MlsGroup>,
    client: Client,
    token: Vec<u8>,
    heard: Vec<String>,
}

impl Peer {
    /// Uploads a key package and a hybrid key.
    async fn come(node: &Running, data: &std::path::Path) -> Self {
        let key = Key(SigningKey::from_bytes(&[9; 32]));
        let provider = OpenMlsRustCrypto::default();
        let identity = key.0.verifying_key().to_bytes();
        let token = token_for(data, &identity).await;
        let client = Client::connect(node).await;
        let credential = CredentialWithKey {
            credential: BasicCredential::new(identity.to_vec()).into(),
            signature_key: identity.to_vec().into(),
        };
        let package = KeyPackage::builder()
            .leaf_node_capabilities(Capabilities::new(None, Some(&[CIPHERSUITE]), None, None, None))
            .build(CIPHERSUITE, &provider, &key, credential)
            .expect("a key package");
        let package = package.key_package().tls_serialize_detached().expect("bytes");
        let mut request = client.service.upload_key_package_request();
        request.get().set_identity_key(&identity);
        request.get().set_package(&package);
        put(request.get().init_auth(), &token);
        request.send().promise.await.expect("the package is taken");
        let hybrid = HybridSecret::generate().expect("a key");
        let mut request = client.service.upload_hybrid_key_request();
        request.get().set_identity_key(&identity);
        request.get().set_hybrid_public_key(hybrid.public().as_bytes());
        put(request.get().init_auth(), &token);
        request.send().promise.await.expect("the key is taken");
        Self { key, hybrid, provider, group: None, client, token, heard: Vec::new() }
    }

    fn identity(&self) -> [u8; 32] {
        self.key.0.verifying_key().to_bytes()
    }

    /// Takes what has come until it has heard a text.
    async fn hear(&mut self, text: &str) {
        let hearing = async {
            while !self.heard.iter().any(|heard| heard == text) {
                let wait = Duration::from_secs(5);
                let rows = self.client.fetch_wait(&self.token, &self.identity(), wait).await;
                for (_, payload) in rows.expect("rows") {
                    self.take(&payload);
                }
            }
        };
        within(text, LONG, hearing).await;
    }

    fn take(&mut self, payload: &[u8]) {
        assert_eq!(payload[0], 1, "it knows envelopes of version 1 alone");
        let bytes = envelope::open(std::slice::from_ref(&self.hybrid), payload).expect("for it");
        let message = MlsMessageIn::tls_deserialize_exact(&bytes[..]).expect("a message");
        let provider = &self.provider;
        match message.extract() {
            MlsMessageBodyIn::Welcome(welcome) => {
                let config = MlsGroupJoinConfig::default();
                let staged = StagedWelcome::new_from_welcome(provider, &config, welcome, None);
                self.group = Some(staged.expect("for it").into_group(provider).expect("a group"));
            }
            body => {
                let group = self.group.as_mut().expect("it is in the group");
                let message = match body {
                    MlsMessageBodyIn::PrivateMessage(message) => message.into(),
                    MlsMessageBodyIn::PublicMessage(message) => message.into(),
                    _ => panic!("another kind of message"),
                };
                let message: openmls::prelude::ProtocolMessage = message;
                let processed = group.process_message(provider, message).expect("it is valid");
                match processed.into_content() {
                    ProcessedMessageContent::ApplicationMessage(content) => {
                        self.heard.push(text_of(&content.into_bytes()));
                    }
                    ProcessedMessageContent::StagedCommitMessage(staged) => {
                        group.merge_staged_commit(provider, *staged).expect("it merges");
                    }
                    _ => {}
                }
            }
        }
    }

    async fn say(&mut self, text: &str) {
        // Version, type, id, text.
        let mut content = vec![1, 1];
        content.extend(fastrand::u128(..).to_be_bytes());
        content.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
        content.extend(text.as_bytes());
        let group = self.group.as_mut().expect("it is in the group");
        let message = group.create_message(&self.provider, &self.key, &content).expect("bytes");
        self.fan_out(&message).await;
    }

    /// New keys of its own; merged at once, as it knows no order of the queues.
    async fn update(&mut self) {
        let group = self.group.as_mut().expect("it is in the group");
        let parameters = LeafNodeParameters::default();
        let bundle = group.self_update(&self.provider, &self.key, parameters).expect("a commit");
        let commit = bundle.commit().clone();
        group.merge_pending_commit(&self.provider).expect("it merges");
        self.fan_out(&commit).await;
    }

    /// To each other member by itself.
    async fn fan_out(&self, message: &MlsMessageOut) {
        let bytes = message.tls_serialize_detached().expect("bytes");
        let group = self.group.as_ref().expect("it is in the group");
        for member in group.members() {
            let to = member.signature_key;
            if to == self.identity() {
                continue;
            }
            let mut request = self.client.service.fetch_hybrid_key_request();
            request.get().set_identity_key(&to);
            put(request.get().init_auth(), &self.token);
            let answer = request.send().promise.await.expect("an answer");
            let answer = answer.get().expect("an answer");
            let key = answer.get_hybrid_public_key().expect("bytes");
            let key = HybridPublic::from_slice(key).expect("a key");
            let payload = envelope::seal_v1(&key, &bytes).expect("sealed");
            self.client.enqueue(&self.token, &to, &payload).await.expect("queued");
        }
    }
}

/// The text of a content of version 1.
fn text_of(content: &[u8]) -> String {
    assert_eq!(content[..2], [1, 1], "a chat message of version 1");
    let length = usize::from(u16::from_be_bytes([content[18], content[19]]));
    String::from_utf8(content[20..20 + length].to_vec()).expect("UTF-8")
}

fn text(body: &str) -> Outgoing {
    let body = serde_json::json!({ "body": body });
    Outgoing { kind: "text".into(), body, relates_to: None }
}

fn patient() -> Options {
    Options { wait: LONG, ..Options::default() }
}

async fn until(session: &Session, fits: impl Fn(&EventData) -> bool) {
    let mut tail = session.tail();
    let looking = async {
        loop {
            tail.borrow_and_update();
            let page = session.events(Cursor::default(), 1000).await.expect("events");
            if page.items.iter().any(|event| fits(&event.data)) {
                return;
            }
            tail.changed().await.expect("the session lives");
        }
    };
    within("an event", LONG, looking).await;
}

async fn hears(session: &Session, said: &str) {
    until(session, |event| {
        matches!(event, EventData::MessageReceived(message) if message.body["body"] == said)
    })
    .await;
}

async fn invited(session: &Session, group: &GroupId) {
    until(session, |event| {
        matches!(event, EventData::InvitationReceived(invitation) if invitation.id == *group)
    })
    .await;
}

#[test]
fn a_member_that_knows_only_the_published_formats_talks_in_a_plain_group() {
    run(async {
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("node");
        let node = Launch::node(&data).start().await;
        let mut fingerprint = [0; 32];
        hex::decode_to_slice(node.field("node_fingerprint"), &mut fingerprint).unwrap();
        let address = NodeAddress {
            addr: node.field("node").parse().unwrap(),
            server_name: "localhost".into(),
            trust: Trust::Fingerprint(fingerprint),
        };
        let config = ClientConfig::new(dir.path().join("ours"), address);
        let config = ClientConfig { key_package_stock: 4, ..config };
        let ours = quicproquo_client::Client::open(config).await.unwrap();
        let alice = ours.create(None).await.unwrap();
        let bob = ours.create(None).await.unwrap();
        alice.claim_name("alice").await.unwrap();
        bob.claim_name("bob").await.unwrap();
        let mut peer = Peer::come(&node, &data).await;

        let new = NewGroup {
            name: String::new(),
            topic: String::new(),
            members: vec![bob.identity(), quicproquo_client::IdentityKey::new(peer.identity())],
            suite: Suite::Envelope,
            profile: Profile::Plain,
        };
        let group = alice.create_group(new, patient()).await.unwrap().value.group.id;
        invited(&bob, &group).await;
        bob.accept(group.clone()).await.unwrap();

        alice.send(group.clone(), text("hello"), patient()).await.unwrap();
        peer.hear("hello").await;
        hears(&bob, "hello").await;
        peer.say("I know little").await;
        hears(&alice, "I know little").await;
        hears(&bob, "I know little").await;

        // Commits of ours and of its own.
        bob.update_keys(group.clone(), patient()).await.unwrap();
        bob.send(group.clone(), text("new keys"), patient()).await.unwrap();
        peer.hear("new keys").await;
        peer.update().await;
        peer.say("mine too").await;
        hears(&alice, "mine too").await;
        hears(&bob, "mine too").await;
        alice.send(group.clone(), text("and after that"), patient()).await.unwrap();
        peer.hear("and after that").await;
        hears(&bob, "and after that").await;
        ours.shutdown().await;
        node.stop().await;
    });
}
