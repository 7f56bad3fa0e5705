-- Rows with the content of a message lie in ordinary tables: a page of a WITHOUT ROWID table takes
-- 1002 bytes of a row, and what is beyond has a page of its own.

CREATE TABLE messages_anew (
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
    class       INTEGER NOT NULL DEFAULT 0,     -- see 0006_messages.sql
    target      BLOB,
    attachment  BLOB,
    deleted_at  INTEGER,
    seal        BLOB,                           -- see 0007_bound.sql
    PRIMARY KEY (owner, seq)
) STRICT;
INSERT INTO messages_anew
    SELECT owner, seq, group_id, sender, message_id, epoch, received_at, recipients, state, content,
           class, target, attachment, deleted_at, seal
    FROM messages ORDER BY owner, seq;
DROP TABLE messages;
ALTER TABLE messages_anew RENAME TO messages;
CREATE UNIQUE INDEX messages_by_id ON messages (owner, group_id, message_id, sender);
CREATE INDEX messages_by_group ON messages (owner, group_id, seq, class, received_at);
CREATE INDEX messages_by_target ON messages (owner, group_id, target, class, sender, seq)
    WHERE target IS NOT NULL;
CREATE INDEX messages_deletions ON messages (owner) WHERE class = 6;
CREATE INDEX messages_typing ON messages (owner, received_at) WHERE class = 8;
CREATE INDEX messages_by_attachment ON messages (owner, attachment) WHERE attachment IS NOT NULL;

CREATE TABLE outbox_anew (
    owner      INTEGER NOT NULL,
    counter    INTEGER NOT NULL,                -- of the send id
    created_at INTEGER NOT NULL,
    record     BLOB NOT NULL,                   -- sealed
    PRIMARY KEY (owner, counter)
) STRICT;
INSERT INTO outbox_anew
    SELECT owner, counter, created_at, record FROM outbox ORDER BY owner, counter;
DROP TABLE outbox;
ALTER TABLE outbox_anew RENAME TO outbox;
