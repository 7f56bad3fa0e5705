//! Opening, damage, other versions.

use std::fs;
use std::fs::File;
use std::path::Path;

use quicproquo_schemas::id::IdentityKey;

use super::*;
use crate::store::mark::Mark;
use crate::store::sqlite::inspect::ROLLBACK;
use crate::store::{DirectoryBackend as _, DirectoryReads as _, Operate as _};

async fn refusal(data_dir: &Path) -> StoreError {
    open(data_dir).await.map(drop).unwrap_err()
}

#[tokio::test]
async fn a_lost_database_is_not_replaced_by_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).await.unwrap());
    drop(open(dir.path()).await.unwrap());
    fs::remove_file(dir.path().join(FILE)).unwrap();
    assert!(matches!(refusal(dir.path()).await, StoreError::Missing(_)));
    File::create(dir.path().join(FILE)).unwrap();
    assert!(matches!(refusal(dir.path()).await, StoreError::Corrupt { .. }));
    fs::write(dir.path().join(FILE), [7; 8192]).unwrap();
    assert!(matches!(refusal(dir.path()).await, StoreError::Corrupt { .. }));
}

#[tokio::test]
async fn a_first_start_that_was_cut_off_is_done_again() {
    for existed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let begun = options(&path).create_if_missing(true).connect().await.unwrap();
        begun.close().await.unwrap();
        assert!(fs::metadata(&path).unwrap().len() > 0, "a header, and no tables");
        if existed {
            File::create(dir.path().join(MARKER)).unwrap();
            assert!(matches!(refusal(dir.path()).await, StoreError::Foreign(_)));
        } else {
            drop(open(dir.path()).await.unwrap());
            drop(open(dir.path()).await.unwrap());
        }
    }
}

/// What `SQLite` keeps beside a database of one page while it turns on the write-ahead log.
fn rollback_of_an_empty_database() -> Vec<u8> {
    let magic = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let [records, nonce, pages, sector, page] = [0_u32, 7, 0, 512, 4096].map(u32::to_be_bytes);
    let mut journal = [&magic[..], &records, &nonce, &pages, &sector, &page].concat();
    journal.resize(512, 0);
    journal
}

#[tokio::test]
async fn a_first_start_that_was_cut_off_in_its_first_change_is_done_again() {
    for existed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        options(&path).create_if_missing(true).connect().await.unwrap().close().await.unwrap();
        fs::write(dir.path().join(ROLLBACK), rollback_of_an_empty_database()).unwrap();
        if existed {
            File::create(dir.path().join(MARKER)).unwrap();
            let before = files(dir.path());
            let _ = refusal(dir.path()).await;
            assert_eq!(files(dir.path()), before, "what is refused stays as it is");
        } else {
            drop(open(dir.path()).await.unwrap());
            drop(open(dir.path()).await.unwrap());
        }
    }
}

#[tokio::test]
async fn newer_foreign_and_damaged_databases_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut database = open(dir.path()).await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 1000")
        .execute(&mut database.writer.connection)
        .await
        .unwrap();
    drop(database);
    assert!(matches!(refusal(dir.path()).await, StoreError::Newer { found: 1000, .. }));

    let dir = tempfile::tempdir().unwrap();
    let mut database = open(dir.path()).await.unwrap();
    sqlx::raw_sql("PRAGMA application_id = 1")
        .execute(&mut database.writer.connection)
        .await
        .unwrap();
    drop(database);
    assert!(matches!(refusal(dir.path()).await, StoreError::Foreign(_)));

    let dir = tempfile::tempdir().unwrap();
    let database = open(dir.path()).await.unwrap();
    database.reads.close().await;
    database.writer.close().await;
    let path = dir.path().join(FILE);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[100..middle].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    assert!(matches!(refusal(dir.path()).await, StoreError::Corrupt { .. }));
}

const NOW: u64 = 1_000_000;

fn identity(number: u8) -> IdentityKey {
    IdentityKey::new([number; 32])
}

