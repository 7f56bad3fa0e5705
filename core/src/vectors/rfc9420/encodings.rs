//! What the vectors give as bytes reads, and comes out the same.

use openmls::prelude::tls_codec::{Deserialize, Serialize};
use openmls::prelude::{
    AddProposalIn, ExternalInitProposal, MlsMessageIn, PreSharedKeyProposal, RatchetTreeIn,
    RemoveProposal, UpdateProposalIn,
};

use super::{Bytes, read};
use crate::group::welcome_key_package_refs;
use crate::message::{ContentKind, MessageKind, message_info, vector_length};

#[derive(serde::Deserialize)]
struct Messages {
    mls_welcome: Bytes,
    mls_group_info: Bytes,
    mls_key_package: Bytes,
    ratchet_tree: Bytes,
    add_proposal: Bytes,
    update_proposal: Bytes,
    remove_proposal: Bytes,
    pre_shared_key_proposal: Bytes,
    external_init_proposal: Bytes,
    public_message_application: Bytes,
    public_message_proposal: Bytes,
    public_message_commit: Bytes,
    private_message: Bytes,
}

#[track_caller]
fn same<T: Serialize + Deserialize>(Bytes(bytes): &Bytes) {
    let read = T::tls_deserialize_exact(bytes).unwrap();
    assert_eq!(read.tls_serialize_detached().unwrap(), *bytes);
}

/// Openmls writes what it reads of an `MLSMessage`; our own reader sees the outside of it.
#[track_caller]
fn outside(Bytes(bytes): &Bytes, kind: MessageKind, content: Option<ContentKind>) {
    let read = MlsMessageIn::tls_deserialize_exact(bytes).unwrap();
    assert_eq!(read.tls_serialize_detached().unwrap(), *bytes);
    // A group id of ours has 16 bytes or more, and so have those of the vectors.
    let info = message_info(bytes).unwrap();
    assert_eq!((info.kind, info.content), (kind, content));
    if let Some(group) = info.group_id {
        let message = read.try_into_protocol_message().unwrap();
        assert_eq!(message.group_id().as_slice(), group.as_bytes());
        assert_eq!(Some(message.epoch().as_u64()), info.epoch);
    }
}

#[test]
fn messages() {
    let vectors = read::<Messages>(include_str!("../../../tests/vectors/rfc9420/messages.json"));
    assert_eq!(vectors.len(), 6);
    for vector in vectors {
        outside(&vector.mls_welcome, MessageKind::Welcome, None);
        assert!(!welcome_key_package_refs(&vector.mls_welcome.0).unwrap().is_empty());
        outside(&vector.mls_group_info, MessageKind::GroupInfo, None);
        outside(&vector.mls_key_package, MessageKind::KeyPackage, None);
        let public = MessageKind::PublicMessage;
        outside(&vector.public_message_application, public, Some(ContentKind::Application));
        outside(&vector.public_message_proposal, public, Some(ContentKind::Proposal));
        outside(&vector.public_message_commit, public, Some(ContentKind::Commit));
        let private = message_info(&vector.private_message.0).unwrap();
        outside(&vector.private_message, MessageKind::PrivateMessage, private.content);
        same::<RatchetTreeIn>(&vector.ratchet_tree);
        same::<AddProposalIn>(&vector.add_proposal);
        same::<UpdateProposalIn>(&vector.update_proposal);
        same::<RemoveProposal>(&vector.remove_proposal);
        same::<PreSharedKeyProposal>(&vector.pre_shared_key_proposal);
        same::<ExternalInitProposal>(&vector.external_init_proposal);
    }
}

#[derive(serde::Deserialize)]
struct Header {
    vlbytes_header: Bytes,
    length: usize,
}

#[test]
fn lengths_of_vectors() {
    let json = include_str!("../../../tests/vectors/rfc9420/deserialization.json");
    let vectors = read::<Header>(json);
    assert_eq!(vectors.len(), 14);
    for Header { vlbytes_header: Bytes(header), length } in vectors {
        assert_eq!(vector_length(&header).unwrap(), length);
        assert!(vector_length(&header[..header.len() - 1]).is_err());
    }
}
