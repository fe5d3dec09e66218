package worker

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/store"
)

// Before the worker begins something that a pusher can make dangerous, it notes
// that in STATE/work: a file for each thing, a line for each attempt. Whoever
// comes to the end of it takes the line away, so a line that is left is a worker
// (or a supervisor) that died over it. What two died over is set aside: the next
// worker would most likely die of it too, and nothing else would ever be done.
//
// The notes are not synced. They have to outlive the process, and a power cut or
// reboot, which they need not outlive, is nothing that a push did: lines from
// before the last boot do not count.

// maxDeaths is after how many deaths something is set aside.
const maxDeaths = 2

// What is noted. The second half of a note's name is the id or a hash of the path.
const (
	workPush    = "push"    // taking a push out of the spool
	workStart   = "start"   // a run's supervisor, until the run is running
	workSettle  = "settle"  // completing a run whose supervisor is no more
	workRecover = "recover" // looking for unreported pushes to a repository
	workMirror  = "mirror"  // what is owed at a target
)

// attempts is the directory of the notes.
type attempts struct{ dir, boot string }

func attemptsIn(stateDir, boot string) attempts {
	return attempts{filepath.Join(stateDir, "work"), boot}
}

func (a attempts) file(kind, what string) string {
	if !event.ValidID(what) {
		sum := sha256.Sum256([]byte(what))
		what = fmt.Sprintf("%x", sum[:8])
	}
	return filepath.Join(a.dir, kind+"-"+what)
}

// deaths is how many died over something since this machine was booted.
//
// A worker can have several things in hand: it takes a push while it pushes to
// mirrors. Which of them it died over nobody can say, so such a death counts for
// half, for each of them. What is done meanwhile without harm loses its note, and
// then the other was alone: so it is the guilty one that comes to two.
func (a attempts) deaths(kind, what string) int { return a.deathsIn(a.file(kind, what)) }

func (a attempts) deathsIn(file string) int {
	dead := a.workers(file)
	if len(dead) == 0 {
		return 0 // the usual case: one look for a file that is not there
	}
	shared := map[string]bool{}
	entries, _ := os.ReadDir(a.dir)
	for _, e := range entries {
		// A run that begins is its supervisor's to die over, not the worker's.
		if path := filepath.Join(a.dir, e.Name()); path != file && !strings.HasPrefix(e.Name(), workStart+"-") {
			for _, worker := range a.workers(path) {
				shared[worker] = true
			}
		}
	}
	halves := 0
	for _, worker := range dead {
		if halves += 2; shared[worker] {
			halves--
		}
	}
	return halves / 2
}

// workers are those that began something since this machine was booted, a process
// id for each line of its note.
func (a attempts) workers(file string) (pids []string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		if rest, now := strings.CutPrefix(line, a.boot+" "); now {
			pid, _, _ := strings.Cut(rest, " ")
			pids = append(pids, pid)
		}
	}
	return pids
}

// attempt is a line of a note.
type attempt struct {
	file   string
	before int64 // size of the file without it
}

// begin adds a line.
func (a attempts) begin(kind, what string) (*attempt, error) {
	t := &attempt{file: a.file(kind, what)}
	f, err := os.OpenFile(t.file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(a.dir, 0o700); err == nil {
			f, err = os.OpenFile(t.file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("note what is begun: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		t.before = info.Size()
		_, err = fmt.Fprintf(f, "%s %d %s %q\n", a.boot, os.Getpid(), time.Now().UTC().Format(time.RFC3339), what)
	}
	if err != nil {
		return nil, fmt.Errorf("note what is begun: %w", err)
	}
	return t, nil
}

// done ends an attempt at something that is over now.
func (t *attempt) done() { os.Remove(t.file) }

// again ends an attempt at something that is not: nobody died, this time.
func (t *attempt) again() {
	if t.before == 0 {
		t.done()
		return
	}
	os.Truncate(t.file, t.before) // else one death too many is counted
}

// forget removes what is noted about something.
func (a attempts) forget(kind, what string) { os.Remove(a.file(kind, what)) }

// old is when a note of something that nobody has come back to is removed.
const old = 7 * 24 * time.Hour

// started lists the runs that supervisors were started for, by notes that are
// there still.
func (a attempts) started() (ids []string) {
	notes, _ := filepath.Glob(filepath.Join(a.dir, workStart+"-*"))
	for _, name := range notes {
		ids = append(ids, strings.TrimPrefix(filepath.Base(name), workStart+"-"))
	}
	return ids
}

// sweep removes old notes.
func (a attempts) sweep() {
	entries, _ := os.ReadDir(a.dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), workStopped+"-") {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > old {
			os.Remove(filepath.Join(a.dir, e.Name()))
		}
	}
}

// Aside is something that is left alone until its note is removed.
type Aside struct {
	Kind, What string
	Deaths     int
	Why        string // of what was stopped
	Note       string // the file
}

// SetAside lists what is left alone. Pushes and runs are not among it: they are
// told of, and tried again, by their own names.
func SetAside(cfg *config.Config) []Aside {
	self, err := store.Self()
	if err != nil {
		return nil
	}
	a := attemptsIn(cfg.StateDir, self.Boot)
	entries, _ := os.ReadDir(a.dir)
	var out []Aside
	for _, e := range entries {
		kind, _, _ := strings.Cut(e.Name(), "-")
		if kind != workRecover && kind != workMirror {
			continue
		}
		path := filepath.Join(a.dir, e.Name())
		text, _ := os.ReadFile(path)
		here := Aside{Kind: kind, Note: path, Deaths: a.deathsIn(path)}
		for line := range strings.Lines(string(text)) {
			if rest, now := strings.CutPrefix(line, a.boot+" "); now {
				_, quoted, _ := strings.Cut(rest, "Z ")
				here.What, _ = strconv.Unquote(strings.TrimSpace(quoted))
			}
		}
		if here.Deaths >= maxDeaths {
			out = append(out, here)
		}
	}
	return out
}
