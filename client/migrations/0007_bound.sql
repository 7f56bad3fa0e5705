-- What stands in the open beside sealed values and must not be changed there is bound to them by
-- store/bound.rs. A start fills in what is NULL here, once; the 'check' row of meta says that it did.

-- Of own messages: binds state, epoch and recipients. NULL: it was received.
ALTER TABLE messages ADD COLUMN seal BLOB;
ALTER TABLE names ADD COLUMN seal BLOB;
-- 1: it has a name that pointed to another key before. Sealed with `verified`, which is there always.
ALTER TABLE trust ADD COLUMN took_over INTEGER NOT NULL DEFAULT 0;
ALTER TABLE identities ADD COLUMN policy_seal BLOB;
ALTER TABLE identities ADD COLUMN halted_seal BLOB;
-- idempotency.fingerprint is sealed from now on.