/// The files of a node that is killed after so many bans, in a directory of their own.
async fn killed_after(bans: u8) -> tempfile::TempDir {
    let (dir, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut database = open(dir.path()).await.unwrap();
    for number in 0..bans {
        assert!(database.writer.ban(identity(number), NOW).await.unwrap());
    }
    for name in [FILE, LOG, MARK, MARKER] {
        fs::copy(dir.path().join(name), killed.path().join(name)).unwrap();
    }
    database.reads.close().await;
    database.writer.close().await;
    killed
}

const LOG: &str = "node.db-wal";

async fn bans(data_dir: &Path) -> Result<usize, StoreError> {
    let database = open(data_dir).await?;
    let bans = database.reads.bans(None).await?.unwrap();
    database.reads.close().await;
    database.writer.close().await;
    Ok(bans.identities.len())
}

/// Every file below the directory but SQLite's index of the log, which holds nothing.
fn files(dir: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != "node.db-shm")
        .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn every_flipped_byte_of_the_log_is_noticed_or_harmless() {
    let killed = killed_after(8).await;
    let log = fs::read(killed.path().join(LOG)).unwrap();
    let original = files(killed.path());
    let mut refused = 0;
    for at in (0..log.len()).step_by(797) {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in &original {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        let mut bytes = log.clone();
        bytes[at] ^= 0x10;
        fs::write(dir.path().join(LOG), &bytes).unwrap();
        match bans(dir.path()).await {
            Err(StoreError::Behind { acknowledged: 8, .. }) => {
                refused += 1;
                let mut left = files(dir.path());
                let (_, kept) = left.iter_mut().find(|(name, _)| name == LOG).unwrap();
                assert_eq!(*kept, bytes, "a refusal has changed the log");
                kept.clone_from(&log);
                assert_eq!(left, original, "a refusal has changed something");
            }
            Err(error) => panic!("byte {at}: {error}"),
            Ok(bans) => assert_eq!(bans, 8, "byte {at} lost bans in silence"),
        }
    }
    assert!(refused > 20, "only {refused} refusals");
    assert_eq!(bans(killed.path()).await.unwrap(), 8);
}

#[tokio::test]
async fn a_log_that_is_cut_or_gone_is_noticed_and_the_error_says_what_to_do() {
    let killed = killed_after(5).await;
    let log = killed.path().join(LOG);
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 1]).unwrap();
    let text = bans(killed.path()).await.unwrap_err().to_string();
    for part in ["node.db ends at commit 4", "commit 5 was acknowledged", "remove", MARK] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(Sqlite::open_beside(killed.path()).await.is_err(), "nor do commands go on from it");
    fs::remove_file(&log).unwrap();
    let error = bans(killed.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Behind { commits: 0, acknowledged: 5, .. }), "{error}");
}

#[tokio::test]
async fn without_the_mark_a_damaged_end_is_lost_in_silence() {
    let killed = killed_after(5).await;
    let log = killed.path().join(LOG);
    let mut bytes = fs::read(&log).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&log, &bytes).unwrap();
    fs::remove_file(killed.path().join(MARK)).unwrap();
    assert_eq!(bans(killed.path()).await.unwrap(), 4);
}

#[tokio::test]
async fn commits_are_numbered_across_processes_and_only_when_something_changes() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join(MARK);
    let marked = || Mark::read(&mark).unwrap().unwrap();
    let mut database = open(dir.path()).await.unwrap();
    assert_eq!(marked(), 0);
    assert!(database.writer.ban(identity(1), NOW).await.unwrap());
    assert_eq!(marked(), 1);
    let mut beside = Sqlite::open_beside(dir.path()).await.unwrap();
    assert!(beside.ban(identity(2), NOW).await.unwrap());
    beside.close().await;
    assert_eq!(marked(), 2);
    database.writer.begin().await.unwrap();
    database.writer.purge(NOW, 100).await.unwrap();
    database.writer.commit().await.unwrap();
    assert_eq!(marked(), 2, "nothing had to be removed");
    database.writer.begin().await.unwrap();
    database.writer.probe().await.unwrap();
    database.writer.commit().await.unwrap();
    assert_eq!(marked(), 3);
    database.writer.begin().await.unwrap();
    database.writer.probe().await.unwrap();
    database.writer.rollback().await;
    assert_eq!(marked(), 3);
    // A process that is late does not bring the mark back.
    database.writer.mark.raise(1);
    assert_eq!(marked(), 3);
    database.reads.close().await;
    database.writer.close().await;
    // Power failed before the mark was written out.
    Mark::create(&mark, 1).unwrap();
    assert_eq!(bans(dir.path()).await.unwrap(), 2);
    assert_eq!(marked(), 3);
}

#[tokio::test]
async fn an_earlier_version_is_migrated_by_the_node_and_not_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut database = open(dir.path()).await.unwrap();
    sqlx::raw_sql("DROP TABLE commits; PRAGMA user_version = 3")
        .execute(&mut database.writer.connection)
        .await
        .unwrap();
    database.reads.close().await;
    database.writer.close().await;
    fs::remove_file(dir.path().join(MARK)).unwrap();
    let error = Sqlite::open_beside(dir.path()).await.map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Unmigrated { found: 3, .. }), "{error}");
    assert_eq!(bans(dir.path()).await.unwrap(), 0);
    let mut beside = Sqlite::open_beside(dir.path()).await.unwrap();
    assert!(beside.ban(identity(2), NOW).await.unwrap());
    beside.close().await;
    assert_eq!(bans(dir.path()).await.unwrap(), 1);
}
