// Package spool is the place where a push waits between the hook that saw it
// and the worker that takes it: a directory with one file per push, in the
// manner of a maildir. A file is written under tmp/, renamed into new/ and
// synced, its name with it; so what a reader finds in new/ is whole, and is
// there to stay before git tells the pusher that all is well.
//
// It knows nothing of runs. It links only the standard library, because the
// hook does.
package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"quire/internal/event"
)

// Dir is a state directory seen as the owner of a spool.
type Dir string

// Root is the spool's directory. Its parts are tmp, new, intent, own, bad,
// aside and absent.
func (d Dir) Root() string { return filepath.Join(string(d), "spool") }

// New is the directory of waiting pushes, for those who watch it.
func (d Dir) New() string { return filepath.Join(d.Root(), "new") }

func (d Dir) part(part, name string) string { return filepath.Join(d.Root(), part, name) }

// Make creates the spool's directories, for the owner only, where they are
// missing. Writing does it too.
func (d Dir) Make() error {
	for _, part := range []string{"tmp", "new", "intent", "bad", "aside", "absent"} {
		if err := os.MkdirAll(d.part(part, ""), 0o700); err != nil {
			return fmt.Errorf("make the spool: %w", err)
		}
	}
	return nil
}

// Write puts a push into the spool. When it returns nil the push survives a
// power cut. A push is written once; writing it again replaces it by itself.
func (d Dir) Write(p event.Push) error { return d.write("new", p) }

// Intend records what a push is about to do, before git moves the refs (the
// pre-receive hook). Fulfil or Forget ends it; one that is left tells that the
// hook died in between.
func (d Dir) Intend(p event.Push) error { return d.write("intent", p) }

func (d Dir) write(part string, p event.Push) error {
	if !event.ValidID(p.ID) {
		return fmt.Errorf("spool push: %q is no push id", p.ID)
	}
	data := Encode(p)
	tmp, name := d.part("tmp", p.ID), d.part(part, p.ID)
	err := writeDurably(tmp, name, data)
	if errors.Is(err, fs.ErrNotExist) {
		if err = d.Make(); err == nil {
			err = writeDurably(tmp, name, data)
		}
	}
	if err != nil {
		os.Remove(tmp) // room for the next try, when the disk is full
		return fmt.Errorf("spool push %s: %w", p.ID, err)
	}
	return nil
}

// List names the waiting pushes, oldest first. Files that cannot be pushes are
// listed too: Read refuses them and the reader then calls Bad.
func (d Dir) List() ([]string, error) { return d.list("new") }

// Intents names the pushes that were announced and neither fulfilled nor
// forgotten, oldest first.
func (d Dir) Intents() ([]string, error) { return d.list("intent") }

func (d Dir) list(part string) ([]string, error) {
	entries, err := os.ReadDir(d.part(part, ""))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the spool: %w", err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	sort.Strings(names)
	return names, nil
}

// Read reads a waiting push. An error that is ErrTorn means that the file will
// never be a push; fs.ErrNotExist that somebody else took it; any other may
// pass.
func (d Dir) Read(id string) (event.Push, error) { return d.read("new", id) }

// ReadIntent reads an announced push.
func (d Dir) ReadIntent(id string) (event.Push, error) { return d.read("intent", id) }

// ErrTorn is the error of a spool file that is no push.
var ErrTorn = errors.New("not a push")

func (d Dir) read(part, id string) (event.Push, error) {
	name := d.part(part, id)
	st, err := os.Lstat(name)
	if err != nil {
		return event.Push{}, fmt.Errorf("read spool: %w", err)
	}
	if !st.Mode().IsRegular() || st.Size() > maxFile {
		return event.Push{}, fmt.Errorf("read spool file %s: %w: %s of %d bytes", id, ErrTorn, st.Mode().Type(), st.Size())
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return event.Push{}, fmt.Errorf("read spool: %w", err)
	}
	p, err := Parse(data)
	if err == nil && p.ID != id {
		err = fmt.Errorf("%w: it says its id is %q", ErrTorn, p.ID)
	}
	if err != nil {
		return event.Push{}, fmt.Errorf("read spool file %s: %w", id, err)
	}
	return p, nil
}

// maxFile bounds what is read into memory; a push of 100,000 refs takes 20 MB. A
// worker may take 1 GiB, and needs some four times of this.
const maxFile = 128 << 20

