// Package web serves what the store and the logs hold as pages to read. It
// changes nothing, needs no script in the browser, and knows no users: who can
// read the state directory may read, or, if the operator says so, whoever reaches
// the address. It listens on loopback unless told otherwise.
package web

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"time"

	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/store"
)

//go:embed pages.html style.css
var files embed.FS

// perPage is how many runs a list shows.
const perPage = 50

// tailBytes is how much of a log's end a page shows; the whole is a link away.
const tailBytes = 512 << 10

// Handler serves the pages of one state directory.
func Handler(s *store.Store, stateDir string, mirrors Mirrors) http.Handler {
	site := &site{store: s, stateDir: stateDir, mirrors: mirrors, now: time.Now}
	site.pages = template.Must(template.New("").Funcs(template.FuncMap{
		"repo": repoLabel, "ref": refLabel, "label": label, "oid": event.ShortOID, "took": took, "logpath": logPath,
		"zero": event.IsZero,
		"at":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	}).ParseFS(files, "pages.html"))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", site.page(site.runs))
	mux.HandleFunc("GET /mirrors", site.page(site.mirrorsPage))
	mux.HandleFunc("GET /run/{run}", site.page(site.run))
	mux.HandleFunc("GET /run/{run}/log/{job}/{n}", site.page(site.log))
	mux.HandleFunc("GET /run/{run}/raw/{job}/{n}", site.page(site.raw))
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "style.css")
	})
	return guard(mux)
}

// guard sets what every answer has: nothing but our own style sheet is loaded,
// nobody frames the pages, and a log that looks like HTML stays text.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

type site struct {
	store    *store.Store
	stateDir string
	mirrors  Mirrors
	pages    *template.Template
	now      func() time.Time
}

// notFound is an error that is the visitor's.
type notFound struct{ what string }

func (e notFound) Error() string { return "there is no " + e.what }

func (s *site) page(serve func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := serve(w, r)
		var missing notFound
		switch {
		case err == nil, errors.Is(err, context.Canceled):
		case errors.As(err, &missing), errors.Is(err, store.ErrNone), errors.Is(err, fs.ErrNotExist):
			s.failure(w, http.StatusNotFound, err)
		default:
			s.failure(w, http.StatusInternalServerError, err)
		}
	}
}

func (s *site) failure(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = s.pages.ExecuteTemplate(w, "failure", err.Error()) // the visitor may be gone
}

func (s *site) show(w http.ResponseWriter, name string, data any) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return s.pages.ExecuteTemplate(w, name, data)
}

type runsPage struct {
	Runs        []event.Run
	Repo, State string
	Older       int64 // number to page on before; 0: no more
	States      []event.RunState
	Live        bool
}

func (s *site) runs(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	before, _ := strconv.ParseInt(q.Get("before"), 10, 64)
	p := runsPage{Repo: q.Get("repo"), State: q.Get("state"), States: []event.RunState{
		event.RunQueued, event.RunRunning, event.RunSucceeded, event.RunFailed, event.RunCanceled, event.RunReplaced, event.RunOrphaned,
	}}
	runs, err := s.store.Runs(r.Context(), store.Filter{GitDir: p.Repo, State: event.RunState(p.State), Before: before, Limit: perPage})
	if err != nil {
		return err
	}
	p.Runs = runs
	if len(runs) == perPage {
		p.Older = runs[len(runs)-1].Number
	}
	for _, run := range runs {
		p.Live = p.Live || !run.State.Final()
	}
	return s.show(w, "runs", p)
}

type runPage struct {
	Run    event.Run
	Jobs   []jobView
	Report string
	Live   bool
	Again  int64 // the run that repeats this one, which was interrupted; 0: none
}

type jobView struct {
	event.Job
	Commands []event.Command
}

func (s *site) run(w http.ResponseWriter, r *http.Request) error {
	run, err := s.find(r)
	if err != nil {
		return err
	}
	p := runPage{Run: run.AsText(), Live: !run.State.Final()}
	jobs, err := s.store.Jobs(r.Context(), run.ID)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		commands, err := s.store.Commands(r.Context(), run.ID, j.ID)
		if err != nil {
			return err
		}
		p.Jobs = append(p.Jobs, jobView{j, commands})
	}
	if run.Interrupted {
		again, err := s.store.RerunOf(r.Context(), run.ID)
		if err != nil && !errors.Is(err, store.ErrNone) {
			return err
		}
		p.Again = again.Number
	}
	report, err := os.ReadFile(runlog.RunDir(s.stateDir, run.ID).PushLog())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p.Report = string(report)
	return s.show(w, "run", p)
}

// find reads the run that the path names. A number is what pages link to; ids
// work too.
func (s *site) find(r *http.Request) (event.Run, error) {
	run, err := s.store.Resolve(r.Context(), r.PathValue("run"))
	if errors.Is(err, store.ErrNone) {
		return run, notFound{"run " + r.PathValue("run")}
	}
	return run, err
}

// command finds the log file that the path names. The job must be one of the
// run's: the name becomes part of a file's.
func (s *site) command(r *http.Request) (event.Run, event.Command, string, error) {
	run, err := s.find(r)
	if err != nil {
		return run, event.Command{}, "", err
	}
	commands, err := s.store.Commands(r.Context(), run.ID, r.PathValue("job"))
	if err != nil {
		return run, event.Command{}, "", err
	}
	n, _ := strconv.Atoi(r.PathValue("n"))
	for _, c := range commands {
		if c.N == n && c.Job == r.PathValue("job") {
			return run, c, runlog.RunDir(s.stateDir, run.ID).CommandLog(c.Job, c.N), nil
		}
	}
	return run, event.Command{}, "", notFound{fmt.Sprintf("command %s of job %s", r.PathValue("n"), r.PathValue("job"))}
}

type logPage struct {
	Run     event.Run
	Command event.Command
	Lines   []logLine
	Cut     bool
	Live    bool
	Removed string // why there is no log any more
}

type logLine struct {
	At   time.Time
	Kind string // stdout, stderr, note
	Text string
}

func (s *site) log(w http.ResponseWriter, r *http.Request) error {
	run, c, path, err := s.command(r)
	if err != nil {
		return err
	}
	p := logPage{Run: run, Command: c, Live: !run.State.Final() && c.FinishedAt.IsZero()}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		p.Removed = runlog.RunDir(s.stateDir, run.ID).Removed()
		return s.show(w, "log", p)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Size() > tailBytes {
		p.Cut = true
		if _, err := f.Seek(-tailBytes, io.SeekEnd); err != nil {
			return err
		}
	}
	d := &runlog.Decoder{Entry: func(e runlog.Entry) error {
		kind := string(e.Stream)
		if e.Note {
			kind = "note"
		}
		p.Lines = append(p.Lines, logLine{e.At, kind, readable(e.Text)})
		return nil
	}}
	if _, err := io.Copy(d, f); err != nil {
		return err
	}
	return s.show(w, "log", p)
}

func (s *site) raw(w http.ResponseWriter, r *http.Request) error {
	_, _, path, err := s.command(r)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	return runlog.WriteOutput(w, f)
}
