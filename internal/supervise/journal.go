package supervise

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/secret"
	"quire/internal/secret/masked"
	"quire/internal/store"
)

// journal is where everything that a run has to tell goes: events.jsonl,
// push.log, the store. It takes masked text only, and mask makes it. Its methods
// are called from several goroutines, and none fails: a full disk must not end a
// run. What could not be written is told at the end, where there is room.
type journal struct {
	dir    runlog.Dir
	red    *secret.Redactor
	events *runlog.Appender
	push   *runlog.Appender
	rows   *rows // nil without a store
	report runlog.Report
	echo   io.Writer // gets the report too; nil: nobody

	mu   sync.Mutex
	lost error // the first that could not be written

	writing sync.RWMutex // held for writing by the last words
	over    bool         // they have been said
}

// openJournal opens the files of a run, making its directory.
func openJournal(dir runlog.Dir, red *secret.Redactor, r event.Run, st *store.Store) (*journal, error) {
	push, err := runlog.Append(dir.PushLog())
	if err != nil {
		return nil, err
	}
	events, err := runlog.Append(dir.Events())
	if err != nil {
		push.Close()
		return nil, err
	}
	j := &journal{dir: dir, red: red, events: events.Bound(runlog.MaxEvents), push: push.Bound(runlog.MaxReport)}
	j.report = runlog.Report{Number: r.Number, Ref: j.mask(event.ShortRef(r.Ref)), OID: j.mask(event.ShortOID(r.New))}
	if st != nil {
		j.rows = newRows(st, r.ID, red, j.note)
	}
	return j, nil
}

// mask is the one way in which text of a run becomes text that may be recorded.
func (j *journal) mask(text string) masked.Text { return j.red.Mask(text) }

// note remembers the first fault of writing.
func (j *journal) note(err error) {
	if err == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.lost == nil {
		j.lost = err
	}
}

// loss is the first fault of writing so far.
func (j *journal) loss() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lost
}

// record writes an event, stamped now. After the end there is none.
func (j *journal) record(r event.Record) {
	j.writing.RLock()
	defer j.writing.RUnlock()
	if !j.over {
		j.write(r)
	}
}

func (j *journal) write(r event.Record) {
	r.AtMS = time.Now().UnixMilli()
	j.note(j.events.Record(r))
}

// say adds rendered text to the report. After the end nothing is added.
func (j *journal) say(text masked.Text) {
	j.writing.RLock()
	defer j.writing.RUnlock()
	if !j.over {
		j.print(text)
	}
}

func (j *journal) print(text masked.Text) { j.printBy(j.push.Line, text) }

func (j *journal) printBy(add func(masked.Text) error, text masked.Text) {
	if text.IsZero() {
		return
	}
	// Masked again after rendering: what was two pieces may read as one here.
	text = j.red.Again(text)
	j.note(add(text))
	if j.echo != nil {
		io.WriteString(j.echo, text.String()) // somebody's terminal: nothing hangs on it
	}
}

func (j *journal) job(job event.Job) {
	if j.rows != nil {
		j.rows.put(&job, nil)
	}
}

func (j *journal) command(c event.Command) {
	if j.rows != nil {
		j.rows.put(nil, &c)
	}
}

// end writes the last line of the report and the last event, and closes the
// files. A job whose run was ended over its head may have something to say still,
// and comes too late: who follows a run knows its end by the last line.
func (j *journal) end(line masked.Text, last event.Record) error {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.printBy(j.push.LastLine, line)
	j.write(last)
	j.over = true
	return errors.Join(j.events.Close(), j.push.Close())
}

// rows writes jobs and commands to the store behind the run's back: what has
// gathered while one transaction was written goes with the next, so that a
// thousand short jobs do not wait for a thousand disks.
type rows struct {
	store *store.Store
	runID string
	red   *secret.Redactor
	note  func(error)

	mu       sync.Mutex
	jobs     map[string]event.Job
	order    []string // of jobs
	commands []event.Command
	wake     chan struct{} // capacity 1
	done     chan struct{}
	closing  bool
}

func newRows(st *store.Store, runID string, red *secret.Redactor, note func(error)) *rows {
	r := &rows{store: st, runID: runID, red: red, note: note, jobs: map[string]event.Job{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go r.write() // until flush
	return r
}

func (r *rows) put(j *event.Job, c *event.Command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j != nil {
		if _, waiting := r.jobs[j.ID]; !waiting {
			r.order = append(r.order, j.ID)
		}
		r.jobs[j.ID] = *j // only where a job stands now matters
	}
	if c != nil {
		r.commands = append(r.commands, *c)
	}
	r.signal()
}

func (r *rows) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *rows) write() {
	defer close(r.done)
	for range r.wake {
		r.mu.Lock()
		jobs := make([]event.Job, 0, len(r.order))
		for _, id := range r.order {
			jobs = append(jobs, r.jobs[id])
		}
		commands, closing := r.commands, r.closing
		r.jobs, r.order, r.commands = map[string]event.Job{}, nil, nil
		r.mu.Unlock()
		// A secret may have been revealed since these were put here.
		for i := range jobs {
			jobs[i].Reason = r.red.Again(jobs[i].Reason)
		}
		for i := range commands {
			commands[i].Line = r.red.Again(commands[i].Line)
		}
		if len(jobs) > 0 || len(commands) > 0 {
			r.note(r.store.Record(context.Background(), r.runID, jobs, commands))
		}
		if closing {
			return
		}
	}
}

// flush writes what has gathered and ends the writing. Nothing is put after it.
func (r *rows) flush() {
	r.mu.Lock()
	r.closing = true
	r.signal()
	r.mu.Unlock()
	<-r.done
}
