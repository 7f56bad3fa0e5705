//! The two ciphersuites and the two profiles a group can have, fixed at its
//! creation.

use openmls::prelude::Ciphersuite;
use serde::{Deserialize, Serialize};

/// The ciphersuite of a group and with it its post-quantum policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// 0x0001, `MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519`; every payload
    /// travels in the hybrid [envelope](crate::envelope).
    Envelope,
    /// 0x004F, `MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519`: hybrid in the
    /// MLS key schedule itself, no envelope.
    Native,
}

impl Suite {
    /// Both suites.
    pub const ALL: [Self; 2] = [Self::Envelope, Self::Native];

    /// The IANA number of the ciphersuite.
    pub const fn code(self) -> u16 {
        match self {
            Self::Envelope => 0x0001,
            Self::Native => 0x004F,
        }
    }

    /// The suite with this IANA number.
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            0x0001 => Some(Self::Envelope),
            0x004F => Some(Self::Native),
            _ => None,
        }
    }

    /// `envelope` or `native`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Native => "native",
        }
    }

    /// The suite called so by [`Suite::as_str`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.as_str() == name)
    }

    pub(crate) const fn ciphersuite(self) -> Ciphersuite {
        match self {
            Self::Envelope => Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
            Self::Native => Ciphersuite::MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519,
        }
    }

    pub(crate) fn of(ciphersuite: Ciphersuite) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.ciphersuite() == ciphersuite)
    }
}

/// Whether a group uses this project's extensions and roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Name, topic and admins are in the group context; roles are enforced by
    /// every member.
    Standard,
    /// No extensions: for peers that know only the published system. Roles are
    /// not enforced.
    Plain,
}

impl Profile {
    /// `standard` or `plain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Plain => "plain",
        }
    }

    /// The profile called so by [`Profile::as_str`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Standard, Self::Plain].into_iter().find(|profile| profile.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_library() {
        for suite in Suite::ALL {
            assert_eq!(suite.code(), suite.ciphersuite() as u16);
            assert_eq!(Suite::from_code(suite.code()), Some(suite));
            assert_eq!(Suite::from_name(suite.as_str()), Some(suite));
        }
        assert_eq!(Suite::from_code(2), None);
    }
}
