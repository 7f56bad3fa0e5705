//! Headers about files: names (RFC 6266), and ranges of bytes (RFC 9110 section 14).

use std::fmt::Write as _;
use std::ops::Range;

use http::HeaderMap;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

const MAX_NAME: usize = 255;
const MAX_MIME: usize = 255;

/// The name of a file that is uploaded. Only its last part counts, without what no name has.
pub(crate) fn file_name(headers: &HeaderMap, parameter: Option<&str>) -> Option<String> {
    let header = headers.get(CONTENT_DISPOSITION).and_then(|value| value.to_str().ok());
    let name = header.and_then(disposition_name).or_else(|| parameter.map(str::to_owned))?;
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = name.chars().filter(|c| !c.is_control()).collect();
    name.truncate(name.floor_char_boundary(MAX_NAME));
    let name = name.trim();
    (!name.is_empty() && name != "." && name != "..").then(|| name.to_owned())
}

/// `filename*` goes before `filename` (RFC 6266 section 4.3).
fn disposition_name(header: &str) -> Option<String> {
    let (mut plain, mut extended) = (None, None);
    let mut rest = header;
    while let Some((_, parameters)) = rest.split_once(';') {
        let Some((name, value)) = parameters.split_once('=') else { break };
        let value = value.trim_start();
        let (text, after) = if let Some(quoted) = value.strip_prefix('"') {
            unquote(quoted)
        } else {
            let end = value.find(';').unwrap_or(value.len());
            (value[..end].trim().to_owned(), &value[end..])
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "filename*" => extended = extended.or_else(|| decode_extended(&text)),
            "filename" => plain = Some(text),
            _ => {}
        }
        rest = after;
    }
    extended.or(plain)
}

/// A quoted string behind its first quote, and what follows it.
fn unquote(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                text.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (text, &quoted[at + 1..]),
            c => text.push(c),
        }
    }
    (text, "")
}

/// `UTF-8''...` with percent-encoded bytes (RFC 8187).
fn decode_extended(text: &str) -> Option<String> {
    let (charset, rest) = text.split_once('\'')?;
    let (_, encoded) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// `Content-Disposition` of a file that is to be saved, never shown.
pub(crate) fn disposition(name: Option<&str>) -> String {
    let Some(name) = name else { return "attachment".to_owned() };
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%');
    let plain: String =
        name.chars().map(|c| if c == ' ' || is_plain(c) { c } else { '_' }).collect();
    let mut extended = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            extended.push(char::from(byte));
        } else {
            let _ = write!(extended, "%{byte:02X}");
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8\'\'{extended}")
}

/// The media type of a file that is uploaded, if it is one.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?.trim();
    is_media_type(text).then(|| text.to_owned())
}

/// Whether a text is a media type: `type/subtype`, perhaps with parameters.
pub(crate) fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_word = |word: &str| {
        let mark = |b: u8| b"!#$&-^_.+".contains(&b);
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || mark(b))
    };
    text.len() <= MAX_MIME
        && text.bytes().all(|b| (b' '..=b'~').contains(&b))
        && essence.split_once('/').is_some_and(|(kind, rest)| is_word(kind) && is_word(rest))
}

/// What a request wants of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that it does not have.
    Nothing,
}

/// Reads `Range` for a file of so many bytes. What is not understood, and several ranges at once,
/// mean all of it.
pub(crate) fn wanted(range: Option<&str>, size: u64) -> Wanted {
    let Some((unit, spec)) = range.and_then(|text| text.split_once('=')) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || spec.contains(',') {
        return Wanted::Whole;
    }
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // A number beyond all files is beyond the end of this one.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(count)) if first.is_empty() => {
            if count == 0 {
                return Wanted::Nothing;
            }
            size.saturating_sub(count)..size
        }
        _ => return Wanted::Whole,
    };
    if range.start >= size { Wanted::Nothing } else { Wanted::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(header: &str) -> Option<String> {
        let value = http::HeaderValue::from_bytes(header.as_bytes()).unwrap();
        file_name(&[(CONTENT_DISPOSITION, value)].into_iter().collect(), None)
    }

    #[test]
    fn names_come_by_header_or_query() {
        for (header, expected) in [
            ("attachment; filename=\"a b.pdf\"", Some("a b.pdf")),
            ("attachment; filename=plain.txt", Some("plain.txt")),
            ("attachment; filename=\"x\"; filename*=UTF-8''%E2%82%AC.txt", Some("€.txt")),
            ("attachment; filename*=utf-8'en'a%20b; filename=x", Some("a b")),
            ("attachment; filename=\"a\\\"b\"", Some("a\"b")),
            ("attachment; filename=\"a;b=c\"; size=7", Some("a;b=c")),
            ("attachment; filename=\"../../etc/passwd\"", Some("passwd")),
            ("attachment; filename=\"C:\\\\x\\\\y.doc\"", Some("y.doc")),
            ("attachment; filename=\"..\"", None),
            ("attachment; filename=\"\"", None),
            ("attachment", None),
            ("attachment; filename*=latin1''x", None),
            ("attachment; filename*=UTF-8''%zz", None),
        ] {
            assert_eq!(name(header).as_deref(), expected, "{header}");
        }
        let none = HeaderMap::new();
        assert_eq!(file_name(&none, Some("a/b\u{7}.txt")).as_deref(), Some("b.txt"));
        assert_eq!(file_name(&none, Some(&"ü".repeat(200))).unwrap().len(), 254);
        assert_eq!(file_name(&none, None), None);
    }

    #[test]
    fn what_is_given_out_reads_as_what_came_in() {
        for text in ["a b.pdf", "€ \"q\".txt", "100%", "ü"] {
            assert_eq!(name(&disposition(Some(text))).as_deref(), Some(text));
        }
        assert_eq!(disposition(None), "attachment");
        assert!(disposition(Some("a\r\nb")).bytes().all(|b| b >= b' '));
    }

    #[test]
    fn media_types_have_a_form() {
        for good in ["text/plain", "application/vnd.x+json; charset=utf-8", "image/png"] {
            assert!(is_media_type(good), "{good}");
        }
        for bad in ["", "text", "text/", "/x", "a b/c", "text/html\r\nx: y", "te\u{e9}t/x"] {
            assert!(!is_media_type(bad), "{bad:?}");
        }
    }

    #[test]
    fn ranges() {
        let part = |range| Wanted::Part(range);
        for (text, expected) in [
            ("bytes=0-0", part(0..1)),
            ("bytes=2-5", part(2..6)),
            ("bytes=2-", part(2..10)),
            ("bytes=-3", part(7..10)),
            ("bytes=-30", part(0..10)),
            ("bytes=9-99999999999999999999999", part(9..10)),
            ("Bytes=1-1", part(1..2)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-12", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("bytes", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(text), 10), expected, "{text}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=0-0"), 0), Wanted::Nothing);
    }
}
