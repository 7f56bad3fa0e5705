//! What the node in memory keeps of one identity, and how it serves requests.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use quicproquo_core::identity::IdentityKey;
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::SendId;
use tokio::sync::oneshot;

use super::node::{Link, State};
use crate::rpc::{
    Answer, Delivery, DeliveryResult, Request, Row, RowContent, RpcError, Sent, Stock, refuse,
};

/// Tells a session what it has asked for.
pub(super) type Reply = Box<dyn FnOnce() + Send>;

/// What is kept of an identity.
#[derive(Default)]
pub(super) struct Account {
    pub(super) rows: VecDeque<Row>,
    pub(super) newest: u64,
    pub(super) acked_up_to: u64,
    /// The newest row that was pushed on any link.
    pub(super) ever_pushed: u64,
    pub(super) last_send: SendId,
    sends: HashMap<SendId, Sent>,
    packages: BTreeMap<u16, Packages>,
    names: Vec<String>,
    /// The published key; empty: none.
    hybrid: Vec<u8>,
    pub(super) link: Option<Link>,
    /// Requests of links that are gone, which may still arrive until the next one comes.
    pub(super) ghosts: VecDeque<Request>,
    pub(super) cut_off: bool,
    /// Nothing more is taken for it.
    pub(super) full: bool,
    /// Sends that were refused for now and have not come again.
    refused: BTreeSet<u64>,
    /// A promise that is broken: what was pushed counts as acknowledged.
    pub(super) careless: bool,
    /// How many of the next sends are refused for now.
    pub(super) refusing: u32,
    /// How many of the next sends are refused for good.
    pub(super) rejecting: u32,
}

/// By what an old copy of an identity's state is noticed.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    last_send: SendId,
    acked_up_to: u64,
}

#[derive(Default)]
struct Packages {
    one_time: VecDeque<Vec<u8>>,
    last_resort: Option<Vec<u8>>,
}

impl Account {
    fn stock(&self) -> Vec<Stock> {
        let stock = self.packages.iter().map(|(ciphersuite, packages)| Stock {
            ciphersuite: *ciphersuite,
            one_time: u32::try_from(packages.one_time.len()).unwrap_or(u32::MAX),
            has_last_resort: packages.last_resort.is_some(),
        });
        stock.collect()
    }

    /// Breaks a promise: what became of sends is not known any more.
    pub(super) fn forget_sends(&mut self) {
        self.sends.clear();
    }

    pub(super) fn known(&self) -> Known {
        Known { last_send: self.last_send, acked_up_to: self.acked_up_to }
    }

    /// Breaks a promise: what an identity has done since is not known any more.
    pub(super) fn forget_since(&mut self, known: Known) {
        self.last_send = known.last_send;
        self.acked_up_to = known.acked_up_to;
        self.sends.clear();
    }

    /// A new Session: what a former one was refused need not come again.
    pub(super) fn begin_session(&mut self) {
        self.ghosts.clear();
        self.refused.clear();
    }

    /// Of key packages only those of last resort are left.
    pub(super) fn keep_last_resorts(&mut self) {
        self.packages.values_mut().for_each(|packages| packages.one_time.clear());
    }

    /// Nobody can add the identity until it has published again.
    pub(super) fn forget_key_packages(&mut self) {
        self.packages.clear();
    }

    pub(super) fn append(&mut self, content: RowContent) {
        self.newest += 1;
        self.rows.push_back(Row { seq: self.newest, content });
    }

    /// Losses one after the other are one gap.
    fn lose(&mut self) {
        if let Some(Row { content: RowContent::Gap(lost), .. }) = self.rows.back_mut() {
            *lost += 1;
        } else {
            self.append(RowContent::Gap(1));
        }
    }
}

impl State {
    /// Does what a request asks for; says what that was, and how to answer it.
    pub(super) fn serve(&mut self, from: &IdentityKey, request: Request) -> (String, Reply) {
        match request {
            Request::Send { id, deliveries, body, answer } => {
                let (said, result) = self.send(from, id, &deliveries, &body);
                (said, reply(answer, result))
            }
            Request::SendResult { id, answer } => {
                let account = self.account(from);
                account.refused.remove(&id.counter);
                let result = account.sends.get(&id).cloned();
                let known = if result.is_some() { "known" } else { "unknown" };
                let said = format!("is asked about send {} ({known})", id.counter);
                (said, reply(answer, Ok(result)))
            }
            Request::Ack { up_to, answer } => {
                let account = self.account(from);
                account.rows.retain(|row| row.seq > up_to);
                account.acked_up_to = account.acked_up_to.max(up_to);
                (format!("takes an acknowledgement of row {up_to}"), reply(answer, Ok(())))
            }
            Request::Drained { after, answer } => {
                let drained = self.account(from).rows.iter().all(|row| row.seq <= after);
                let said = if drained { "none" } else { "some" };
                (format!("has {said} behind row {after}"), reply(answer, Ok(drained)))
            }
            request => self.serve_directory(from, request),
        }
    }