// Parse reads a spool file's content. Its error is ErrTorn.
func Parse(data []byte) (event.Push, error) {
	var p event.Push
	if err := json.Unmarshal(data, &p); err != nil {
		return event.Push{}, fmt.Errorf("%w: %v", ErrTorn, err)
	}
	switch {
	case !event.ValidID(p.ID):
		return event.Push{}, fmt.Errorf("%w: %q is no push id", ErrTorn, p.ID)
	case !filepath.IsAbs(p.GitDir):
		return event.Push{}, fmt.Errorf("%w: repository %q is no absolute path", ErrTorn, p.GitDir)
	}
	p.Updates = event.UnescapeRefs(p.Updates)
	for _, u := range p.Updates {
		if !validOID(u.Old) || !validOID(u.New) || u.Ref == "" {
			return event.Push{}, fmt.Errorf("%w: update %q %q %q", ErrTorn, u.Old, u.New, u.Ref)
		}
	}
	return p, nil
}

// validOID accepts both object formats. Object ids become arguments of git, so
// nothing else may pass.
func validOID(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}

// Remove takes a push out of the spool once it is recorded elsewhere. One that
// is gone already is no error.
func (d Dir) Remove(id string) error { return d.remove("new", id) }

// Fulfil turns an announced push into a waiting one: the refs did move.
func (d Dir) Fulfil(p event.Push) error {
	if err := d.Write(p); err != nil {
		return err
	}
	return d.Forget(p.ID)
}

// Forget removes an announcement: the push was refused, or is in the spool.
func (d Dir) Forget(id string) error { return d.remove("intent", id) }

func (d Dir) remove(part, id string) error {
	err := os.Remove(d.part(part, filepath.Base(id)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("clear spool: %w", err)
	}
	return nil
}

// Bad moves a file that is no push out of the way and writes the reason beside
// it (NAME.why), where `quire doctor` finds it.
func (d Dir) Bad(name, reason string) error { return d.away("bad", name, reason) }

func (d Dir) away(part, name, reason string) error {
	name = filepath.Base(name)
	if err := d.Make(); err != nil {
		return err
	}
	why := fmt.Sprintf("%s\n%s\n", time.Now().UTC().Format(time.RFC3339), reason)
	// A full disk must not keep the file in the worker's way.
	whyErr := os.WriteFile(d.part(part, name+".why"), []byte(why), 0o600)
	if err := os.Rename(d.part("new", name), d.part(part, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set spool file %s aside: %w", name, err)
	}
	return whyErr
}

// BadFile is a file that Bad set aside.
type BadFile struct {
	Name, Why string
}

// BadFiles lists what was set aside.
func (d Dir) BadFiles() ([]BadFile, error) {
	names, err := d.list("bad")
	if err != nil {
		return nil, err
	}
	var out []BadFile
	for _, n := range names {
		if filepath.Ext(n) == ".why" {
			continue
		}
		why, _ := os.ReadFile(d.part("bad", n+".why")) // may be missing: the disk was full
		out = append(out, BadFile{Name: n, Why: string(why)})
	}
	return out, nil
}

// Clean removes files of writers that died, which no living one can still be
// at: older than age.
func (d Dir) Clean(age time.Duration) error {
	for _, part := range []string{"tmp", "own"} {
		names, err := d.list(part)
		if err != nil {
			return err
		}
		for _, n := range names {
			st, err := os.Lstat(d.part(part, n))
			if err == nil && time.Since(st.ModTime()) > age {
				os.Remove(d.part(part, n)) // the next Clean tries again
			}
		}
	}
	return nil
}

// Expire removes what was set aside (Bad, SetAside) for longer than age, and more
// than the newest keep of each. 0 is no bound.
func (d Dir) Expire(age time.Duration, keep int) error {
	for _, part := range []string{"bad", "aside"} {
		names, err := d.list(part)
		if err != nil {
			return err
		}
		type file struct {
			name string
			at   time.Time
		}
		var files []file
		for _, n := range names {
			// The reason goes with its file. One whose file is gone goes by itself.
			if of, is := strings.CutSuffix(n, ".why"); is && slices.Contains(names, of) {
				continue
			}
			if st, err := os.Lstat(d.part(part, n)); err == nil {
				files = append(files, file{n, setAsideAt(d.part(part, n), st)})
			}
		}
		slices.SortFunc(files, func(a, b file) int { return b.at.Compare(a.at) })
		for i, f := range files {
			if (keep <= 0 || i < keep) && (age <= 0 || time.Since(f.at) <= age) {
				continue
			}
			if err := os.RemoveAll(d.part(part, f.name)); err != nil { // it may be anything
				return fmt.Errorf("clear spool: %w", err)
			}
			os.Remove(d.part(part, f.name+".why"))
		}
	}
	return nil
}

// setAsideAt is when a file was set aside: its reason was written then.
func setAsideAt(path string, st fs.FileInfo) time.Time {
	if why, err := os.Lstat(path + ".why"); err == nil {
		return why.ModTime()
	}
	return st.ModTime()
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
