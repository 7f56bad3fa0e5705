-- Matrix logins: the token that was the password, and what the client calls its device.
ALTER TABLE tokens ADD COLUMN parent TEXT REFERENCES tokens (token_id) ON DELETE CASCADE;
ALTER TABLE tokens ADD COLUMN device_id TEXT;

CREATE INDEX tokens_of_parent ON tokens (parent);

-- Filters of Matrix clients, by their hash.
CREATE TABLE matrix_filters (
    bot_id TEXT NOT NULL REFERENCES bots (bot_id) ON DELETE CASCADE,
    filter_id TEXT NOT NULL,
    filter TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (bot_id, filter_id)
) STRICT, WITHOUT ROWID;

-- What a bot keeps for itself through a Matrix client.
CREATE TABLE matrix_account_data (
    bot_id TEXT NOT NULL REFERENCES bots (bot_id) ON DELETE CASCADE,
    -- A group's id; empty: of the bot as a whole.
    group_id TEXT NOT NULL,
    type TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (bot_id, group_id, type)
) STRICT, WITHOUT ROWID;
