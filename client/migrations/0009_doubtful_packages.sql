-- 1: a later copy of this database may have used this package, and joined a group with it.
ALTER TABLE key_packages ADD COLUMN doubtful INTEGER NOT NULL DEFAULT 0;
