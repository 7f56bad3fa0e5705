//! The key directory: key packages, names, hybrid keys.

use capnp::capability::{FromClientHook as _, Promise, Response};
use quicproquo_core::identity::IdentityKey;
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::node_capnp::node_service;
use quicproquo_schemas::session_capnp::session;
use quicproquo_schemas::session_capnp::session::claim_key_packages_results;
use quicproquo_schemas::session_capnp::stock as stock_entry;

use super::link::{Live, set_auth};
use super::{Answer, RpcError, Stock};

pub(super) fn publish(
    live: &Live,
    one_time: &[Vec<u8>],
    last_resort: Option<&[u8]>,
    replace: bool,
    answer: Answer<Vec<Stock>>,
) {
    let mut request = live.session.publish_key_packages_request();
    let mut params = request.get();
    params.set_last_resort(last_resort.unwrap_or_default());
    params.set_replace(replace);
    let mut list = params.init_one_time(u32::try_from(one_time.len()).unwrap_or(u32::MAX));
    for (index, package) in (0..).zip(one_time) {
        list.set(index, package);
    }
    let promise = request.send().promise;
    tokio::task::spawn_local(async move {
        let result = async { Ok(stocks(promise.await?.get()?.get_stock()?)) };
        let result: Result<_, capnp::Error> = result.await;
        let _ = answer.send(result.map_err(Into::into));
    });
}

pub(super) fn stock(live: &Live, answer: Answer<Vec<Stock>>) {
    let promise = live.session.key_package_stock_request().send().promise;
    tokio::task::spawn_local(async move {
        let result = async { Ok(stocks(promise.await?.get()?.get_stock()?)) };
        let result: Result<_, capnp::Error> = result.await;
        let _ = answer.send(result.map_err(Into::into));
    });
}

/// Bytes of packages that one claim may gather, 32 MiB: what a commit carries is less.
const GATHERED: usize = if cfg!(test) { 20 * 1024 * 1024 } else { 32 * 1024 * 1024 };

/// Claims a package of each. When they are too much for one answer the node takes none, and each half
/// is claimed by itself.
pub(super) fn claim(
    live: &Live,
    identities: Vec<IdentityKey>,
    ciphersuite: u16,
    answer: Answer<Vec<Option<Vec<u8>>>>,
) {
    let session = live.session.clone();
    let first = ask_packages(&session, &identities, ciphersuite);
    tokio::task::spawn_local(async move {
        let result = packages_of(&session, &identities, ciphersuite, first).await;
        let _ = answer.send(result);
    });
}

type Asked = Promise<Response<claim_key_packages_results::Owned>, capnp::Error>;

fn ask_packages(session: &session::Client, of: &[IdentityKey], ciphersuite: u16) -> Asked {
    let mut request = session.claim_key_packages_request();
    let mut params = request.get();
    params.set_ciphersuite(ciphersuite);
    let mut list = params.init_identities(u32::try_from(of.len()).unwrap_or(u32::MAX));
    for (index, identity) in (0..).zip(of) {
        list.set(index, identity.as_bytes());
    }
    request.send().promise
}

/// The packages that were asked for, in as many calls as it takes, one after the other.
async fn packages_of(
    session: &session::Client,
    identities: &[IdentityKey],
    ciphersuite: u16,
    asked: Asked,
) -> Result<Vec<Option<Vec<u8>>>, RpcError> {
    let mut claimed = Vec::with_capacity(identities.len());
    let mut gathered = 0;
    let mut parts = vec![identities];
    let mut asked = Some(asked);
    while let Some(part) = parts.pop() {
        let asking = asked.take().unwrap_or_else(|| ask_packages(session, part, ciphersuite));
        match packages(asking).await {
            Err(RpcError::Coded { code: ErrorCode::TooLarge, .. }) if part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
            packages => {
                let packages = packages?;
                gathered += packages.iter().flatten().map(Vec::len).sum::<usize>();
                if gathered > GATHERED {
                    let text = format!("key packages of more than {GATHERED} bytes");
                    return Err(RpcError::Coded { code: ErrorCode::TooLarge, text });
                }
                claimed.extend(packages);
            }
        }
    }
    Ok(claimed)
}

