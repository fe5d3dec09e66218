package spool

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"quire/internal/event"
)

func push(at time.Time) event.Push {
	return event.Push{
		ID: event.NewID(at), At: at.UTC().Truncate(time.Millisecond), GitDir: "/srv/git/a.git", Pusher: "ann",
		Options: []string{"ci.wait=none", "x=\"y\""},
		Updates: []event.Update{{
			Old: strings.Repeat("0", 40), New: strings.Repeat("ab", 20), Ref: "refs/heads/it's %s -ü\"",
		}},
	}
}

func TestAPushComesBackAsItWas(t *testing.T) {
	d := Dir(t.TempDir())
	first, second := push(time.UnixMilli(1000)), push(time.UnixMilli(2000))
	for _, p := range []event.Push{second, first} {
		if err := d.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	ids, err := d.List()
	if err != nil || !reflect.DeepEqual(ids, []string{first.ID, second.ID}) {
		t.Fatalf("List = %v, %v; want oldest first", ids, err)
	}
	got, err := d.Read(first.ID)
	if err != nil || !reflect.DeepEqual(got, first) {
		t.Fatalf("Read = %+v, %v\nwant %+v", got, err, first)
	}
	if err := d.Remove(first.ID); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(first.ID); err != nil {
		t.Errorf("removing again: %v", err)
	}
	if _, err := d.Read(first.ID); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrTorn) {
		t.Errorf("reading a taken push: %v", err)
	}
	if left, _ := d.list("tmp"); len(left) != 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

func TestListOfNoSpoolIsEmpty(t *testing.T) {
	if ids, err := Dir(filepath.Join(t.TempDir(), "none")).List(); err != nil || len(ids) != 0 {
		t.Errorf("List = %v, %v", ids, err)
	}
}

func TestWhatIsNoPushIsTorn(t *testing.T) {
	good := push(time.UnixMilli(5))
	bend := func(f func(*event.Push)) string {
		p := good
		p.Updates = append([]event.Update(nil), good.Updates...)
		f(&p)
		data, _ := json.Marshal(p)
		return string(data)
	}
	whole := bend(func(*event.Push) {})
	for name, text := range map[string]string{
		"empty":         "",
		"cut":           whole[:len(whole)/2],
		"other id":      bend(func(p *event.Push) { p.ID = event.NewID(time.UnixMilli(6)) }),
		"path in id":    bend(func(p *event.Push) { p.ID = "../../../../../../etc/passwd" }),
		"relative repo": bend(func(p *event.Push) { p.GitDir = "a.git" }),
		"option as oid": bend(func(p *event.Push) { p.Updates[0].New = "--upload-pack=/bin/sh" }),
		"upper oid":     bend(func(p *event.Push) { p.Updates[0].New = strings.Repeat("AB", 20) }),
		"no ref":        bend(func(p *event.Push) { p.Updates[0].Ref = "" }),
	} {
		t.Run(name, func(t *testing.T) {
			d := Dir(t.TempDir())
			if err := d.Make(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(d.part("new", good.ID), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := d.Read(good.ID)
			if !errors.Is(err, ErrTorn) {
				t.Fatalf("Read: %v, want ErrTorn", err)
			}
			if err := d.Bad(good.ID, err.Error()); err != nil {
				t.Fatal(err)
			}
			bad, err := d.BadFiles()
			if err != nil || len(bad) != 1 || bad[0].Name != good.ID || !strings.Contains(bad[0].Why, "not a push") {
				t.Errorf("BadFiles = %+v, %v", bad, err)
			}
			if ids, _ := d.List(); len(ids) != 0 {
				t.Errorf("still waiting: %v", ids)
			}
		})
	}
}

func TestASymbolicLinkInTheSpoolIsNotFollowed(t *testing.T) {
	d := Dir(t.TempDir())
	p := push(time.UnixMilli(5))
	if err := d.Intend(p); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(d.part("intent", p.ID), d.part("new", p.ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(p.ID); !errors.Is(err, ErrTorn) {
		t.Errorf("Read: %v, want ErrTorn", err)
	}
}

func TestIntents(t *testing.T) {
	d := Dir(t.TempDir())
	p := push(time.UnixMilli(5))
	if err := d.Intend(p); err != nil {
		t.Fatal(err)
	}
	if ids, _ := d.List(); len(ids) != 0 {
		t.Errorf("an intent waits as a push: %v", ids)
	}
	got, err := d.ReadIntent(p.ID)
	if err != nil || !reflect.DeepEqual(got, p) {
		t.Fatalf("ReadIntent = %+v, %v", got, err)
	}
	if err := d.Fulfil(got); err != nil {
		t.Fatal(err)
	}
	intents, _ := d.Intents()
	ids, _ := d.List()
	if len(intents) != 0 || len(ids) != 1 {
		t.Errorf("after Fulfil: intents %v, waiting %v", intents, ids)
	}
}

func TestWritersAtOnce(t *testing.T) {
	d := Dir(t.TempDir())
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := d.Write(push(time.UnixMilli(7))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ids, err := d.List()
	if err != nil || len(ids) != 50 {
		t.Fatalf("List: %d pushes, %v; want 50", len(ids), err)
	}
	for _, id := range ids {
		if _, err := d.Read(id); err != nil {
			t.Error(err)
		}
	}
}

func TestCleanLeavesYoungFiles(t *testing.T) {
	d := Dir(t.TempDir())
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"old", "young"} {
		if err := os.WriteFile(d.part("tmp", n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(d.part("tmp", "old"), long, long); err != nil {
		t.Fatal(err)
	}
	if err := d.Clean(time.Hour); err != nil {
		t.Fatal(err)
	}
	if left, _ := d.list("tmp"); !reflect.DeepEqual(left, []string{"young"}) {
		t.Errorf("left: %v", left)
	}
}

func TestAReadOnlySpoolIsAnError(t *testing.T) {
	if os.Geteuid() == 0 {
		// root writes into a directory of mode 0500, so a file stands in the way.
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "spool"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Dir(dir).Write(push(time.Now())); err == nil {
			t.Error("writing succeeded")
		}
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := Dir(dir).Write(push(time.Now())); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Write: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	data, _ := json.Marshal(push(time.UnixMilli(5)))
	f.Add(data)
	f.Add([]byte(`{"id":"","updates":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data)
		if err != nil {
			if !errors.Is(err, ErrTorn) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(again); err != nil {
			t.Fatalf("written again it is torn: %v", err)
		}
	})
}
