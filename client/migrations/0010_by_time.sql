-- What one message changes for each of its receivers lies together: their rows begin with what
-- they share, and the ids of messages with the time.
DROP INDEX messages_by_id;
CREATE UNIQUE INDEX messages_by_id ON messages (message_id, group_id, owner, sender);

CREATE TABLE inbox_anew (
    hash    BLOB NOT NULL,
    owner   INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (hash, owner)
) STRICT, WITHOUT ROWID;
INSERT INTO inbox_anew SELECT hash, owner, seen_at FROM inbox ORDER BY hash, owner;
DROP TABLE inbox;
ALTER TABLE inbox_anew RENAME TO inbox;
CREATE INDEX inbox_by_age ON inbox (seen_at);
