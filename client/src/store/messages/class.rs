//! What a message is, as the database tells without opening its content.

use quicproquo_core::content::RelatesTo;
use quicproquo_core::id::MessageId;

/// Types that are about another message, of which each names the relation too.
pub(crate) const REACTION: &str = "reaction";
pub(crate) const EDIT: &str = "edit";
pub(crate) const DELETE: &str = "delete";
const READ: &str = "read";
/// A file that is kept as blobs at the node.
pub(crate) const FILE: &str = "file";
/// Who is writing at the moment.
pub(crate) const TYPING: &str = "typing";
/// A type by which a message is shown that its sender has deleted.
pub(crate) const DELETED: &str = "deleted";

/// What a message is; the numbers are in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Written by an earlier version.
    Unknown = 0,
    Text = 1,
    File = 2,
    /// Of a type of its sender's own, or one that is not known here.
    Other = 3,
    Reaction = 4,
    Edit = 5,
    Delete = 6,
    Read = 7,
    Typing = 8,
    Deleted = 9,
}

impl Class {
    /// The class of a type.
    pub(crate) fn of(kind: &str) -> Self {
        match kind {
            "text" => Self::Text,
            FILE => Self::File,
            REACTION => Self::Reaction,
            EDIT => Self::Edit,
            DELETE => Self::Delete,
            READ => Self::Read,
            TYPING => Self::Typing,
            DELETED => Self::Deleted,
            _ => Self::Other,
        }
    }

    /// Whether it is a message of its own, not one that changes or marks another.
    pub(crate) fn is_shown(self) -> bool {
        matches!(self, Self::Text | Self::File | Self::Other | Self::Deleted)
    }

    /// Whether it is about another message.
    pub(crate) fn has_target(self) -> bool {
        matches!(self, Self::Reaction | Self::Edit | Self::Delete | Self::Read)
    }

    /// A set with this class alone.
    pub(super) fn bit(self) -> i64 {
        1 << self as u8
    }
}

/// The message that one of this type is about.
pub(crate) fn target<'a>(kind: &str, relation: Option<&'a RelatesTo>) -> Option<&'a MessageId> {
    let relation = relation.filter(|relation| relation.rel == kind)?;
    Class::of(kind).has_target().then_some(&relation.id)
}

/// Which types a reader wants.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    kinds: &'a [String],
}

impl<'a> Wanted<'a> {
    /// No types: all that are messages of their own.
    pub(super) fn new(kinds: &'a [String]) -> Self {
        Self { kinds }
    }

    /// The classes in which they are, as a set of bits.
    pub(super) fn classes(&self) -> i64 {
        let shown = [Class::Text, Class::File, Class::Other, Class::Deleted];
        let wanted: i64 = match self.kinds {
            [] => shown.into_iter().map(Class::bit).fold(0, |all, bit| all | bit),
            kinds => kinds.iter().map(|kind| Class::of(kind).bit()).fold(0, |all, bit| all | bit),
        };
        wanted | Class::Unknown.bit()
    }

    /// Whether it is one of them.
    pub(super) fn takes(&self, kind: &str) -> bool {
        match self.kinds {
            [] => Class::of(kind).is_shown(),
            kinds => kinds.iter().any(|wanted| wanted == kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_another_message_is_not_shown_unless_asked_for() {
        let all = Wanted::new(&[]);
        for (kind, shown) in [
            ("text", true),
            ("file", true),
            ("org.example.move", true),
            ("unknown.v1", true),
            ("deleted", true),
            ("reaction", false),
            ("edit", false),
            ("read", false),
            ("typing", false),
        ] {
            assert_eq!(all.takes(kind), shown, "{kind}");
            assert_eq!(all.classes() & Class::of(kind).bit() != 0, shown, "{kind}");
        }
        let kinds = ["reaction".to_owned(), "org.example.move".to_owned()];
        let some = Wanted::new(&kinds);
        assert!(some.takes("reaction") && some.takes("org.example.move"));
        assert!(!some.takes("org.example.other") && !some.takes("text"));
        assert_eq!(some.classes() & Class::Text.bit(), 0);
    }

    #[test]
    fn a_target_is_named_by_the_relation_of_the_type() {
        let to = |rel: &str| RelatesTo { rel: rel.to_owned(), id: MessageId::new([7; 16]) };
        assert!(target("edit", Some(&to("edit"))).is_some());
        assert!(target("edit", Some(&to("reply"))).is_none());
        assert!(target("text", Some(&to("text"))).is_none());
        assert!(target("delete", None).is_none());
    }
}
