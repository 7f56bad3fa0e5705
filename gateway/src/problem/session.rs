//! The one mapping from the engine's errors to problems.

use quicproquo_client::{ArchiveError, SessionError};

use super::{Kind, Problem};

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        let text = error.to_string();
        match error {
            SessionError::GroupNotFound => Self::new(Kind::GroupNotFound),
            SessionError::GroupInactive => Self::new(Kind::GroupInactive),
            SessionError::NotAdmin => Self::new(Kind::NotAdmin),
            SessionError::LastAdmin => Self::new(Kind::LastAdmin),
            SessionError::NotAMember(_) => Self::new(Kind::MemberNotFound).detail(text),
            SessionError::AlreadyMember(_) => Self::new(Kind::AlreadyMember).detail(text),
            SessionError::NoKeyPackage(_) => Self::new(Kind::KeyPackageMissing).detail(text),
            SessionError::BadKeyPackage { .. } => Self::new(Kind::KeyPackageRefused).detail(text),
            SessionError::EpochMismatch { current } => {
                Self::new(Kind::EpochMismatch).detail(text).current_epoch(current)
            }
            SessionError::IdempotencyMismatch => Self::new(Kind::IdempotencyMismatch),
            SessionError::IdempotencyRunning => Self::new(Kind::IdempotencyRunning),
            SessionError::InvitationNotFound => Self::new(Kind::InvitationNotFound),
            SessionError::MessageNotFound => Self::new(Kind::MessageNotFound),
            SessionError::NotYourMessage => Self::new(Kind::NotYourMessage),
            SessionError::NotEditable(_) => Self::new(Kind::NotEditable).detail(text),
            SessionError::AttachmentNotFound => Self::new(Kind::AttachmentNotFound),
            SessionError::AttachmentExpired => Self::new(Kind::AttachmentExpired),
            SessionError::AttachmentDamaged => Self::new(Kind::AttachmentDamaged),
            SessionError::UploadsBusy => Self::new(Kind::UploadsBusy),
            SessionError::BlobNotFound => Self::new(Kind::NotFound),
            SessionError::NameTaken => Self::new(Kind::NameTaken),
            SessionError::NameInvalid | SessionError::Invalid(_) => {
                Self::new(Kind::RequestInvalid).detail(text)
            }
            SessionError::SafetyNumberMismatch(_) => Self::new(Kind::SafetyNumberMismatch),
            SessionError::NotVerified(_) => Self::new(Kind::NotVerified).detail(text),
            SessionError::TooManyNames => Self::new(Kind::TooManyNames),
            SessionError::NameUnknown(_) => Self::new(Kind::NameUnknown).detail(text),
            SessionError::TooLarge { .. } => Self::new(Kind::TooLarge).detail(text),
            SessionError::CursorExpired => Self::new(Kind::CursorExpired),
            SessionError::CursorInvalid => Self::new(Kind::CursorInvalid),
            SessionError::NodeUnreachable => Self::new(Kind::NodeUnreachable),
            SessionError::RegistrationRefused(_) => {
                Self::new(Kind::RegistrationRefused).detail(text)
            }
            SessionError::NodeRefused(_) => Self::new(Kind::NodeRefused).detail(text),
            SessionError::Displaced(_) => Self::new(Kind::BotDisplaced),
            SessionError::Exported => Self::new(Kind::BotExported),
            SessionError::Stopped => Self::new(Kind::BotStopped),
            SessionError::OutboxFull => Self::new(Kind::OutboxFull),
            SessionError::StorageUnavailable => Self::new(Kind::StorageUnavailable),
            SessionError::Internal(id) => {
                tracing::error!(%id, "the session reports a fault of its own");
                Self::new(Kind::Internal)
            }
        }
    }
}

impl From<ArchiveError> for Problem {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Unknown | ArchiveError::Sealed | ArchiveError::Content(_) => {
                Self::new(Kind::ArchiveInvalid).detail(error.to_string())
            }
            ArchiveError::Exists(_) => Self::new(Kind::BotExists),
            ArchiveError::Session(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_problems() {
        let cases = [
            (SessionError::GroupNotFound, 404, false),
            (SessionError::NotAdmin, 403, false),
            (SessionError::EpochMismatch { current: 7 }, 412, false),
            (SessionError::IdempotencyMismatch, 422, false),
            (SessionError::IdempotencyRunning, 409, true),
            (SessionError::TooLarge { what: "the text".to_owned(), limit: 65_536 }, 413, false),
            (SessionError::CursorExpired, 410, false),
            (SessionError::NodeUnreachable, 503, true),
            (SessionError::NodeRefused("quota".to_owned()), 502, false),
            (SessionError::RegistrationRefused("no invite".to_owned()), 403, false),
            (SessionError::Invalid("the name is empty".to_owned()), 400, false),
        ];
        for (error, status, retryable) in cases {
            let kind = Problem::from(error.clone()).kind();
            assert_eq!((kind.status().as_u16(), kind.retryable()), (status, retryable), "{error}");
        }
    }

    #[test]
    fn internal_text_stays_inside() {
        let problem = Problem::from(SessionError::Internal("row 7 of table x".to_owned()));
        let body = serde_json::to_string(&problem.body("urn:uuid:1".to_owned())).unwrap();
        assert!(!body.contains("row 7"), "{body}");
    }

    #[test]
    fn the_epoch_is_told() {
        let problem = Problem::from(SessionError::EpochMismatch { current: 7 });
        let body = serde_json::to_value(problem.body("urn:uuid:1".to_owned())).unwrap();
        assert_eq!(body["current_epoch"], 7);
    }
}