async fn packages(asked: Asked) -> Result<Vec<Option<Vec<u8>>>, RpcError> {
    let response = asked.await?;
    let packages = response.get()?.get_packages()?;
    let some = |package: &[u8]| (!package.is_empty()).then(|| package.to_vec());
    let packages = packages.iter().map(|package| package.map(some));
    Ok(packages.collect::<Result<_, _>>()?)
}

pub(super) fn claim_name(live: &Live, name: &str, signature: &[u8; 64], answer: Answer<()>) {
    let mut request = live.session.claim_name_request();
    request.get().set_name(name);
    request.get().set_signature(signature);
    let promise = request.send().promise;
    tokio::task::spawn_local(async move {
        let _ = answer.send(promise.await.map(drop).map_err(Into::into));
    });
}

pub(super) fn resolve_name(
    live: &Live,
    name: &str,
    answer: Answer<Option<(IdentityKey, Vec<u8>)>>,
) {
    let mut request = live.node.resolve_name_request();
    request.get().set_name(name);
    let promise = request.send().promise;
    tokio::task::spawn_local(async move {
        let result = async {
            let response = promise.await?;
            let results = response.get()?;
            let key = results.get_identity_key()?;
            if key.is_empty() {
                return Ok(None);
            }
            let key = IdentityKey::from_slice(key)
                .map_err(|error| capnp::Error::failed(error.to_string()))?;
            Ok(Some((key, results.get_signature()?.to_vec())))
        };
        let result: Result<_, capnp::Error> = result.await;
        let _ = answer.send(result.map_err(Into::into));
    });
}

pub(super) fn names_of(live: &Live, identity: &IdentityKey, answer: Answer<Vec<String>>) {
    let mut request = live.node.names_of_request();
    request.get().set_identity_key(identity.as_bytes());
    let promise = request.send().promise;
    tokio::task::spawn_local(async move {
        let result = async {
            let response = promise.await?;
            let mut names = Vec::new();
            for name in response.get()?.get_names()? {
                names.push(name?.to_string()?);
            }
            Ok(names)
        };
        let result: Result<_, capnp::Error> = result.await;
        let _ = answer.send(result.map_err(Into::into));
    });
}

pub(super) fn delete_identity(live: &Live, answer: Answer<()>) {
    let promise = live.session.delete_identity_request().send().promise;
    tokio::task::spawn_local(async move {
        let _ = answer.send(promise.await.map(drop).map_err(Into::into));
    });
}

/// Serves peers that know only `NodeService`; so it goes through that interface, with a token.
pub(super) fn upload_hybrid_key(
    live: &Live,
    identity: IdentityKey,
    key: &[u8],
    answer: Answer<()>,
) {
    let node: node_service::Client = live.node.clone().cast_to();
    let mut request = node.upload_hybrid_key_request();
    let mut params = request.get();
    params.set_identity_key(identity.as_bytes());
    params.set_hybrid_public_key(key);
    set_auth(params.init_auth(), &live.token);
    let promise = request.send().promise;
    tokio::task::spawn_local(async move {
        let _ = answer.send(promise.await.map(drop).map_err(Into::into));
    });
}

/// The published key of an identity, through the same interface.
pub(super) fn fetch_hybrid_key(live: &Live, identity: IdentityKey, answer: Answer<Vec<u8>>) {
    let node: node_service::Client = live.node.clone().cast_to();
    let mut request = node.fetch_hybrid_key_request();
    let mut params = request.get();
    params.set_identity_key(identity.as_bytes());
    set_auth(params.init_auth(), &live.token);
    let promise = request.send().promise;
    tokio::task::spawn_local(async move {
        let result = async { Ok(promise.await?.get()?.get_hybrid_public_key()?.to_vec()) };
        let result: Result<_, capnp::Error> = result.await;
        let _ = answer.send(result.map_err(Into::into));
    });
}

fn stocks(list: capnp::struct_list::Reader<'_, stock_entry::Owned>) -> Vec<Stock> {
    list.iter()
        .map(|entry| Stock {
            ciphersuite: entry.get_ciphersuite(),
            one_time: entry.get_one_time(),
            has_last_resort: entry.get_has_last_resort(),
        })
        .collect()
}
