-- What tells an old copy of this database from the current one.
-- Sends below this counter may be at the node; 0: all that have a counter.
ALTER TABLE identities ADD COLUMN sent_below INTEGER NOT NULL DEFAULT 0;
-- 1: the node knows of a later state.
ALTER TABLE identities ADD COLUMN stale INTEGER NOT NULL DEFAULT 0;
