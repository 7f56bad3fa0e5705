//! Names: claimed at the node, verified by signature, pinned on first use.

use std::collections::BTreeSet;
use std::time::Duration;

use quicproquo_core::identity::{self, IdentityKey, name_claim_bytes};
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::is_name;

use super::Reply;
use super::actor::Actor;
use super::input::Input;
use super::unit::Unit;
use crate::error::SessionError;
use crate::event::EventData;
use crate::model::LinkState;
use crate::rpc::{Request, RpcError};
use crate::store::{Handover, Pin};

/// How long a claim waits for the link and the first key packages.
const PATIENCE: Duration = Duration::from_secs(10);

/// Questions for names that are out at once.
const NAMES_AT_ONCE: usize = 4;

impl Actor {
    pub(super) fn claim_name(&mut self, name: String, reply: Reply<()>, unit: &mut Unit) {
        if let Some(error) = self.refusal() {
            return unit.reply(reply, Err(error));
        }
        if !is_name(&name) {
            return unit.reply(reply, Err(SessionError::NameInvalid));
        }
        if let LinkState::Refused(text) = &self.uplink.state
            && let Some(code) = ErrorCode::find(text)
        {
            return unit.reply(reply, Err(refused(code, text)));
        }
        if self.uplink.up && self.uplink.published {
            self.request_name(name, reply);
        } else {
            self.after(PATIENCE, Input::NameWaited(name.clone()));
            self.waiting_names.push((name, reply));
        }
    }

    /// The link is up and key packages are there.
    pub(super) fn claim_waiting_names(&mut self) {
        for (name, reply) in std::mem::take(&mut self.waiting_names) {
            self.request_name(name, reply);
        }
    }

    fn request_name(&mut self, name: String, reply: Reply<()>) {
        let Ok(claim) = name_claim_bytes(&name, &self.identity.key()) else {
            let _ = reply.send(Err(SessionError::NameInvalid));
            return;
        };
        let signature = self.identity.sign(&claim);
        let asked = name.clone();
        let request = |answer| Request::ClaimName { name: asked, signature, answer };
        let input = move |result| Input::NameClaimed { name, reply, result };
        self.jobs.push(self.uplink.ask(request, input));
    }

    pub(super) fn name_claimed(
        &mut self,
        name: String,
        reply: Reply<()>,
        result: Result<(), RpcError>,
        unit: &mut Unit,
    ) {
        let result = result.map_err(|error| match error {
            RpcError::Coded { code: ErrorCode::NameTaken, .. } => SessionError::NameTaken,
            RpcError::Coded { code: ErrorCode::BadName, .. } => SessionError::NameInvalid,
            RpcError::Coded { code: ErrorCode::TooManyNames, .. } => SessionError::TooManyNames,
            error => error.into(),
        });
        if result.is_ok() {
            self.pin(name, self.identity.key(), Handover::None, unit);
        }
        unit.reply(reply, result);
    }

    pub(super) fn name_waited(&mut self, name: &str, unit: &mut Unit) {
        let place = self.waiting_names.iter().position(|(waiting, _)| waiting == name);
        if let Some(place) = place {
            let (_, reply) = self.waiting_names.swap_remove(place);
            unit.reply(reply, Err(SessionError::NodeUnreachable));
        }
    }

    pub(super) fn refuse_names(&mut self, code: ErrorCode, text: &str, unit: &mut Unit) {
        for (_, reply) in std::mem::take(&mut self.waiting_names) {
            unit.reply(reply, Err(refused(code, text)));
        }
    }

    pub(super) fn resolve(&mut self, name: String, reply: Reply<IdentityKey>, unit: &mut Unit) {
        if !is_name(&name) {
            return unit.reply(reply, Err(SessionError::NameInvalid));
        }
        self.look_up(name, Some(reply));
    }

