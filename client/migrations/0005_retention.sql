-- Events up to this position are deleted: a cursor below it has lost some of them.
ALTER TABLE identities ADD COLUMN forgotten_up_to INTEGER NOT NULL DEFAULT 0;
-- Why the session does not run, until an operator says otherwise: 'displaced INSTANCE' or
-- 'exported'.
ALTER TABLE identities ADD COLUMN halted TEXT;

-- Own messages are kept as long as the event that says what became of them.
CREATE INDEX events_of_own ON events (owner, message) WHERE message <> seq;
