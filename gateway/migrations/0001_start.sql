CREATE TABLE bots (
    bot_id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    identity TEXT NOT NULL UNIQUE,
    -- 'creating' and 'deleting' rows are finished at the next start.
    state TEXT NOT NULL CHECK (state IN ('creating', 'active', 'deleting')),
    created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
    token_id TEXT PRIMARY KEY,
    bot_id TEXT NOT NULL REFERENCES bots (bot_id) ON DELETE CASCADE,
    -- SHA-256 of the token.
    hash BLOB NOT NULL UNIQUE,
    label TEXT NOT NULL,
    -- JSON array of scope names.
    scopes TEXT NOT NULL,
    -- JSON array of group ids; NULL means all groups.
    groups TEXT,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER
) STRICT;

CREATE INDEX tokens_of_bot ON tokens (bot_id);

CREATE TABLE consumers (
    bot_id TEXT NOT NULL REFERENCES bots (bot_id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- Everything up to here is acknowledged.
    cursor TEXT NOT NULL,
    PRIMARY KEY (bot_id, name)
) STRICT, WITHOUT ROWID;

-- Answers to admin requests that carried an Idempotency-Key; never a secret.
CREATE TABLE admin_requests (
    key TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    status INTEGER NOT NULL,
    answer TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX admin_requests_by_age ON admin_requests (created_at_ms);
