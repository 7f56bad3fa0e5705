//! Times on the wire: RFC 3339, UTC, milliseconds.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Unix milliseconds as `2026-11-24T03:00:00.000Z`.
pub(crate) fn rfc3339(ms: u64) -> String {
    // Beyond year 9999 there is no RFC 3339: the last millisecond stands for all of it.
    let ns = i128::from(ms.min(253_402_300_799_999)) * 1_000_000;
    let at = OffsetDateTime::from_unix_timestamp_nanos(ns).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let parts = [
        (at.year().unsigned_abs(), 4, '-'),
        (u8::from(at.month()).into(), 2, '-'),
        (at.day().into(), 2, 'T'),
        (at.hour().into(), 2, ':'),
        (at.minute().into(), 2, ':'),
        (at.second().into(), 2, '.'),
        (u32::from(at.millisecond()), 3, 'Z'),
    ];
    // Every event has times, and `format!` takes its memory in pieces.
    let mut text = String::with_capacity(24);
    for (number, digits, after) in parts {
        for place in (0..digits).rev() {
            text.extend(char::from_digit(number / 10_u32.pow(place) % 10, 10));
        }
        text.push(after);
    }
    text
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
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59.999Z");
    }
}
