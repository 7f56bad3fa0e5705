-- Rows that decide who may do what are bound by a seal (store/seal.rs); what must not be read is
-- sealed. A start does that to the rows of earlier versions, once.
ALTER TABLE bots ADD COLUMN seal BLOB;
ALTER TABLE tokens ADD COLUMN seal BLOB;
ALTER TABLE consumers ADD COLUMN seal BLOB;
-- In place of settings, which is empty.
ALTER TABLE webhooks ADD COLUMN sealed BLOB;
-- Fingerprint and answer, which are empty.
ALTER TABLE admin_requests ADD COLUMN sealed BLOB;
-- In place of content, which is empty.
ALTER TABLE matrix_account_data ADD COLUMN sealed BLOB;
