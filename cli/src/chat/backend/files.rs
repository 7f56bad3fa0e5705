//! Files on their way to and from the node.

use std::path::Path;

use quicproquo_client::{GroupId, Options, Outgoing, Session};
use serde_json::json;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Backend, Event, said};
use crate::files::{mime, place};

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

impl Backend {
    /// Sends a file into a group.
    pub(super) async fn upload(
        &self,
        session: &Session,
        group: GroupId,
        path: &Path,
        caption: Option<String>,
    ) -> Result<(), String> {
        let of_file = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut file = File::open(path).await.map_err(of_file)?;
        let size = file.metadata().await.map_err(of_file)?.len();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| "file".to_owned());
        let mut upload =
            session.upload(Some(name.clone()), Some(mime(path).to_owned())).map_err(said)?;
        let mut piece = vec![0; PIECE];
        let (mut done, mut told) = (0_u64, 0);
        loop {
            let count = file.read(&mut piece).await.map_err(of_file)?;
            if count == 0 {
                break;
            }
            upload.write(&piece[..count]).await.map_err(said)?;
            done += count as u64;
            let tenth = done * 10 / size.max(1);
            if tenth > told {
                told = tenth;
                self.tell(Event::Done(format!("{name}: {}0 % sealed", tenth.min(10)))).await;
            }
        }
        self.tell(Event::Done(format!("{name}: on its way to the node.."))).await;
        let attachment = upload.finish(None).await.map_err(said)?.value;
        let mut body = json!({ "attachment_id": attachment.id.to_string() });
        if let Some(caption) = caption {
            body["caption"] = json!(caption);
        }
        let message = Outgoing { kind: "file".to_owned(), body, relates_to: None };
        session.send(group, message, Options::default()).await.map_err(said)?;
        self.tell(Event::Done(format!("{name} is sent."))).await;
        Ok(())
    }

    /// Saves a file under a name that is free.
    pub(super) async fn save(
        &self,
        session: &Session,
        id: &str,
        name: &str,
        to: Option<&Path>,
    ) -> Result<(), String> {
        let id = id.parse().map_err(|_| "the message names no file".to_owned())?;
        let attachment = session.attachment(&id, None).await.map_err(said)?;
        let path = place(to, name);
        let of_file = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut download = session.download(&attachment, 0..attachment.size).map_err(said)?;
        let mut file = File::create_new(&path).await.map_err(of_file)?;
        let fetched = async {
            while let Some(bytes) = download.next().await.map_err(said)? {
                file.write_all(&bytes).await.map_err(of_file)?;
            }
            file.sync_all().await.map_err(of_file)
        };
        if let Err(reason) = fetched.await {
            let _ = tokio::fs::remove_file(&path).await;
            return Err(reason);
        }
        self.tell(Event::Done(format!("saved as {}", path.display()))).await;
        Ok(())
    }
}
