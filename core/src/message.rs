//! What the outside of an MLS message tells, read without any state.
//!
//! Nothing here is authenticated: it serves to find the group and to order the
//! work.

use crate::id::GroupId;

/// The kind of an `MLSMessage` (RFC 9420, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A handshake message in the clear.
    PublicMessage,
    /// An encrypted message.
    PrivateMessage,
    /// An invitation into a group.
    Welcome,
    /// Information about a group.
    GroupInfo,
    /// A key package.
    KeyPackage,
}

/// The content type of a framed message (RFC 9420, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentKind {
    /// An application message.
    Application,
    /// A proposal by reference.
    Proposal,
    /// A commit.
    Commit,
}

/// What can be read from a message without its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageInfo {
    /// The kind of message.
    pub kind: MessageKind,
    /// The group; only public and private messages name it.
    pub group_id: Option<GroupId>,
    /// The epoch it was made in; only of public and private messages.
    pub epoch: Option<u64>,
    /// The type of the content; only of public and private messages.
    pub content: Option<ContentKind>,
    /// The sender's hint of the epoch authenticator, of private messages that
    /// carry at least 8 bytes of authenticated data.
    pub hint: Option<[u8; 8]>,
}

impl MessageInfo {
    /// Whether the message is a commit.
    pub fn is_commit(&self) -> bool {
        self.content == Some(ContentKind::Commit)
    }
}

/// The bytes are not an `MLSMessage` of MLS 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an MLS message")]
pub struct NotMls;

/// Reads the outside of an `MLSMessage`.
pub fn message_info(bytes: &[u8]) -> Result<MessageInfo, NotMls> {
    let mut reader = Reader(bytes);
    if reader.u16()? != 1 {
        return Err(NotMls);
    }
    let kind = match reader.u16()? {
        1 => MessageKind::PublicMessage,
        2 => MessageKind::PrivateMessage,
        3 => MessageKind::Welcome,
        4 => MessageKind::GroupInfo,
        5 => MessageKind::KeyPackage,
        _ => return Err(NotMls),
    };
    let mut info = MessageInfo { kind, group_id: None, epoch: None, content: None, hint: None };
    match kind {
        MessageKind::PublicMessage => {
            info.group_id = Some(GroupId::from_slice(reader.bytes()?).map_err(|_| NotMls)?);
            info.epoch = Some(reader.u64()?);
            reader.sender()?;
            let _authenticated_data = reader.bytes()?;
            info.content = Some(reader.content()?);
        }
        MessageKind::PrivateMessage => {
            info.group_id = Some(GroupId::from_slice(reader.bytes()?).map_err(|_| NotMls)?);
            info.epoch = Some(reader.u64()?);
            info.content = Some(reader.content()?);
            info.hint = reader.bytes()?.first_chunk().copied();
        }
        MessageKind::Welcome | MessageKind::GroupInfo | MessageKind::KeyPackage => {}
    }
    Ok(info)
}

/// The length that a vector's first bytes give.
#[cfg(test)]
pub(crate) fn vector_length(header: &[u8]) -> Result<usize, NotMls> {
    Reader(header).length()
}

/// A reader of the TLS presentation language.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], NotMls> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(NotMls)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, NotMls> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, NotMls> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u64(&mut self) -> Result<u64, NotMls> {
        let bytes = self.take(8)?.try_into().map_err(|_| NotMls)?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// A variable-size vector (RFC 9420, section 2.1.2).
    fn bytes(&mut self) -> Result<&'a [u8], NotMls> {
        let len = self.length()?;
        self.take(len)
    }

    /// The length of such a vector, in one, two or four bytes.
    fn length(&mut self) -> Result<usize, NotMls> {
        let first = self.u8()?;
        let more = match first >> 6 {
            0 => 0,
            1 => 1,
            2 => 3,
            _ => return Err(NotMls),
        };
        let mut len = usize::from(first & 0x3F);
        for byte in self.take(more)? {
            len = len << 8 | usize::from(*byte);
        }
        Ok(len)
    }

    fn sender(&mut self) -> Result<(), NotMls> {
        match self.u8()? {
            1 | 2 => self.take(4).map(drop),
            3 | 4 => Ok(()),
            _ => Err(NotMls),
        }
    }

    fn content(&mut self) -> Result<ContentKind, NotMls> {
        match self.u8()? {
            1 => Ok(ContentKind::Application),
            2 => Ok(ContentKind::Proposal),
            3 => Ok(ContentKind::Commit),
            _ => Err(NotMls),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_private_message() {
        let mut bytes = vec![0, 1, 0, 2, 16];
        bytes.extend([7; 16]);
        bytes.extend(5_u64.to_be_bytes());
        bytes.extend([3, 8]);
        bytes.extend([9; 8]);
        let info = message_info(&bytes).unwrap();
        assert_eq!(info.kind, MessageKind::PrivateMessage);
        assert_eq!(info.group_id, Some(GroupId::from_slice(&[7; 16]).unwrap()));
        assert_eq!(info.epoch, Some(5));
        assert!(info.is_commit());
        assert_eq!(info.hint, Some([9; 8]));
        for len in 0..bytes.len() {
            assert_eq!(message_info(&bytes[..len]), Err(NotMls));
        }
    }

    #[test]
    fn reads_long_lengths_and_refuses_others() {
        let mut bytes = vec![0, 1, 0, 1, 0x40, 0x40];
        bytes.extend([7; 64]);
        bytes.extend(5_u64.to_be_bytes());
        bytes.extend([1, 0, 0, 0, 2, 0, 2]);
        let info = message_info(&bytes).unwrap();
        assert_eq!(info.content, Some(ContentKind::Proposal));
        assert_eq!(info.hint, None);
        bytes[4] = 0xC0;
        assert_eq!(message_info(&bytes), Err(NotMls));
        assert_eq!(message_info(&[0, 2, 0, 2]), Err(NotMls));
        assert_eq!(message_info(&[0, 1, 0, 9]), Err(NotMls));
    }
}
