//! Exit codes, and failures as people see them: one line, no internals.

use std::fmt;
use std::process::ExitCode;

use quicproquo_client::{OpenError, SessionError};
use quicproquo_gateway::GatewayError;
use quicproquo_gateway::door::ListenerError;
use quicproquo_node::{
    BackupError, LockError, NodeError, OperatorError, StoreError, TlsError, TokenError,
};

/// How `qpq` ends. The numbers are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something failed that no other code names.
    Failed = 1,
    /// The command line, the environment or the configuration file is wrong.
    Usage = 2,
    /// Another process has the data directory.
    InUse = 3,
    /// Another program listens at the address.
    AddressTaken = 4,
    /// The data is damaged, of a newer version, or the key does not open it.
    Data = 5,
    /// Nothing answers, or what answers is not ready.
    Unreachable = 6,
    /// A second signal ended the shutdown before everything was finished.
    Hurried = 7,
    /// The gateway does not take the token, or the token may not do this.
    Refused = 8,
    /// There is no such bot, group or whatever was named, or more than one.
    NotFound = 9,
}

/// The table for `--help` and the documents.
pub(crate) const TABLE: &str = "\
Exit codes:
  0  all went well
  1  something failed that no other code names
  2  the command line, the environment or the configuration file is wrong
  3  another process has the data directory
  4  another program listens at the address
  5  the data is damaged, of a newer version, or the key does not open it
  6  nothing answers, or what answers is not ready
  7  a second signal ended the shutdown before everything was finished
  8  the gateway does not take the token, or the token may not do this
  9  there is no such bot, group or whatever was named, or more than one";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure with its exit code and its one line.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
}

impl Failure {
    /// A failure with a line for people.
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: plain(&message.to_string().replace('\n', " ")) }
    }

    /// A failure that no special code names.
    pub(crate) fn other(message: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// A wrong command line, environment or configuration.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }
}

/// Without the numbers and words that only programmers know.
fn plain(message: &str) -> String {
    let message = cut(message, " (os error ", ")");
    let message = cut(&message, "error returned from database: (code: ", ") ");
    // The file's tables are structs, and its lists sequences, in the words of its library.
    let message = match message.find("expected struct ") {
        Some(at) => format!("{}expected a table", &message[..at]),
        None => message,
    };
    let words = [
        ("expected a sequence", "expected a list"),
        ("invalid type: sequence", "invalid type: list"),
        ("invalid type: map", "invalid type: table"),
        ("invalid socket address syntax", "not an address like 127.0.0.1:8080"),
        ("unknown variant", "unknown value"),
    ];
    words.iter().fold(message, |text, (theirs, ours)| text.replace(theirs, ours))
}

/// Takes out what begins with `from`, up to and with `to`; all of it must be there.
fn cut(text: &str, from: &str, to: &str) -> String {
    let mut kept = text.to_owned();
    while let Some(start) = kept.find(from)
        && let Some(length) = kept[start + from.len()..].find(to)
    {
        kept.replace_range(start..start + from.len() + length + to.len(), "");
    }
    kept
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        let exit = match &error {
            NodeError::Lock(LockError::Held { .. }) => Exit::InUse,
            NodeError::Bind { source, .. } if is_taken(source) => Exit::AddressTaken,
            NodeError::Tls(TlsError::CertificateRequired(_) | TlsError::Unusable { .. }) => {
                Exit::Usage
            }
            NodeError::Store(StoreError::Full | StoreError::Io { .. }) => Exit::Failed,
            NodeError::Store(_) | NodeError::Tls(TlsError::Missing { .. }) => Exit::Data,
            _ => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        let exit = match &error {
            TokenError::Proof(_) => Exit::Usage,
            TokenError::Store(StoreError::Full | StoreError::Io { .. })
            | TokenError::Random(_)
            | TokenError::Issued => Exit::Failed,
            TokenError::Store(_) => Exit::Data,
        };
        Self::new(exit, error)
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let exit = match &error {
            BackupError::NotEmpty(_) | BackupError::NoData(_) => Exit::Usage,
            BackupError::Store(StoreError::Full | StoreError::Io { .. })
            | BackupError::Lock(_)
            | BackupError::Node(_)
            | BackupError::Io { .. } => Exit::Failed,
            BackupError::Store(_) => Exit::Data,
        };
        Self::new(exit, error)
    }
}

impl From<OperatorError> for Failure {
    fn from(error: OperatorError) -> Self {
        let exit = match &error {
            OperatorError::Store(StoreError::Full | StoreError::Io { .. })
            | OperatorError::Random(_) => Exit::Failed,
            OperatorError::Store(_) => Exit::Data,
        };
        Self::new(exit, error)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::other(error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let exit = match &error {
            OpenError::InUse { .. } => Exit::InUse,
            OpenError::Newer { .. }
            | OpenError::Corrupt { .. }
            | OpenError::WrongKey { .. }
            | OpenError::KeyInvalid { .. }
            | OpenError::KeyMissing { .. } => Exit::Data,
            OpenError::Certificate { .. }
            | OpenError::Trust(_)
            | OpenError::KeyElsewhere { .. } => Exit::Usage,
            OpenError::Io { .. } | OpenError::Database(_) => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::from(NodeError::Tls(error))
    }
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        let exit = match &error {
            GatewayError::NotLoopback { .. } | GatewayError::Certificate(_) => Exit::Usage,
            GatewayError::Listen(ListenerError::Taken(_)) => Exit::AddressTaken,
            GatewayError::InUse { .. } => Exit::InUse,
            GatewayError::Database { .. } | GatewayError::AdminToken { .. } => Exit::Data,
            GatewayError::Listen(ListenerError::Failed { .. }) | GatewayError::Io { .. } => {
                Exit::Failed
            }
        };
        Self::new(exit, error)
    }
}

fn is_taken(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::AddrInUse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_code() {
        let codes = [
            Exit::Failed,
            Exit::Usage,
            Exit::InUse,
            Exit::AddressTaken,
            Exit::Data,
            Exit::Unreachable,
            Exit::Hurried,
            Exit::Refused,
            Exit::NotFound,
        ];
        for code in codes {
            assert!(TABLE.contains(&format!("\n  {}  ", code as u8)), "{code:?}");
        }
    }

    #[test]
    fn failures_are_in_plain_words() {
        for (theirs, ours) in [
            ("p: No such file or directory (os error 2)", "p: No such file or directory"),
            (
                "x: error returned from database: (code: 26) file is not a database",
                "x: file is not a database",
            ),
            (
                "f line 1: invalid type: integer `5`, expected struct HttpLayer",
                "f line 1: invalid type: integer `5`, expected a table",
            ),
            ("nothing of it", "nothing of it"),
        ] {
            assert_eq!(Failure::other(theirs).to_string(), ours);
        }
    }

    #[test]
    fn failures_are_one_line() {
        assert_eq!(Failure::other("a\nb").to_string(), "a b");
    }
}
