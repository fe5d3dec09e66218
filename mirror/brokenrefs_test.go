package mirror

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/secret"
)

// A ref whose file a power cut emptied is not a deleted one: the good copy stays,
// and what can be read goes on.
func TestADamagedRefDeletesNothingThere(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, file string) error{
		"empty":   func(_ *testing.T, file string) error { return os.WriteFile(file, nil, 0o644) },
		"nul":     func(_ *testing.T, file string) error { return os.WriteFile(file, make([]byte, 41), 0o644) },
		"garbage": func(_ *testing.T, file string) error { return os.WriteFile(file, []byte("x\n"), 0o644) },
		"zeros": func(_ *testing.T, file string) error {
			return os.WriteFile(file, []byte(strings.Repeat("0", 40)), 0o644)
		},
		"symref": func(_ *testing.T, file string) error {
			return os.WriteFile(file, []byte("ref: refs/heads/none\n"), 0o644)
		},
		"dangling": func(_ *testing.T, file string) error { os.Remove(file); return os.Symlink("/none", file) },
	} {
		for _, reader := range []string{"direct", "plumbing"} {
			t.Run(name+"/"+reader, func(t *testing.T) {
				w := newWorld(t)
				one := w.commit("refs/heads/main", "one")
				good := w.commit("refs/heads/b1", "good")
				gone := w.commit("refs/heads/gone", "gone")
				w.push(Want{"refs/heads/main", one}, Want{"refs/heads/b1", good}, Want{"refs/heads/gone", gone})
				two := w.commit("refs/heads/main", "two", one)
				git(t, w.src, "update-ref", "-d", "refs/heads/gone")
				file := filepath.Join(w.src, "refs", "heads", "b1")
				if err := damage(t, file); err != nil {
					t.Fatal(err)
				}
				if reader == "plumbing" {
					git(t, w.src, "config", "core.repositoryFormatVersion", "1")
					git(t, w.src, "config", "extensions.worktreeConfig", "true")
				}
				rep, err := w.engine.Sync(context.Background(), SyncRequest{GitDir: w.src, Order: w.order(),
					Credential: func(context.Context) (secret.Value, error) { return secret.NewValue(token), nil }})
				if err != nil {
					t.Fatal(err)
				}
				w.wantThere("refs/heads/main", two)
				w.wantThere("refs/heads/b1", good)
				w.wantThere("refs/heads/gone", gone)
				if !strings.Contains(rep.String(), file) {
					t.Errorf("the report does not name the file %s:\n%s", file, rep)
				}
			})
		}
	}
}
