//! Key packages: published and claimed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use quicproquo_core::kem::HybridSecret;
use quicproquo_core::key_package::KeyPackages;
use quicproquo_core::provider::MlsStore;
use quicproquo_core::suite::Suite;

use super::peer::{Peer, Peers};
use super::slots::{self, Limit};
use super::{BenchError, Crowd, Measured};
use crate::clock::now_secs;

/// Their ciphersuite.
const SUITE: Suite = Suite::Envelope;

/// Valid one-time key packages of a crowd's members; the private halves are gone.
#[derive(Debug, Clone)]
pub struct Packages(Arc<Vec<Vec<Vec<u8>>>>);

impl Packages {
    /// Makes `each` packages of every member. Takes about 0.2 ms for each; blocks.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate(crowd: &Crowd, each: usize) -> Result<Self, BenchError> {
        Self::of(SUITE, crowd, each)
    }

    /// The same for a ciphersuite; [`super::NodeBench::claim`] knows only the one of the envelope.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn of(suite: Suite, crowd: &Crowd, each: usize) -> Result<Self, BenchError> {
        let hybrid = HybridSecret::generate().map_err(BenchError::new)?;
        let of = |identity: &Arc<quicproquo_core::identity::Identity>| {
            let (public, now, store) = (hybrid.public(), now_secs(), MlsStore::new());
            let made = KeyPackages::generate(identity, suite, each, false, public, now, &store);
            Ok(made.map_err(BenchError::new)?.into_iter().map(|package| package.bytes).collect())
        };
        Ok(Self(Arc::new(crowd.0.iter().map(of).collect::<Result<_, BenchError>>()?)))
    }
}

/// Publishes everybody's own packages; one operation is one call.
pub(super) async fn publish(
    peers: Rc<Peers>,
    packages: Packages,
    in_call: usize,
    in_flight: usize,
) -> Result<Measured, BenchError> {
    let mut calls = VecDeque::new();
    for (owner, own) in packages.0.iter().enumerate() {
        let mut first = 0;
        while first < own.len() {
            let end = own.len().min(first + in_call);
            calls.push_back((owner, first, end));
            first = end;
        }
    }
    // Owners take turns.
    calls.make_contiguous().sort_by_key(|(owner, first, _)| (*first, *owner));
    let total = calls.len();
    let calls = Rc::new(RefCell::new(calls));
    let call = move |_| {
        let (peers, packages, calls) = (Rc::clone(&peers), packages.clone(), Rc::clone(&calls));
        async move {
            let next = calls.borrow_mut().pop_front();
            match next {
                Some((owner, first, end)) => {
                    publish_some(&peers.all[owner], &packages.0[owner][first..end]).await
                }
                None => Ok(()),
            }
        }
    };
    slots::run(in_flight, Limit::Count(total), call).await
}

async fn publish_some(peer: &Peer, packages: &[Vec<u8>]) -> Result<(), BenchError> {
    let mut request = peer.session.publish_key_packages_request();
    let count = u32::try_from(packages.len()).unwrap_or(u32::MAX);
    let mut list = request.get().init_one_time(count);
    for (index, package) in (0..).zip(packages) {
        list.set(index, package);
    }
    request.send().promise.await?;
    Ok(())
}

/// Each slot claims of all members in turn.
pub(super) async fn claim(
    peers: Rc<Peers>,
    total: usize,
    in_flight: usize,
) -> Result<Measured, BenchError> {
    let turn = Rc::new(Cell::new(0));
    let call = move |slot: usize| {
        let (peers, turn) = (Rc::clone(&peers), Rc::clone(&turn));
        async move {
            let target = turn.replace(turn.get() + 1) % peers.all.len();
            let claimer = &peers.all[slot % peers.all.len()];
            claim_one(claimer, &peers.all[target]).await
        }
    };
    slots::run(in_flight, Limit::Count(total), call).await
}

async fn claim_one(claimer: &Peer, target: &Peer) -> Result<(), BenchError> {
    let mut request = claimer.session.claim_key_packages_request();
    let mut params = request.get();
    params.set_ciphersuite(SUITE.code());
    params.init_identities(1).set(0, target.identity.key().as_bytes());
    let response = request.send().promise.await?;
    if response.get()?.get_packages()?.get(0)?.is_empty() {
        return Err(BenchError::new("the node has no key package left"));
    }
    Ok(())
}
