//! Times on the wire: RFC 3339, UTC, milliseconds.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Unix milliseconds as `2026-11-24T03:00:00.000Z`.
pub(crate) fn rfc3339(ms: u64) -> String {
    // Beyond year 9999 there is no RFC 3339: the last representable second stands for all of it.
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX).min(253_402_300_799);
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        ms % 1000
    )
}

/// RFC 3339 with any offset as unix milliseconds; what was before 1970 is 0.
pub(crate) fn parse_time(text: &str) -> Option<u64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp_nanos().max(0) / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_z() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_795_489_058_007), "2026-11-24T02:57:38.007Z");
        assert_eq!(parse_time("2026-11-24T02:57:38.007Z"), Some(1_795_489_058_007));
        assert_eq!(parse_time("2026-11-24T03:57:38.007+01:00"), Some(1_795_489_058_007));
        assert_eq!(parse_time("1969-12-31T23:59:59.999Z"), Some(0));
        assert_eq!(parse_time("yesterday"), None);
        assert!(rfc3339(u64::MAX).starts_with("9999-12-31T"));
    }
}
