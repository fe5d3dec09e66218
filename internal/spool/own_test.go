package spool

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quire/internal/event"
)

// Only the announced move, of the announced repository, while it is announced.
func TestOwn(t *testing.T) {
	d := Dir(t.TempDir())
	u := event.Update{Old: strings.Repeat("0", 40), New: strings.Repeat("1", 40), Ref: "refs/tags/v1"}
	name := rand.Text()
	forget, err := d.Own(name, "/srv/a.git", u)
	if err != nil {
		t.Fatal(err)
	}
	if !d.IsOwn(name, "/srv/a.git", []event.Update{u}) {
		t.Error("it is not known")
	}
	other := u
	other.New = strings.Repeat("2", 40)
	for what, is := range map[string]bool{
		"another name":       d.IsOwn(rand.Text(), "/srv/a.git", []event.Update{u}),
		"no name":            d.IsOwn("", "/srv/a.git", []event.Update{u}),
		"a path":             d.IsOwn("../own/"+name[:19], "/srv/a.git", []event.Update{u}),
		"another repository": d.IsOwn(name, "/srv/b.git", []event.Update{u}),
		"another object":     d.IsOwn(name, "/srv/a.git", []event.Update{other}),
		"more refs":          d.IsOwn(name, "/srv/a.git", []event.Update{u, other}),
		"none":               d.IsOwn(name, "/srv/a.git", nil),
	} {
		if is {
			t.Errorf("%s is taken for it", what)
		}
	}
	if st, err := os.Stat(filepath.Join(string(d), "spool", "own", name)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	forget()
	if d.IsOwn(name, "/srv/a.git", []event.Update{u}) {
		t.Error("it is known when it is over")
	}
	if _, err := d.Own("../../x", "/srv/a.git", u); err == nil {
		t.Error("a path was written")
	}
	// A crash leaves the file; it is taken away.
	if _, err := d.Own(name, "/srv/a.git", u); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(string(d), "spool", "own", name), old, old); err != nil {
		t.Fatal(err)
	}
	if err := d.Clean(time.Hour); err != nil || d.IsOwn(name, "/srv/a.git", []event.Update{u}) {
		t.Errorf("it is still known, %v", err)
	}
}
