-- An old copy of the state goes on with new counters, and must be added to its groups again.
ALTER TABLE identities DROP COLUMN stale;
-- 1: key packages at the node may be of another copy of this database, and are to be replaced.
ALTER TABLE identities ADD COLUMN replace_packages INTEGER NOT NULL DEFAULT 0;
