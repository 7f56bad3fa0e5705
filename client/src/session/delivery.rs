//! What became of an own message.

use super::actor::Actor;
use super::unit::Unit;
use crate::model::{DeliveryState, Outcome};
use crate::store::StoredMessage;

impl Actor {
    /// The node has the message, or there is nobody to send it to.
    pub(super) fn message_sent(&mut self, mut message: StoredMessage, unit: &mut Unit) {
        message.delivery = DeliveryState::Sent;
        self.message_over(&message, "message.sent", unit);
    }

    pub(super) fn fail_message(
        &mut self,
        counter: u64,
        mut message: StoredMessage,
        reason: &str,
        unit: &mut Unit,
    ) {
        self.outbox.remove(&counter);
        unit.batch.drop_outbox(self.owner, counter);
        message.delivery = DeliveryState::Failed { reason: reason.to_owned() };
        self.message_over(&message, "message.failed", unit);
    }

    fn message_over(&mut self, message: &StoredMessage, event: &'static str, unit: &mut Unit) {
        let (owner, seq) = (self.owner, message.seq);
        let (epoch, recipients) = (message.epoch, message.recipients);
        unit.batch.message_state(owner, seq, epoch, recipients, &message.delivery);
        self.said.remove(seq);
        self.tell_over(message, event, unit);
        unit.messages.insert(seq, message.clone());
        let own = self.identity.key();
        for (reply, replayed) in self.waits.sends.remove(&seq).unwrap_or_default() {
            let value = message.clone().into_message(&own, &self.names);
            unit.reply(reply, Ok(Outcome { value, replayed }));
        }
    }
}
