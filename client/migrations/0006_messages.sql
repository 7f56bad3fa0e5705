-- What a message is, by the numbers of store/messages/class.rs. 0: it was written before this column.
ALTER TABLE messages ADD COLUMN class INTEGER NOT NULL DEFAULT 0;
-- The message that an edit, a deletion, a reaction or a read marker is about.
ALTER TABLE messages ADD COLUMN target BLOB;
-- The attachment of a file.
ALTER TABLE messages ADD COLUMN attachment BLOB;
-- When its sender has deleted it, unix milliseconds; its content is empty then.
ALTER TABLE messages ADD COLUMN deleted_at INTEGER;

-- History is searched in this index alone.
DROP INDEX messages_by_group;
CREATE INDEX messages_by_group ON messages (owner, group_id, seq, class, received_at);
CREATE INDEX messages_by_target ON messages (owner, group_id, target) WHERE target IS NOT NULL;
CREATE INDEX messages_by_attachment ON messages (owner, attachment) WHERE attachment IS NOT NULL;

-- Who writes: gone after half a minute.
CREATE INDEX messages_typing ON messages (owner, received_at) WHERE class = 8;
CREATE INDEX events_typing ON events (owner, occurred_at) WHERE kind = 'member.typing';

-- Files that were uploaded here; those that were received are in their messages.
CREATE TABLE attachments (
    owner         INTEGER NOT NULL,
    attachment_id BLOB NOT NULL,
    created_at    INTEGER NOT NULL,
    record        BLOB NOT NULL,                -- sealed
    PRIMARY KEY (owner, attachment_id)
) STRICT, WITHOUT ROWID;
ALTER TABLE idempotency ADD COLUMN attachment BLOB;
