-- Who asked for a target: a pipeline (asked), or else only the configuration,
-- whose word is asked of it anew each time. Of targets that were there before
-- nobody knows any more, so they count as asked for.
ALTER TABLE targets ADD COLUMN asked INTEGER NOT NULL DEFAULT 1;
ALTER TABLE targets ADD COLUMN added INTEGER NOT NULL DEFAULT 0; -- when it was first recorded
-- How an HTTP header is made of the secret, where a pipeline made one; no
-- secret stands in it. See mirror/recipe.go.
ALTER TABLE targets ADD COLUMN auth TEXT NOT NULL DEFAULT '';

-- Commit statuses that a forge is still to be told of, one for each job.
CREATE TABLE statuses (
	git_dir     TEXT NOT NULL,
	url         TEXT NOT NULL,
	oid         TEXT NOT NULL, -- the commit
	context     TEXT NOT NULL, -- "quire/test"
	state       TEXT NOT NULL,
	description TEXT NOT NULL,
	link        TEXT NOT NULL,
	at          INTEGER NOT NULL, -- of this state
	attempts    INTEGER NOT NULL DEFAULT 0,
	next_at     INTEGER NOT NULL, -- 0: not before something lands at the target
	error       TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (git_dir, url, oid, context)
) WITHOUT ROWID;

CREATE INDEX statuses_due ON statuses (next_at, git_dir, url) WHERE next_at > 0;

-- Pushes whose pusher has yet to be told what became of them at the mirrors.
CREATE TABLE mirror_reports (
	push_id TEXT PRIMARY KEY,
	targets TEXT NOT NULL -- JSON
) WITHOUT ROWID;
