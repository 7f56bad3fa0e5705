-- A search in a WITHOUT ROWID table reads all of each row that it passes, and some rows of MLS state have
-- 100 KiB. In an ordinary table it reads keys, and rows that are made together lie together: those
-- that a message changes for all its receivers.
CREATE TABLE mls_anew (
    owner INTEGER NOT NULL,
    scope BLOB NOT NULL,                        -- HMAC of the scope
    key   BLOB NOT NULL,                        -- HMAC of the key
    value BLOB NOT NULL,                        -- sealed key and value
    PRIMARY KEY (owner, scope, key)
) STRICT;
INSERT INTO mls_anew SELECT owner, scope, key, value FROM mls ORDER BY owner, scope, key;
DROP TABLE mls;
ALTER TABLE mls_anew RENAME TO mls;
