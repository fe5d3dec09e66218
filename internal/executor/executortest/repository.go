package executortest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/executor"
)

const oid = "0123456789012345678901234567890123456789"

// repository: commands see objects and refs, as they are when the command starts, and
// of the rest of the repository nothing.
func (s *suite) repository(t *testing.T) {
	spec := NewSpec(t)
	put := func(name, content string) {
		t.Helper()
		path := filepath.Join(spec.GitDir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		// As git does it.
		if err := os.WriteFile(path+".lock", []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".lock", path); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("SECRET-outside"), 0o644); err != nil {
		t.Fatal(err)
	}
	config := "[core]\n\tbare = true\n\thooksPath = /SECRET-hooks\n[remote \"up\"]\n\turl = https://u:SECRET-token@forge/x\n" +
		"[http \"https://forge\"]\n\textraHeader = Authorization: SECRET-header\n[include]\n\tpath = " + outside + "\n"
	put("config", config)
	put("HEAD", "ref: refs/heads/main\n")
	put("packed-refs", "# pack-refs with: sorted \n"+oid+" refs/heads/old\n")
	put("refs/heads/main", oid+"\n")
	put("objects/01/23456789", "object")
	put("objects/info/packs", "\n")
	put("info/exclude", "*.o\n")
	for _, name := range []string{"hooks/post-receive", "quire.toml", "quire-drop/1", "logs/HEAD", "config.worktree", "config~", "gl-conf", "worktrees/w/gitdir", "modules/m/config"} {
		put(name, "SECRET-"+name)
	}
	made := s.make(t, spec)
	p := &place{Executor: made, spec: spec, traits: s.traits}
	defer func() {
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	in := func(script string) string {
		t.Helper()
		o := p.sh(t, "cd "+spec.GitDir+" && "+script)
		return o.out + o.err
	}
	if out := in("ls -a | tr '\\n' ' '"); out != ". .. HEAD config info objects packed-refs refs " {
		t.Errorf("commands see of the repository: %s", out)
	}
	if out := in("find . -type f -exec cat {} +; cat config.worktree hooks/post-receive"); strings.Contains(out, "SECRET") {
		t.Errorf("commands read of the repository: %s", out)
	}
	if out := in("cat HEAD refs/heads/main packed-refs objects/01/23456789 info/exclude config | tr '[:upper:]' '[:lower:]'"); !strings.HasPrefix(out, "ref: refs/heads/main\n"+oid+"\n# pack-refs with: sorted \n"+oid+" refs/heads/old\nobject*.o\n[core]\n") || !strings.Contains(out, "bare = true") {
		t.Errorf("commands read of the repository: %s", out)
	}
	if out := in("for f in new HEAD config refs/heads/main refs/new objects/new packed-refs; do echo x > $f && echo WRITTEN; rm -f $f && [ ! -e $f ] && [ $f = ${f%new} ] && echo REMOVED; done"); strings.Contains(out, "WRITTEN") || strings.Contains(out, "REMOVED") {
		t.Errorf("commands write to the repository: %s", out)
	}
	// git gc, a push, and a branch that is deleted.
	put("packed-refs", "# pack-refs with: sorted \n"+oid+" refs/heads/main\n")
	put("refs/heads/new", oid+"\n")
	if err := os.Remove(filepath.Join(spec.GitDir, "refs/heads/main")); err != nil {
		t.Fatal(err)
	}
	put("HEAD", "ref: refs/heads/new\n")
	if out := in("cat HEAD; ls refs/heads; cut -d' ' -f2 packed-refs"); out != "ref: refs/heads/new\nnew\npack-refs\nrefs/heads/main\n" {
		t.Errorf("the next command sees of the repository: %s", out)
	}
	if err := os.Remove(filepath.Join(spec.GitDir, "packed-refs")); err != nil {
		t.Fatal(err)
	}
	put("shallow", oid+"\n")
	if out := in("cat shallow; [ ! -e packed-refs ] || echo STILL THERE"); out != oid+"\n" {
		t.Errorf("the next command sees of the repository: %s", out)
	}
	// A link to what quire's user may read and the repository's owner may not.
	if err := os.Remove(filepath.Join(spec.GitDir, "shallow")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(spec.GitDir, "shallow")); err != nil {
		t.Fatal(err)
	}
	if o := p.run(t.Context(), executor.Command{Argv: []string{"cat", filepath.Join(spec.GitDir, "shallow")}}); o.fault == nil || !strings.Contains(o.fault.Error(), "shallow: it is a link") || strings.Contains(o.out, "SECRET") {
		t.Errorf("a link out of the repository: %+v", o)
	}
}
