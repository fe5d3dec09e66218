-- Who moved the refs, if it was no push that a hook reported: 'unreported' where
-- nobody knows, or the id of the run whose processes did.
ALTER TABLE pushes ADD COLUMN made_by TEXT NOT NULL DEFAULT '';
-- Its pusher could not see how it ended, and is to be told at the next push.
ALTER TABLE pushes ADD COLUMN untold INTEGER NOT NULL DEFAULT 0;
CREATE INDEX pushes_untold ON pushes (git_dir, id) WHERE untold;

-- The run's supervisor was killed, or it ended with the machine: 1, and 2 when that
-- was seen to (it is run again, or is not).
ALTER TABLE runs ADD COLUMN interrupted INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_interrupted ON runs (number) WHERE interrupted = 1;
-- It was made because the run that retry_of names was interrupted.
ALTER TABLE runs ADD COLUMN rerun INTEGER NOT NULL DEFAULT 0;
