-- The last look at a target, which may have failed: checked is the last one that
-- did not. look_class and look_error are why the last one did, '' if it did not.
ALTER TABLE targets ADD COLUMN looked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE targets ADD COLUMN look_class TEXT NOT NULL DEFAULT '';
ALTER TABLE targets ADD COLUMN look_error TEXT NOT NULL DEFAULT '';
UPDATE targets SET looked = checked;
