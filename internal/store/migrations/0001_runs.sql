-- Times are Unix nanoseconds, 0 where there is none yet; durations are
-- nanoseconds; lists are JSON.

CREATE TABLE pushes (
	id        TEXT PRIMARY KEY,
	at        INTEGER NOT NULL,
	git_dir   TEXT NOT NULL,
	pusher    TEXT NOT NULL,
	options   TEXT NOT NULL,
	updates   TEXT NOT NULL,
	recovered INTEGER NOT NULL,
	notes     TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX pushes_repo ON pushes (git_dir, id);

CREATE TABLE runs (
	number      INTEGER PRIMARY KEY AUTOINCREMENT,
	id          TEXT NOT NULL UNIQUE,
	push_id     TEXT NOT NULL REFERENCES pushes (id),
	git_dir     TEXT NOT NULL,
	ref         TEXT NOT NULL,
	old         TEXT NOT NULL,
	new         TEXT NOT NULL,
	pusher      TEXT NOT NULL,
	options     TEXT NOT NULL,
	state       TEXT NOT NULL,
	reason      TEXT NOT NULL DEFAULT '',
	pushed_at   INTEGER NOT NULL,
	queued_at   INTEGER NOT NULL,
	started_at  INTEGER NOT NULL DEFAULT 0,
	finished_at INTEGER NOT NULL DEFAULT 0,
	duration    INTEGER NOT NULL DEFAULT 0,
	retry_of    TEXT NOT NULL DEFAULT '',
	replaced_by TEXT NOT NULL DEFAULT '',

	-- The supervisor, while the run is running.
	pid         INTEGER NOT NULL DEFAULT 0,
	pid_start   INTEGER NOT NULL DEFAULT 0,
	boot        TEXT NOT NULL DEFAULT '',

	-- What was asked of a running run, and not yet done.
	stop        TEXT NOT NULL DEFAULT '',
	stop_reason TEXT NOT NULL DEFAULT '',
	stop_by     TEXT NOT NULL DEFAULT ''
);

-- A push has one run for each of its refs; a retry is another.
CREATE UNIQUE INDEX runs_push ON runs (push_id, ref) WHERE retry_of = '';
CREATE INDEX runs_by_push ON runs (push_id);
CREATE INDEX runs_repo ON runs (git_dir, number);
CREATE INDEX runs_ref ON runs (git_dir, ref, number);
CREATE INDEX runs_state ON runs (state, number);
CREATE INDEX runs_live ON runs (state, git_dir, ref, number) WHERE state IN ('queued', 'running');

CREATE TABLE jobs (
	run         INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
	id          TEXT NOT NULL,
	position    INTEGER NOT NULL,
	state       TEXT NOT NULL,
	attempt     INTEGER NOT NULL,
	reason      TEXT NOT NULL,
	started_at  INTEGER NOT NULL,
	finished_at INTEGER NOT NULL,
	duration    INTEGER NOT NULL,
	PRIMARY KEY (run, id)
) WITHOUT ROWID;

CREATE TABLE commands (
	run         INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
	job         TEXT NOT NULL,
	n           INTEGER NOT NULL,
	line        TEXT NOT NULL,
	exit        INTEGER NOT NULL,
	signal      TEXT NOT NULL,
	started_at  INTEGER NOT NULL,
	finished_at INTEGER NOT NULL,
	duration    INTEGER NOT NULL,
	PRIMARY KEY (run, job, n)
) WITHOUT ROWID;

-- Where each repository's refs stood when quire last knew: a ref that is
-- elsewhere now, and whose push nobody reported, was moved by a push whose hook
-- was killed or had no disk.
CREATE TABLE tips (
	git_dir TEXT NOT NULL,
	ref     TEXT NOT NULL,
	oid     TEXT NOT NULL,
	PRIMARY KEY (git_dir, ref)
) WITHOUT ROWID;
