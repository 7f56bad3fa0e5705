//! Delivery: send, its result, acknowledge.

use quicproquo_schemas::id::SendId;
use quicproquo_schemas::session_capnp::{delivery_result, send_id};

use super::link::Live;
use super::{Answer, Delivery, DeliveryResult, Sent};

pub(super) fn send(
    live: &Live,
    id: SendId,
    deliveries: &[Delivery],
    body: &[u8],
    answer: Answer<Sent>,
) {
    let mut request = live.session.send_request();
    let mut params = request.get();
    set_id(params.reborrow().init_id(), id);
    params.set_body(body);
    let count = u32::try_from(deliveries.len()).unwrap_or(u32::MAX);
    let mut list = params.init_deliveries(count);
    for (index, delivery) in (0..).zip(deliveries) {
        let mut entry = list.reborrow().get(index);
        entry.set_recipient_key(delivery.recipient.as_bytes());
        entry.set_prefix(&delivery.prefix);
        entry.set_include_body(delivery.include_body);
    }
    let promise = request.send().promise;
    tokio::task::spawn_local(async move {
        let result = async {
            let response = promise.await?;
            let sent = response.get()?;
            let (results, own_next) = (results(sent.get_results()?)?, sent.get_own_next());
            Ok(Sent { results, own_next })
        };
        let result: Result<_, capnp::Error> = result.await;
        let _ = answer.send(result.map_err(Into::into));
    });
}

pub(super) fn send_result(live: &Live, id: SendId, answer: Answer<Option<Sent>>) {
    let mut request = live.session.send_result_request();
    set_id(request.get().init_id(), id);
    let promise = request.send().promise;
    tokio::task::spawn_local(async move {
        let result = async {
            let response = promise.await?;
            let known = response.get()?;
            if !known.get_known() {
                return Ok(None);
            }
            let (results, own_next) = (results(known.get_results()?)?, known.get_own_next());
            Ok(Some(Sent { results, own_next }))
        };
        let result: Result<_, capnp::Error> = result.await;
        let _ = answer.send(result.map_err(Into::into));
    });
}

/// Lost acknowledgements do no harm: the rows come again and are known.
pub(super) fn ack(live: &Live, up_to: u64, answer: Answer<()>) {
    let mut request = live.session.ack_request();
    request.get().set_seq_up_to(up_to);
    let promise = request.send().promise;
    tokio::task::spawn_local(async move {
        let _ = answer.send(promise.await.map(drop).map_err(Into::into));
    });
}

/// Peeks for one row behind a position.
pub(super) fn drained(live: &Live, after: u64, answer: Answer<bool>) {
    let mut request = live.session.peek_request();
    request.get().set_after(after);
    request.get().set_limit(1);
    let promise = request.send().promise;
    tokio::task::spawn_local(async move {
        let result = async { Ok(promise.await?.get()?.get_rows()?.is_empty()) };
        let result: Result<_, capnp::Error> = result.await;
        let _ = answer.send(result.map_err(Into::into));
    });
}

fn set_id(mut builder: send_id::Builder<'_>, id: SendId) {
    builder.set_incarnation(id.incarnation);
    builder.set_counter(id.counter);
}

fn results(
    list: capnp::struct_list::Reader<'_, delivery_result::Owned>,
) -> Result<Vec<DeliveryResult>, capnp::Error> {
    list.iter()
        .map(|result| {
            Ok(match result.get_status()? {
                delivery_result::Status::Queued => DeliveryResult::Queued,
                delivery_result::Status::Full => DeliveryResult::Full,
            })
        })
        .collect()
}
