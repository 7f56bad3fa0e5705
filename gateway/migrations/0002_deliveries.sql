-- What a consumer's cursor does not say: deliveries that were tried more than once, set aside, or
-- are asked for again. At most one row for a position of the log.
CREATE TABLE deliveries (
    bot_id TEXT NOT NULL,
    consumer TEXT NOT NULL,
    -- The event's cursor.
    cursor TEXT NOT NULL,
    -- 'open': not handled yet; 'parked': set aside; 'replay': set aside before, to be delivered.
    state TEXT NOT NULL CHECK (state IN ('open', 'parked', 'replay')),
    -- Which attempt is next, or was the last one.
    attempt INTEGER NOT NULL,
    -- The last delivery's id; empty when open.
    delivery_id TEXT NOT NULL,
    -- open: not before; parked: since when. Unix milliseconds.
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (bot_id, consumer, cursor),
    FOREIGN KEY (bot_id, consumer) REFERENCES consumers (bot_id, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE webhooks (
    webhook_id TEXT PRIMARY KEY,
    bot_id TEXT NOT NULL REFERENCES bots (bot_id) ON DELETE CASCADE,
    -- JSON: target, filter and state; no secret.
    settings TEXT NOT NULL,
    -- The key of the HMAC and the seed of the Ed25519 key, sealed.
    secrets BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX webhooks_of_bot ON webhooks (bot_id);

-- What became of events on their way to a webhook; the newest ones are kept.
CREATE TABLE webhook_deliveries (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id TEXT NOT NULL REFERENCES webhooks (webhook_id) ON DELETE CASCADE,
    -- The event's cursor.
    cursor TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    -- JSON: the last attempt.
    report TEXT NOT NULL,
    UNIQUE (webhook_id, cursor)
) STRICT;

CREATE INDEX webhook_deliveries_in_order ON webhook_deliveries (webhook_id, n);
