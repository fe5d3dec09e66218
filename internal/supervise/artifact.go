package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"quire/internal/jobfile"
	"quire/internal/runlog"
	"quire/internal/secret"
	"quire/pipeline"
)

// Bounds of what the files of a run may be called and how many there are. How
// much they hold is the operator's to say ([limits] artifacts).
const (
	maxArtifacts     = 10_000
	maxArtifactName  = 1024 // bytes
	maxArtifactDepth = 64   // directories
	block            = 4096 // what the smallest file, and a directory, take on disk
)

// Artifact copies a file of the workspace to where it outlives the run, redacted
// like everything else that does.
func (w *world) Artifact(ctx context.Context, call pipeline.Call, name string) error {
	if err := w.holdsNoSecret("the path", name); err != nil {
		return fmt.Errorf("keep %s: %w", printable(w.journal.mask(name).String()), err) // masked before it is cut
	}
	if err := checkArtifactName(name); err != nil {
		return fmt.Errorf("keep %s: %w", printable(w.journal.mask(name).String()), err) // masked before it is cut
	}
	from, err := w.files.Open(ctx, name)
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	defer from.Close()
	if err := w.keeper.keep(call.Job, path.Clean(name), from, w.vault.Redactor()); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

// checkArtifactName refuses what would not be a file's name to a person: it is
// shown in terminals and lists, and typed after `quire artifact get`.
func checkArtifactName(name string) error {
	switch clean := path.Clean(name); {
	case !filepath.IsLocal(name):
		return jobfile.ErrOutside
	case !utf8.ValidString(name):
		return errors.New("its name is not UTF-8")
	case strings.ContainsFunc(name, notShown):
		return errors.New("its name holds a control character")
	case len(name) > maxArtifactName:
		return fmt.Errorf("its name is longer than %d bytes", maxArtifactName)
	case strings.Count(clean, "/") > maxArtifactDepth:
		return fmt.Errorf("it lies in more than %d directories", maxArtifactDepth)
	case strings.HasPrefix(clean, "-"):
		return errors.New("its name begins with a dash")
	}
	return nil
}

// notShown are control characters, and those that change the direction or
// hide what stands beside them.
func notShown(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }

// printable is a refused name, for the error that says so.
func printable(name string) string {
	const some = 80
	cut := ""
	if len(name) > some {
		name, cut = name[:some], "…"
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, notShown) {
		name = strconv.Quote(name)
	}
	return name + cut
}

// artifactKeeper holds the files that the jobs of one run keep, within the run's
// bound. What it writes is quire's own: no job can reach it from a sandbox.
type artifactKeeper struct {
	dir   runlog.Dir
	limit int64 // bytes on disk, of all jobs together

	mu    sync.Mutex
	used  int64
	sizes map[string]int64 // by path below artifacts/: what each counts for
	next  int              // number of the next file under way
}

func newArtifactKeeper(dir runlog.Dir, limit int64) *artifactKeeper {
	return &artifactKeeper{dir: dir, limit: limit, sizes: map[string]int64{}}
}

// keep copies a file. It is written aside and renamed, so that whoever lists the
// files of a run finds whole ones only.
func (k *artifactKeeper) keep(job, name string, from *jobfile.File, red *secret.Redactor) (err error) {
	if from.Size() > k.limit { // before a byte of a sparse terabyte is read
		return k.full()
	}
	aside, err := k.create()
	if err != nil {
		return cause(err)
	}
	counted := &countedWriter{k: k, w: aside}
	defer func() {
		if err != nil {
			aside.Close()
			os.Remove(aside.Name())
			k.give(counted.took)
		}
	}()
	if err := counted.take(block); err != nil { // the smallest file, and its entry
		return err
	}
	redacted := red.Writer(counted)
	// Never more than the run's bound is read: redaction can shorten, and the file
	// can grow meanwhile.
	n, err := io.Copy(redacted, io.LimitReader(from, k.limit+1))
	if cerr := redacted.Close(); err == nil {
		err = cerr
	}
	if err == nil && n > k.limit {
		err = k.full()
	}
	if err == nil {
		err = aside.Sync()
	}
	if cerr := aside.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = k.place(aside.Name(), job, name, counted)
	}
	return cause(err)
}

func (k *artifactKeeper) full() error {
	return fmt.Errorf("the files that a run keeps may take %d bytes together ([limits] artifacts)", k.limit)
}

// create makes the file that is written aside.
func (k *artifactKeeper) create() (*os.File, error) {
	k.mu.Lock()
	k.next++
	n := k.next
	k.mu.Unlock()
	dir := k.dir.ArtifactsUnderWay()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, strconv.Itoa(n)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// place moves a whole file to its name, and counts it instead of one that was
// kept under the same name before.
func (k *artifactKeeper) place(aside, job, name string, counted *countedWriter) error {
	base := k.dir.Artifacts(job)
	key := base + "\x00" + name
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, again := k.sizes[key]; !again && len(k.sizes) == maxArtifacts {
		return fmt.Errorf("a run keeps at most %d files", maxArtifacts)
	}
	dir := filepath.Join(base, filepath.Dir(filepath.FromSlash(name)))
	made, err := missingDirs(dir, string(k.dir))
	if err != nil {
		return err
	}
	if k.used+made*block > k.limit {
		return k.full()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Rename(aside, filepath.Join(base, filepath.FromSlash(name))); err != nil {
		var le *os.LinkError
		if errors.As(err, &le) {
			err = le.Err
		}
		return err
	}
	k.used += made*block - k.sizes[key]
	k.sizes[key] = counted.took
	return nil
}

// missingDirs is how many directories are to be made for dir, which is below top.
func missingDirs(dir, top string) (n int64, err error) {
	for ; dir != top; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); err == nil {
			return n, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return n, err
		}
		n++
	}
	return n, nil
}

func (k *artifactKeeper) give(n int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.used -= n
}

// countedWriter writes what there is room for, in whole blocks.
type countedWriter struct {
	k     *artifactKeeper
	w     io.Writer
	took  int64 // of the run's bound
	wrote int64
}

func (c *countedWriter) take(n int64) error {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	if c.k.used+n > c.k.limit {
		return c.k.full()
	}
	c.k.used += n
	c.took += n
	return nil
}

func (c *countedWriter) Write(p []byte) (int, error) {
	want := (c.wrote + int64(len(p)) + block - 1) / block * block
	if want < block {
		want = block
	}
	if more := want - c.took; more > 0 {
		if err := c.take(more); err != nil {
			return 0, err
		}
	}
	n, err := c.w.Write(p)
	c.wrote += int64(n)
	return n, err
}
