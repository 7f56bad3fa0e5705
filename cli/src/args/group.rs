//! `qpq group ..` and `qpq invitation ..`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::BotAccess;

/// `qpq group`.
#[derive(Debug, Args)]
pub(crate) struct Group {
    #[command(subcommand)]
    pub(crate) command: GroupCommand,
    #[command(flatten)]
    pub(crate) access: BotAccess,
}

/// What to do with groups. A group is given by its id, or by its name where one group has it.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List the groups that this bot is in.
    List {
        /// Also those that it was in.
        #[arg(long)]
        all: bool,
    },
    /// Create a group.
    Create {
        /// Shown to members.
        #[arg(value_name = "NAME")]
        name: String,
        /// Who is invited at once: a name or an identity; may be given more than once.
        #[arg(long = "member", short, value_name = "WHO", value_delimiter = ',')]
        members: Vec<String>,
        /// Shown to members.
        #[arg(long, value_name = "TEXT", default_value = "")]
        topic: String,
        /// The post-quantum policy.
        #[arg(long, value_name = "POLICY", default_value = "envelope")]
        post_quantum: PostQuantum,
        /// The extensions: `plain` for members that know only published formats.
        #[arg(long, value_name = "PROFILE", default_value = "standard")]
        profile: Profile,
    },
    /// Show a group and its members.
    Show {
        /// The group.
        #[arg(value_name = "GROUP")]
        group: String,
    },
    /// Add members, all by one commit.
    Add {
        /// The group.
        #[arg(value_name = "GROUP")]
        group: String,
        /// Names or identities.
        #[arg(value_name = "WHO", required = true)]
        members: Vec<String>,
    },
    /// Remove a member.
    Remove {
        /// The group.
        #[arg(value_name = "GROUP")]
        group: String,
        /// A name or an identity.
        #[arg(value_name = "WHO")]
        member: String,
    },
    /// Leave a group.
    Leave {
        /// The group.
        #[arg(value_name = "GROUP")]
        group: String,
    },
    /// Give a group another name.
    Rename {
        /// The group.
        #[arg(value_name = "GROUP")]
        group: String,
        /// The new name.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// The post-quantum policy of a group.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PostQuantum {
    /// Payloads are sealed in a hybrid envelope.
    Envelope,
    /// A hybrid MLS ciphersuite.
    Native,
}

impl PostQuantum {
    /// The word of the API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Native => "native",
        }
    }
}

/// The extensions of a group.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Profile {
    /// With roles, names and repair.
    Standard,
    /// Without extensions.
    Plain,
}

impl Profile {
    /// The word of the API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Plain => "plain",
        }
    }
}

/// `qpq invitation`.
#[derive(Debug, Args)]
pub(crate) struct Invitation {
    #[command(subcommand)]
    pub(crate) command: InvitationCommand,
    #[command(flatten)]
    pub(crate) access: BotAccess,
}

/// What to do with invitations. One is given by its id, or by the name of its group.
#[derive(Debug, Subcommand)]
pub(crate) enum InvitationCommand {
    /// List those that are not answered.
    List,
    /// Accept one.
    Accept {
        /// The invitation.
        #[arg(value_name = "INVITATION")]
        invitation: String,
        /// Wait so long for it to come, like `30s`.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        wait: Option<Duration>,
    },
    /// Decline one.
    Decline {
        /// The invitation.
        #[arg(value_name = "INVITATION")]
        invitation: String,
        /// Wait so long for it to come, like `30s`.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        wait: Option<Duration>,
    },
}