    fn serve_directory(&mut self, from: &IdentityKey, request: Request) -> (String, Reply) {
        match request {
            Request::PublishKeyPackages { one_time, last_resort, replace, answer } => {
                let said = format!("takes {} key packages", one_time.len());
                let account = self.account(from);
                let package = one_time.first().or(last_resort.as_ref());
                if let Some(suite) = package.and_then(|package| suite_of(package)) {
                    let kept = account.packages.entry(suite).or_default();
                    if replace {
                        *kept = Packages::default();
                    }
                    kept.one_time.extend(one_time);
                    kept.last_resort = last_resort.or(kept.last_resort.take());
                }
                (said, reply(answer, Ok(account.stock())))
            }
            Request::KeyPackageStock { answer } => {
                let stock = self.account(from).stock();
                ("is asked for the stock of key packages".into(), reply(answer, Ok(stock)))
            }
            Request::ClaimKeyPackages { identities, ciphersuite, answer } => {
                let claimed = identities.iter().map(|identity| {
                    let packages = self.account(identity).packages.get_mut(&ciphersuite)?;
                    packages.one_time.pop_front().or_else(|| packages.last_resort.clone())
                });
                let claimed: Vec<_> = claimed.collect();
                let said = format!("gives {} key packages", claimed.iter().flatten().count());
                (said, reply(answer, Ok(claimed)))
            }
            Request::ClaimName { name, signature, answer } => {
                let owner = self.names.entry(name.clone()).or_insert((*from, signature.to_vec())).0;
                let result = if owner == *from {
                    let names = &mut self.account(from).names;
                    if !names.contains(&name) {
                        names.push(name.clone());
                    }
                    Ok(())
                } else {
                    Err(coded(ErrorCode::NameTaken))
                };
                (format!("is asked for the name {name}"), reply(answer, result))
            }
            Request::ResolveName { name, answer } => {
                let found = self.names.get(&name).cloned();
                (format!("is asked for the name {name}"), reply(answer, Ok(found)))
            }
            Request::NamesOf { identity, answer } => {
                let names = self.account(&identity).names.clone();
                ("is asked for the names of a member".into(), reply(answer, Ok(names)))
            }
            Request::FetchHybridKey { identity, answer } => {
                let key = self.account(&identity).hybrid.clone();
                ("is asked for a published key".into(), reply(answer, Ok(key)))
            }
            Request::UploadHybridKey { key, answer } => {
                self.account(from).hybrid = key;
                ("takes a hybrid key".into(), reply(answer, Ok(())))
            }
            other => {
                let said = format!("does not know {other:?}");
                (said, Box::new(move || refuse(other)))
            }
        }
    }

    fn send(
        &mut self,
        from: &IdentityKey,
        id: SendId,
        deliveries: &[Delivery],
        body: &[u8],
    ) -> (String, Result<Sent, RpcError>) {
        let counter = id.counter;
        let account = self.account(from);
        let held = account.refused.range(..counter).next().is_some();
        account.refused.remove(&counter);
        if let Some(sent) = account.sends.get(&id) {
            return (format!("knows send {counter} already"), Ok(sent.clone()));
        }
        if account.rejecting > 0 {
            account.rejecting -= 1;
            return (format!("refuses send {counter} for good"), Err(coded(ErrorCode::TooLarge)));
        }
        if held || account.refusing > 0 {
            account.refusing = account.refusing.saturating_sub(u32::from(!held));
            account.refused.insert(counter);
            let error = coded(ErrorCode::RateLimited);
            return (format!("refuses send {counter} for now"), Err(error));
        }
        if deliveries.iter().any(|to| to.recipient == *from) && account.full {
            account.refused.insert(counter);
            return (format!("refuses send {counter} for now"), Err(coded(ErrorCode::QueueFull)));
        }
        account.last_send = account.last_send.max(id);
        let own_next = account.newest + 1;
        let own_next = if self.old { 0 } else { own_next };
        let mut results = Vec::with_capacity(deliveries.len());
        for Delivery { recipient, prefix, include_body } in deliveries {
            let account = self.account(recipient);
            if account.full {
                account.lose();
                results.push(DeliveryResult::Full);
                continue;
            }
            let mut payload = prefix.clone();
            if *include_body {
                payload.extend_from_slice(body);
            }
            account.append(RowContent::Payload(payload));
            results.push(DeliveryResult::Queued);
        }
        let sent = Sent { results, own_next };
        self.account(from).sends.insert(id, sent.clone());
        let to: Vec<_> = deliveries.iter().map(|to| self.name(&to.recipient)).collect();
        (format!("takes send {counter} for {}", to.join(", ")), Ok(sent))
    }
}

/// The ciphersuite of a key package, which follows its version (RFC 9420, section 10).
fn suite_of(package: &[u8]) -> Option<u16> {
    let suite = package.get(2..4)?;
    Some(u16::from_be_bytes([suite[0], suite[1]]))
}

fn coded(code: ErrorCode) -> RpcError {
    RpcError::Coded { code, text: format!("{code}: as the simulation wants it") }
}

fn reply<T: Send + 'static>(answer: Answer<T>, result: Result<T, RpcError>) -> Reply {
    let answer: oneshot::Sender<_> = answer;
    Box::new(move || drop(answer.send(result)))
}
