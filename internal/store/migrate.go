package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

// The files of migrations/ are NUMBER_NAME.sql, applied in order of number, each
// once. One that has been released is never changed.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

type migration struct {
	number int
	name   string
}

var migrations = listMigrations()

func listMigrations() []migration {
	entries, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		panic(err) // embedded: cannot happen in a binary that was built
	}
	var out []migration
	for _, e := range entries {
		num, _, _ := strings.Cut(e.Name(), "_")
		n, err := strconv.Atoi(num)
		if err != nil {
			panic("migrations/" + e.Name() + " has no number")
		}
		out = append(out, migration{n, e.Name()})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].number < out[j].number })
	return out
}

// prepare applies the migrations that the database lacks. Its number is
// SQLite's user_version, which costs no table to read: this is on the way of
// every push.
func (s *Store) prepare(ctx context.Context) error {
	version, err := s.version(ctx)
	if err != nil {
		return err
	}
	latest := migrations[len(migrations)-1].number
	if version == latest {
		return nil
	}
	if version > latest {
		return fmt.Errorf("its tables are of version %d and this quire knows %d: a newer quire made them; install that one", version, latest)
	}
	if version == 0 {
		if err := s.becomeWAL(ctx); err != nil {
			return err
		}
	}
	return s.change(ctx, "update its tables", func(tx *sql.Tx) error {
		// Again, now that nobody else can.
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return err
		}
		for _, m := range migrations {
			if m.number <= version {
				continue
			}
			text, err := migrationFiles.ReadFile("migrations/" + m.name)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(text)); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", m.number)); err != nil {
				return err
			}
		}
		return nil
	})
}

// becomeWAL changes the journal, once in the life of a database. SQLite does
// not wait for its turn here, so that several who start at once must ask again.
func (s *Store) becomeWAL(ctx context.Context) error {
	return patiently(ctx, func() error {
		_, err := s.db.ExecContext(ctx, "PRAGMA journal_mode = WAL")
		return err
	})
}

func (s *Store) version(ctx context.Context) (version int, err error) {
	err = patiently(ctx, func() error {
		return s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	})
	return version, err
}

// patiently repeats what fails because another process holds the database.
func patiently(ctx context.Context, f func() error) error {
	deadline := time.Now().Add(busyTimeout * time.Millisecond)
	for {
		err := f()
		if err == nil || !errors.Is(explain(err), ErrBusy) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
