//! `qpq bot export` and `import`: the archive that a bot moves in.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::files::{new_secret, wrong};
use crate::rest::{Rest, text};

/// What every archive begins with.
const MAGIC: &[u8] = b"qpq-archive";

/// Writes a bot's archive into a new file; answers what is to be said of it.
pub(super) async fn export(
    rest: &Rest,
    id: &str,
    to: &Path,
    passphrase_file: &Path,
) -> Result<Value, Failure> {
    let passphrase = passphrase(passphrase_file)?;
    let mut file = new_secret(to)?;
    let exported = fetch(rest, id, &passphrase, &mut file).await;
    if exported.is_err() {
        let _ = std::fs::remove_file(to);
    }
    exported
}

async fn fetch(rest: &Rest, id: &str, passphrase: &str, file: &mut File) -> Result<Value, Failure> {
    let path = format!("/v1/bots/{id}/export");
    let mut exported = rest.post(&path, &json!({ "passphrase": passphrase })).await?;
    let archive = BASE64_STANDARD.decode(text(&exported, "archive")?).map_err(Failure::other)?;
    file.write_all(&archive).and_then(|()| file.sync_all()).map_err(Failure::other)?;
    exported["archive"] = json!(null);
    exported["bytes"] = json!(archive.len());
    Ok(exported)
}

/// What the gateway wants of an import.
pub(super) fn request(from: &Path, passphrase_file: &Path) -> Result<Value, Failure> {
    let passphrase = passphrase(passphrase_file)?;
    let bytes = std::fs::read(from).map_err(|error| wrong(from, error))?;
    let archive = encoded(&bytes).ok_or_else(|| wrong(from, "there is no archive in it"))?;
    Ok(json!({ "archive": archive, "passphrase": passphrase }))
}

/// The Base64 of an archive that was kept as it is, as its Base64, or in the answer of the export
/// route.
fn encoded(bytes: &[u8]) -> Option<String> {
    if bytes.starts_with(MAGIC) {
        return Some(BASE64_STANDARD.encode(bytes));
    }
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let answer: Option<Value> = serde_json::from_str(text).ok();
    let archive = match &answer {
        Some(answer) => answer["archive"].as_str().or(answer.as_str())?.to_owned(),
        None => text.split_ascii_whitespace().collect(),
    };
    BASE64_STANDARD.decode(&archive).is_ok_and(|bytes| bytes.starts_with(MAGIC)).then_some(archive)
}

fn passphrase(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| wrong(path, error))?;
    let passphrase = text.trim_end_matches(['\r', '\n']);
    if passphrase.len() < 12 {
        return Err(Failure::usage("a passphrase has 12 bytes or more"));
    }
    Ok(passphrase.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_known_in_all_its_forms() {
        let raw = [MAGIC, &[1, 0, 255, 254]].concat();
        let base64 = BASE64_STANDARD.encode(&raw);
        let (front, back) = base64.split_at(8);
        for form in [
            base64.clone(),
            format!("{front}\n{back}\n"),
            json!({ "bot_id": "b1", "archive": base64 }).to_string(),
            format!("{:#}\n", json!({ "archive": base64, "passphrase": "is not looked at" })),
            json!(base64).to_string(),
        ] {
            assert_eq!(encoded(form.as_bytes()).as_ref(), Some(&base64), "{form}");
        }
        assert_eq!(encoded(&raw), Some(base64));
        for other in [&b""[..], b"\xff\xfe", b"AAAA", b"{}", b"{\"archive\":\"AAAA\"}", b"hello"] {
            assert_eq!(encoded(other), None, "{other:?}");
        }
    }
}