    fn look_up(&self, name: String, reply: Option<Reply<IdentityKey>>) {
        let asked = name.clone();
        let request = |answer| Request::ResolveName { name: asked, answer };
        let input = move |result| Input::NameResolved { name, reply, result };
        self.jobs.push(self.uplink.ask(request, input));
    }

    pub(super) fn name_resolved(
        &mut self,
        name: String,
        reply: Option<Reply<IdentityKey>>,
        result: Result<Option<(IdentityKey, Vec<u8>)>, RpcError>,
        unit: &mut Unit,
    ) {
        let verified = match result {
            Ok(Some((key, signature))) => {
                let signed = name_claim_bytes(&name, &key).ok();
                let good = signed
                    .is_some_and(|signed| identity::verify(&key, &signed, &signature).is_ok());
                if good { Ok(key) } else { Err(SessionError::NameUnknown(name.clone())) }
            }
            Ok(None) => Err(SessionError::NameUnknown(name.clone())),
            // What was pinned before is good enough while the node is away.
            Err(RpcError::Unavailable(_)) => {
                self.names.pinned(&name).ok_or(SessionError::NodeUnreachable)
            }
            Err(error) => Err(error.into()),
        };
        if let Ok(key) = verified {
            match self.names.pinned(&name) {
                Some(known) if known == key => {}
                None => self.pin(name, key, Handover::None, unit),
                Some(from) => {
                    let data = EventData::IdentityChanged { name: name.clone(), from, to: key };
                    self.emit(unit, None, data);
                    self.pin(name, key, Handover::Seen, unit);
                }
            }
        }
        if let Some(reply) = reply {
            unit.reply(reply, verified);
        }
    }

    fn pin(&mut self, name: String, identity: IdentityKey, handover: Handover, unit: &mut Unit) {
        let pin = Pin { name, identity, handover, at_ms: unit.now_ms };
        let former = self.names.pinned(&pin.name).filter(|former| *former != identity);
        self.names.insert(&pin);
        unit.batch.pin(self.owner, &pin);
        self.names.meet(&identity, unit.now_ms);
        for changed in former.iter().chain([&identity]) {
            self.write_trust(changed, unit);
        }
    }

    /// Asks for the names of members that have none here, once each and a few at a time: the node
    /// refuses too many calls at once, and others matter more.
    pub(super) fn ask_names(&mut self) {
        if !self.uplink.up {
            return;
        }
        let members = self.groups.values().flat_map(|slot| &slot.record.members);
        let unknown: BTreeSet<_> = members
            .map(|(identity, _)| *identity)
            .filter(|identity| self.names.name(identity).is_none())
            .filter(|identity| !self.asked_names.contains(identity))
            .take(NAMES_AT_ONCE.saturating_sub(self.asking_names))
            .collect();
        for identity in unknown {
            self.asked_names.insert(identity);
            self.asking_names += 1;
            let request = |answer| Request::NamesOf { identity, answer };
            let input = move |result| Input::Names { identity, result };
            self.jobs.push(self.uplink.ask(request, input));
        }
    }

    /// A name counts once its signature does.
    pub(super) fn names_known(
        &mut self,
        identity: IdentityKey,
        result: Result<Vec<String>, RpcError>,
    ) {
        self.asking_names -= 1;
        let Ok(names) = result else {
            // Asked again when the link is back or a group changes.
            self.asked_names.remove(&identity);
            return;
        };
        self.ask_names();
        let first = names.into_iter().next();
        if let Some(name) = first.filter(|name| is_name(name)) {
            self.look_up(name, None);
        }
    }
}

/// `text` is that of the exception; what comes after the code is for people.
fn refused(code: ErrorCode, text: &str) -> SessionError {
    let reason = text.rsplit_once(&format!("{code}: ")).map_or(text, |(_, reason)| reason);
    match code {
        ErrorCode::RegistrationRefused | ErrorCode::Banned => {
            SessionError::RegistrationRefused(reason.to_owned())
        }
        code => SessionError::NodeRefused(format!("{code}: {reason}")),
    }
}
