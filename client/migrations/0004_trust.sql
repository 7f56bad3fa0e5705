-- Names, each pinned to the first key that signed for it.
CREATE TABLE names (
    owner     INTEGER NOT NULL,
    name      TEXT NOT NULL,
    identity  BLOB NOT NULL,
    pinned_at INTEGER NOT NULL,
    changed   INTEGER NOT NULL,                 -- 1: it pointed to another key before;
                                                -- 2: so it did, and the key was verified since
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX names_by_identity ON names (owner, identity);

INSERT INTO names SELECT owner, name, identity, 0, changed FROM contacts;
DROP TABLE contacts;

-- Every identity that was met.
CREATE TABLE trust (
    owner      INTEGER NOT NULL,
    identity   BLOB NOT NULL,
    first_seen INTEGER NOT NULL,
    verified   BLOB,                            -- sealed: when its safety number was compared
    PRIMARY KEY (owner, identity)
) STRICT, WITHOUT ROWID;
