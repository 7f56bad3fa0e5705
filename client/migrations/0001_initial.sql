-- All `sealed` columns: XChaCha20-Poly1305, see store/seal.rs. `owner` is identities.id.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

CREATE TABLE identities (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    identity       BLOB NOT NULL UNIQUE,
    seed           BLOB NOT NULL,               -- sealed
    incarnation    INTEGER NOT NULL,
    next_counter   INTEGER NOT NULL,            -- of send ids
    received_up_to INTEGER NOT NULL,            -- position in the node's queue
    tail           INTEGER NOT NULL,            -- newest position of the event log
    invite_policy  TEXT NOT NULL
) STRICT;

CREATE TABLE hybrid_keys (
    owner      INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    secret     BLOB NOT NULL,                   -- sealed
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE mls (
    owner INTEGER NOT NULL,
    scope BLOB NOT NULL,                        -- HMAC of the scope
    key   BLOB NOT NULL,                        -- HMAC of the key
    value BLOB NOT NULL,                        -- sealed key and value
    PRIMARY KEY (owner, scope, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE key_packages (
    owner       INTEGER NOT NULL,
    reference   BLOB NOT NULL,
    suite       INTEGER NOT NULL,
    last_resort INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (owner, reference)
) STRICT, WITHOUT ROWID;

CREATE TABLE groups (
    owner      INTEGER NOT NULL,
    group_id   BLOB NOT NULL,
    state      TEXT NOT NULL,
    epoch      INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    record     BLOB NOT NULL,                   -- sealed
    PRIMARY KEY (owner, group_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    owner       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,               -- position in the event log
    group_id    BLOB NOT NULL,
    sender      BLOB NOT NULL,
    message_id  BLOB NOT NULL,
    epoch       INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    recipients  INTEGER NOT NULL,
    state       TEXT NOT NULL,                  -- JSON of the delivery state
    content     BLOB NOT NULL,                  -- sealed
    PRIMARY KEY (owner, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX messages_by_id ON messages (owner, group_id, message_id, sender);
CREATE INDEX messages_by_group ON messages (owner, group_id, seq);

CREATE TABLE events (
    owner       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    group_id    BLOB,
    occurred_at INTEGER NOT NULL,
    message     INTEGER,                        -- messages.seq, or
    data        BLOB,                           -- sealed
    PRIMARY KEY (owner, seq)
) STRICT, WITHOUT ROWID;

-- Events of groups whose invitation is not answered; they move when it is.
CREATE TABLE hidden_events (
    owner       INTEGER NOT NULL,
    group_id    BLOB NOT NULL,
    n           INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    data        BLOB NOT NULL,                  -- sealed
    PRIMARY KEY (owner, group_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    owner      INTEGER NOT NULL,
    counter    INTEGER NOT NULL,                -- of the send id
    created_at INTEGER NOT NULL,
    record     BLOB NOT NULL,                   -- sealed
    PRIMARY KEY (owner, counter)
) STRICT, WITHOUT ROWID;

CREATE TABLE inbox (
    owner   INTEGER NOT NULL,
    hash    BLOB NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (owner, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_by_age ON inbox (seen_at);

-- Opened payloads of future epochs and unknown groups.
CREATE TABLE buffered (
    owner      INTEGER NOT NULL,
    group_id   BLOB NOT NULL,
    n          INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    payload    BLOB NOT NULL,                   -- sealed
    PRIMARY KEY (owner, group_id, n)
) STRICT, WITHOUT ROWID;

-- Payloads that cannot be read, as they came.
CREATE TABLE set_aside (
    owner      INTEGER NOT NULL,
    hash       BLOB NOT NULL,
    reason     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    payload    BLOB NOT NULL,                   -- sealed
    PRIMARY KEY (owner, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE intents (
    owner      INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    group_id   BLOB NOT NULL,
    settled    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    record     BLOB NOT NULL,                   -- sealed
    PRIMARY KEY (owner, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX intents_open ON intents (owner, n) WHERE settled = 0;

CREATE TABLE idempotency (
    owner       INTEGER NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    intent      INTEGER,                        -- intents.n, or
    message     INTEGER,                        -- messages.seq
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE contacts (
    owner    INTEGER NOT NULL,
    identity BLOB NOT NULL,
    name     TEXT NOT NULL,
    changed  INTEGER NOT NULL,                  -- 1: the name pointed to another key before
    PRIMARY KEY (owner, identity)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX contacts_by_name ON contacts (owner, name);
