package mirror

import (
	"context"
	"errors"
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
		"packed": func(t *testing.T, file string) error { // and the ref was in there
			return errors.Join(os.Remove(file), os.WriteFile(filepath.Join(filepath.Dir(file), "..", "..", "packed-refs"), nil, 0o644))
		},
		"torn": func(t *testing.T, file string) error { return tearPacked(t, file, "refs/heads/b", "") },
		"torn, zero bytes": func(t *testing.T, file string) error {
			return tearPacked(t, file, "refs/heads/b", strings.Repeat("\x00", 60))
		},
		"torn, and a line after it": func(t *testing.T, file string) error {
			return tearPacked(t, file, "refs/heads/b", strings.Repeat("\x00", 60)+"\n")
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
				torn := strings.HasPrefix(name, "torn")
				switch {
				case err != nil && torn && reader == "plumbing": // git reads nothing of such a file
					if !strings.Contains(err.Error(), "packed-refs") {
						t.Errorf("the file is not named: %v", err)
					}
					w.wantThere("refs/heads/b1", good)
					w.wantThere("refs/heads/gone", gone)
					return
				case err != nil:
					t.Fatal(err)
				}
				w.wantThere("refs/heads/main", two)
				w.wantThere("refs/heads/b1", good)
				w.wantThere("refs/heads/b", "")
				w.wantThere("refs/heads/gone", gone)
				if rep.OK() {
					t.Errorf("it is called in step:\n%s", rep)
				}
				if name == "packed" || torn {
					file = filepath.Join(w.src, "packed-refs")
				}
				if !strings.Contains(rep.String(), file) {
					t.Errorf("the report does not name the file %s:\n%s", file, rep)
				}
			})
		}
	}
}

// The daily look names the file to the operator, once, and status is red until it is
// mended; what can be read is looked at all the same.
func TestTheDailyLookNamesADamagedRef(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	good := w.commit("refs/heads/b1", "good")
	req := w.request(Want{"refs/heads/main", one}, Want{"refs/heads/b1", good})
	req.Target = w.order().Target
	w.deliver(req)
	file := filepath.Join(w.src, "refs", "heads", "b1")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	k := NewKeeper(w.engine, KeeperOptions{Orders: []Order{w.order()},
		Secret: func(context.Context, string, string) (secret.Value, error) { return secret.NewValue(token), nil }})
	look := func() (n Notice) {
		t.Helper()
		k.Tell = func(told Notice) { n = told }
		list, err := w.store.Targets(context.Background(), "", "")
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		k.audit(context.Background(), list[0])
		return n
	}
	red := func() bool {
		t.Helper()
		list, err := w.engine.Status(context.Background(), "", []Order{w.order()})
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0].Drift()
	}
	n := look()
	var why *TargetError
	if !errors.As(n.Err, &why) || why.Class != ClassBroken || !strings.Contains(why.Detail.String(), file) || n.Again || !red() {
		t.Errorf("%+v, not in step: %v", n, red())
	}
	if n := look(); !n.Again {
		t.Errorf("it is told again: %+v", n)
	}
	w.wantThere("refs/heads/b1", good)
	if err := os.Remove(file); err != nil { // git replaces no broken one
		t.Fatal(err)
	}
	git(t, w.src, "update-ref", "refs/heads/b1", good)
	if n := look(); n.Err != nil || red() {
		t.Errorf("mended: %+v, not in step: %v", n, red())
	}
}

// tearPacked packs all refs but main, ends the file in the middle of b1's line, and
// adds what a power cut can leave behind that.
func tearPacked(t *testing.T, file, upTo, rest string) error {
	top := filepath.Join(filepath.Dir(file), "..", "..")
	git(t, top, "pack-refs", "--all")
	packed := filepath.Join(top, "packed-refs")
	text, err := os.ReadFile(packed)
	if err != nil {
		return err
	}
	var whole, torn []string
	for line := range strings.Lines(string(text)) {
		if strings.HasSuffix(line, " refs/heads/b1\n") {
			torn = append(torn, strings.TrimSuffix(line, "refs/heads/b1\n")+upTo+rest)
		} else {
			whole = append(whole, line)
		}
	}
	if len(torn) != 1 {
		t.Fatalf("no b1 in\n%s", text)
	}
	return os.WriteFile(packed, []byte(strings.Join(append(whole, torn...), "")), 0o644)
}
