//! A Unix socket in the data directory, for what only the running node can do.
//!
//! One request is one line, and so is its answer. Only the owner of the directory can connect.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use crate::backup::{self, Backup, BackupError};
use crate::store::lsm::LsmReads;

/// Name of the socket in the data directory.
const SOCKET: &str = "node.sock";
/// Longest request, in bytes.
const MAX_LINE: u64 = 8 * 1024;
/// How long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);
const BACKUP: &str = "backup ";

/// Binds the socket. The caller holds the lock of the directory, so one that is there is stale.
pub(crate) fn bind(data_dir: &Path) -> io::Result<UnixListener> {
    let path = data_dir.join(SOCKET);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves requests, one at a time, for ever.
pub(crate) async fn serve(listener: &UnixListener, reads: &LsmReads, data_dir: &Path) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = answer(stream, reads, data_dir).await {
                    tracing::debug!(%error, "a control request ended early");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, reads: &LsmReads, data_dir: &Path) -> io::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new((&mut stream).take(MAX_LINE));
    timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let answer = match line.trim_end_matches('\n').strip_prefix(BACKUP) {
        None => "error unknown request\n".to_owned(),
        Some(target) => match backup::take(reads, data_dir, Path::new(target)).await {
            Ok(Backup { records, bytes }) => format!("ok {records} {bytes}\n"),
            Err(error) => format!("error {error}\n"),
        },
    };
    stream.write_all(answer.as_bytes()).await
}

/// Asks the node that runs on a data directory for a backup.
pub(crate) async fn ask_backup(data_dir: &Path, target: &Path) -> Result<Backup, BackupError> {
    let path: PathBuf = data_dir.join(SOCKET);
    let failed = |error: io::Error| BackupError::Node(error.to_string());
    let target = target.to_str().filter(|target| !target.contains('\n'));
    let target = target.ok_or_else(|| BackupError::Node("the target is not UTF-8".into()))?;
    let mut stream = UnixStream::connect(&path).await.map_err(failed)?;
    stream.write_all(format!("{BACKUP}{target}\n").as_bytes()).await.map_err(failed)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await.map_err(failed)?;
    let mut words = answer.trim_end().splitn(3, ' ');
    let numbers = match (words.next(), words.next(), words.next()) {
        (Some("ok"), Some(records), Some(bytes)) => records.parse().ok().zip(bytes.parse().ok()),
        _ => None,
    };
    let Some((records, bytes)) = numbers else {
        let error = answer.trim_end().strip_prefix("error ").unwrap_or("it has gone");
        return Err(BackupError::Node(error.to_owned()));
    };
    Ok(Backup { records, bytes })
}
