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
