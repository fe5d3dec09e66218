-- What mirrors owe their targets. A delivery is one ref of one repository at
-- one remote URL; the leases of later pushes rest on its put column, so a row
-- outlives its success.

CREATE TABLE targets (
	git_dir   TEXT NOT NULL,
	url       TEXT NOT NULL, -- without credentials: those are never recorded
	name      TEXT NOT NULL,
	secret    TEXT NOT NULL, -- its name in the configuration
	force     TEXT NOT NULL,
	deletes   TEXT NOT NULL,
	retry_for INTEGER NOT NULL,
	forge     TEXT NOT NULL,
	api       TEXT NOT NULL,
	checked   INTEGER NOT NULL DEFAULT 0, -- the last audit
	expires   INTEGER NOT NULL DEFAULT 0, -- of the credential, where the forge tells
	PRIMARY KEY (git_dir, url)
) WITHOUT ROWID;

CREATE TABLE deliveries (
	git_dir  TEXT NOT NULL,
	url      TEXT NOT NULL,
	ref      TEXT NOT NULL,
	want     TEXT NOT NULL, -- object id; all zeros: the ref is to go
	seq      TEXT NOT NULL, -- the push that wants it; later ones are greater
	put      TEXT NOT NULL DEFAULT '', -- what was last known to have landed
	sent     TEXT NOT NULL DEFAULT '', -- in flight: whether it landed is not known
	ours     INTEGER NOT NULL DEFAULT 0, -- the ref was created there by quire
	state    TEXT NOT NULL,
	there    TEXT NOT NULL DEFAULT '', -- what the remote had instead, when diverged
	attempts INTEGER NOT NULL DEFAULT 0,
	since    INTEGER NOT NULL, -- when want was first wanted
	next_at  INTEGER NOT NULL DEFAULT 0,
	at       INTEGER NOT NULL, -- of the last change of state
	class    TEXT NOT NULL DEFAULT '',
	error    TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (git_dir, url, ref)
) WITHOUT ROWID;

CREATE INDEX deliveries_open ON deliveries (next_at, git_dir, url) WHERE state IN ('waiting', 'pushing');
