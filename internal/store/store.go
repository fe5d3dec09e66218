// Package store keeps pushes, runs, jobs and commands in one SQLite database,
// STATE/quire.db: what happened and how it ended. What was said meanwhile is
// in files (package runlog); the database holds no output.
//
// Several processes use it at once: the worker, a supervisor for each run, and
// every command that looks. Each change is one transaction that takes the
// write lock at its beginning, so that it waits for its turn instead of
// failing half-way.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"quire/internal/secret/masked"
)

// Store is the open database. It may be used from several goroutines.
type Store struct {
	db *sql.DB

	changed func(what string, rows int) // told of each transaction by tests
}

// Path is where a state directory keeps its database.
func Path(stateDir string) string { return filepath.Join(stateDir, "quire.db") }

// busyTimeout is how long a writer waits for the others, in milliseconds. A
// transaction takes about one; fifty at once have had their turn long before.
const busyTimeout = 20000

// Open opens the database of a state directory, making both if they are
// missing, and brings its tables up to date. Close it.
func Open(ctx context.Context, stateDir string) (*Store, error) {
	// A push leaves the spool when it is recorded here, so the record must
	// survive a power cut; NORMAL in WAL mode may lose it.
	return open(ctx, stateDir, "FULL")
}

// OpenRelaxed opens the database for a process whose facts stand in synced files
// too (a supervisor): it does not wait for the disk. A power cut may take its
// last changes back, one whole transaction after the other from the end.
func OpenRelaxed(ctx context.Context, stateDir string) (*Store, error) {
	return open(ctx, stateDir, "NORMAL")
}

func open(ctx context.Context, stateDir, synchronous string) (*Store, error) {
	path := Path(stateDir)
	if err := CheckOwner(stateDir); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(stateDir, 0o700); err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
		// Made here and not by SQLite for its mode: others may not read it.
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
	}
	query := url.Values{"_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout), "synchronous(" + synchronous + ")", "foreign_keys(ON)", "cache_size(-1000)",
	}}
	uri := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	db.SetMaxOpenConns(1) // one writer a process: no waiting for oneself
	s := &Store{db: db}
	if err := s.prepare(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("open database %s: %w", path, explain(err))
	}
	return s, nil
}

// Close gives the database back.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}

// change runs one transaction under the write lock.
func (s *Store) change(ctx context.Context, what string, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err == nil {
		if err = f(tx); err == nil {
			s.tell(ctx, tx, what)
			err = tx.Commit()
		} else {
			tx.Rollback() // its error would hide the cause
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, explain(err))
	}
	return nil
}

// tell tells a test how many rows a transaction changed, those of foreign keys
// among them.
func (s *Store) tell(ctx context.Context, tx *sql.Tx, what string) {
	if s.changed == nil {
		return
	}
	var all int // since the connection was opened
	if tx.QueryRowContext(ctx, "SELECT total_changes()").Scan(&all) == nil {
		s.changed(what, all)
	}
}

// ErrFull is wrapped by the error of a change for which the disk has no room.
// The database is as it was before the change.
var ErrFull = errors.New("no space left for the database")

// ErrBusy is wrapped by the error of a change whose turn did not come.
var ErrBusy = errors.New("the database is locked by another process")

// explain gives the faults that a caller treats apart their names. SQLite tells
// of a full disk in three ways, depending on the file that met it.
func explain(err error) error {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return err
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	switch se.Code() {
	case sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_FSYNC:
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// maxColumn bounds a text that a pipeline can make as long as it likes, in bytes.
const maxColumn = 8 << 10

// column is masked text as it is stored.
func column(t masked.Text) string { return t.Cut(maxColumn).String() }

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// Check asks SQLite whether the database is sound; nil if it is.
func (s *Store) Check(ctx context.Context) error {
	var word string
	if err := s.db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&word); err != nil {
		return fmt.Errorf("check database: %w", explain(err))
	}
	if word != "ok" {
		return fmt.Errorf("the database is damaged: %s", word)
	}
	return nil
}
