//! The one mapping of errors to the wire: exceptions with the text `E0NN NAME: text`.

use std::fmt;

use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::IdError;

use crate::auth::AuthError;
use crate::blobs::BlobError;
use crate::delivery::DeliveryError;
use crate::delivery::order::HeldUp;
use crate::directory::DirectoryError;
use crate::key_package::KeyPackageError;
use crate::store::{Refusal, StoreError};
use crate::writer::WriteError;

/// An error that a caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    code: ErrorCode,
    text: String,
}

impl Fault {
    pub(super) fn new(code: ErrorCode, text: impl fmt::Display) -> Self {
        Self { code, text: text.to_string() }
    }

    /// Logs the detail and keeps it from the caller.
    pub(super) fn internal(detail: impl fmt::Display) -> Self {
        tracing::error!(%detail, "internal error");
        Self::new(ErrorCode::Internal, "the node failed; nothing was done")
    }
}

impl From<Fault> for capnp::Error {
    fn from(fault: Fault) -> Self {
        Self::failed(format!("{}: {}", fault.code, fault.text))
    }
}

impl From<IdError> for Fault {
    fn from(error: IdError) -> Self {
        Self::new(ErrorCode::BadId, error)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::QueueFull => ErrorCode::QueueFull,
            Refusal::Displaced(_) => ErrorCode::Displaced,
            Refusal::Fenced => ErrorCode::Fenced,
            Refusal::RegistrationRefused(_) => ErrorCode::RegistrationRefused,
            Refusal::Banned => ErrorCode::Banned,
            Refusal::HeldUp(HeldUp { code, .. }) => code,
            Refusal::BadSendId(_) => ErrorCode::BadSendId,
            Refusal::NameTaken | Refusal::NameRetired => ErrorCode::NameTaken,
            Refusal::TooManyNames => ErrorCode::TooManyNames,
            Refusal::StockFull | Refusal::ClaimTooLarge { .. } => ErrorCode::TooLarge,
            Refusal::BadBlob(_) => ErrorCode::BadBlob,
            Refusal::BadOffset(_) => ErrorCode::BadOffset,
            Refusal::QuotaExceeded(_) => ErrorCode::QuotaExceeded,
        };
        Self::new(code, refusal)
    }
}

impl From<HeldUp> for Fault {
    fn from(held: HeldUp) -> Self {
        Self::new(held.code, held)
    }
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(refusal) => refusal.into(),
            WriteError::DiskFull => Self::new(ErrorCode::StorageFull, "the node's disk is full"),
            WriteError::Failed => Self::internal("a write failed"),
            WriteError::Closed => Self::new(ErrorCode::ShuttingDown, "the node is shutting down"),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

impl From<AuthError> for Fault {
    fn from(error: AuthError) -> Self {
        let code = match error {
            AuthError::Unauthenticated => ErrorCode::Unauthenticated,
            AuthError::Forbidden => ErrorCode::Forbidden,
            AuthError::BadSignature | AuthError::BadTransfer => ErrorCode::BadSignature,
            AuthError::Banned => ErrorCode::Banned,
            AuthError::OverRate(_) => ErrorCode::RateLimited,
            AuthError::Write(error) => return error.into(),
            AuthError::Store(error) => return error.into(),
        };
        Self::new(code, error)
    }
}

impl From<DeliveryError> for Fault {
    fn from(error: DeliveryError) -> Self {
        let code = match error {
            DeliveryError::Subscribed => ErrorCode::Subscribed,
            DeliveryError::TooManyWaits | DeliveryError::OverRate(_) => ErrorCode::RateLimited,
            DeliveryError::Banned | DeliveryError::RecipientBanned => ErrorCode::Banned,
            DeliveryError::DiskLow => ErrorCode::StorageFull,
            DeliveryError::Write(error) => return error.into(),
            DeliveryError::Store(error) => return error.into(),
        };
        Self::new(code, error)
    }
}

impl From<DirectoryError> for Fault {
    fn from(error: DirectoryError) -> Self {
        let code = match error {
            DirectoryError::KeyPackage(KeyPackageError::TooLarge) => ErrorCode::TooLarge,
            DirectoryError::KeyPackage(_) | DirectoryError::WrongKind(_) => {
                ErrorCode::BadKeyPackage
            }
            DirectoryError::BadName => ErrorCode::BadName,
            DirectoryError::BadSignature => ErrorCode::BadSignature,
            DirectoryError::BadHybridKey => ErrorCode::BadHybridKey,
            DirectoryError::DiskLow => ErrorCode::StorageFull,
            DirectoryError::Write(error) => return error.into(),
            DirectoryError::Store(error) => return error.into(),
        };
        Self::new(code, error)
    }
}

impl From<BlobError> for Fault {
    fn from(error: BlobError) -> Self {
        let code = match error {
            BlobError::TooLarge(_) => ErrorCode::TooLarge,
            BlobError::Empty => ErrorCode::Empty,
            BlobError::BadPiece(_) => ErrorCode::BadRequest,
            BlobError::NoSuchBlob => ErrorCode::NoSuchBlob,
            BlobError::DiskLow => ErrorCode::StorageFull,
            BlobError::OverRate(_) => ErrorCode::RateLimited,
            BlobError::Write(error) => return error.into(),
            BlobError::Store(error) => return error.into(),
        };
        Self::new(code, error)
    }
}

/// Lets `?` take any of the above to the wire.
pub(super) fn wire<T, E: Into<Fault>>(result: Result<T, E>) -> Result<T, capnp::Error> {
    result.map_err(|error| error.into().into())
}
