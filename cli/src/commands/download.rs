//! `qpq download`: a file that somebody has sent.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use reqwest::header::{CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, HeaderMap, IF_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::args::Download;
use crate::config::Settings;
use crate::exit::Failure;
use crate::files::{place, wrong};
use crate::output::{print, say_json, transfer};
use crate::rest::{self, Pauses, Refusal, Rest};

/// Downloads one file; goes on where it was when the gateway was away.
pub(crate) async fn run(settings: &Settings, download: Download) -> Result<(), Failure> {
    let rest = rest::bot(settings, &download.access)?;
    let id = &download.attachment;
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::usage("an attachment's id has 32 hexadecimal digits"));
    }
    let mut fetch = Fetch { rest, path: format!("/v1/attachments/{id}"), tag: None, done: 0 };
    let limit = Limit { begun: Instant::now(), download: &download };
    let first = limit.insist(&fetch, &mut Pauses::default()).await?;
    let name = file_name(first.headers()).unwrap_or_else(|| id.clone());
    let kind = header(first.headers(), CONTENT_TYPE.as_str());
    if download.output.as_deref() == Some(Path::new("-")) {
        return limit.copy(&mut fetch, first, &name, &mut std::io::stdout()).await;
    }
    let to = place(download.output.as_deref(), &name);
    let mut file = File::create_new(&to).map_err(|error| wrong(&to, error))?;
    let copied = match limit.copy(&mut fetch, first, &name, &mut file).await {
        Ok(()) => block_in_place(|| file.sync_all()).map_err(|error| unwritten(&to, &error)),
        Err(failure) => Err(failure),
    };
    if let Err(failure) = copied {
        let _ = std::fs::remove_file(&to);
        return Err(failure);
    }
    if download.access.json {
        let size = fetch.done;
        return say_json(
            &json!({ "attachment_id": id, "name": name, "mime": kind, "size": size, "path": to }),
        );
    }
    print(to.display())
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::other(format!("{}: {error}", path.display()))
}

/// How far a file has come.
struct Fetch {
    rest: Rest,
    path: String,
    /// What the rest must be the rest of.
    tag: Option<String>,
    /// Bytes that are written.
    done: u64,
}

impl Fetch {
    /// Asks for what is not there yet.
    async fn open(&self) -> Result<Response, Refusal> {
        let mut request = self.rest.request(Method::GET, &self.path);
        if let Some(tag) = self.tag.as_deref().filter(|_| self.done > 0) {
            request = request.header(RANGE, format!("bytes={}-", self.done)).header(IF_RANGE, tag);
        }
        self.rest.send(request).await
    }
}

/// How long it is tried.
struct Limit<'a> {
    begun: Instant,
    download: &'a Download,
}

impl Limit<'_> {
    async fn insist(&self, fetch: &Fetch, pauses: &mut Pauses) -> Result<Response, Failure> {
        loop {
            match fetch.open().await {
                Ok(response) => return Ok(response),
                Err(refusal) => self.pause(refusal, pauses).await?,
            }
        }
    }

    /// Waits for another try, or says what was in the way.
    async fn pause(&self, refusal: Refusal, pauses: &mut Pauses) -> Result<(), Failure> {
        let pause = pauses.next();
        if !refusal.passing || self.begun.elapsed() + pause > self.download.retry {
            return Err(refusal.failure);
        }
        sleep(pause).await;
        Ok(())
    }

    /// Writes the answer, and what further answers add, until all is there.
    async fn copy(
        &self,
        fetch: &mut Fetch,
        first: Response,
        name: &str,
        to: &mut impl Write,
    ) -> Result<(), Failure> {
        let bar = transfer(name, first.content_length().unwrap_or_default());
        fetch.tag = Some(header(first.headers(), ETAG.as_str())).filter(|tag| !tag.is_empty());
        let mut response = first;
        let mut pauses = Pauses::default();
        loop {
            let broken = loop {
                match response.chunk().await {
                    Ok(None) => break None,
                    Err(_) => break Some(fetch.rest.gone()),
                    Ok(Some(bytes)) => {
                        match block_in_place(|| to.write_all(&bytes)) {
                            // A reader that has gone away is no failure.
                            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                            Err(error) => return Err(Failure::other(format!("{name}: {error}"))),
                            Ok(()) => {}
                        }
                        fetch.done += bytes.len() as u64;
                        bar.set_position(fetch.done);
                        pauses = Pauses::default();
                    }
                }
            };
            let Some(refusal) = broken else { break };
            self.pause(refusal, &mut pauses).await?;
            response = self.insist(fetch, &mut pauses).await?;
            if fetch.done > 0 && response.status() != StatusCode::PARTIAL_CONTENT {
                return Err(Failure::other(format!("{name} is another file than before")));
            }
        }
        to.flush().map_err(|error| Failure::other(format!("{name}: {error}")))
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// What the sender calls the file, as the gateway writes it (RFC 6266, RFC 8187).
fn file_name(headers: &HeaderMap) -> Option<String> {
    let header = header(headers, CONTENT_DISPOSITION.as_str());
    let (_, encoded) = header.split_once("filename*=UTF-8''")?;
    let encoded = encoded.split(';').next()?.trim();
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                u8::from_str_radix(std::str::from_utf8(&[rest.next()?, rest.next()?]).ok()?, 16)
                    .ok()?
            }
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_scripts_come_back() {
        let named = |value: &str| {
            let value = value.parse().unwrap();
            file_name(&HeaderMap::from_iter([(CONTENT_DISPOSITION, value)]))
        };
        let header = "attachment; filename=\"_ b.txt\"; filename*=UTF-8''%C3%BC%20b.txt";
        assert_eq!(named(header).as_deref(), Some("ü b.txt"));
        for none in
            ["attachment", "attachment; filename*=UTF-8''%C", "attachment; filename*=UTF-8''%FF"]
        {
            assert_eq!(named(none), None, "{none}");
        }
    }
}
