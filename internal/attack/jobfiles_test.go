package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fennel is a ci.fnl of these jobs, with the runtime at hand, and a function
// that demands an error of a primitive.
func fennel(jobs string) files {
	return files{".quire/ci.fnl": "(local ci (require :quire.ci))\n(local {: runtime} ci)\n" +
		"(fn refused [f ...] (let [(ok err) (pcall f ...)] (when ok (error \"it was let through\")) (runtime.log (tostring err))))\n" + jobs}
}

// succeeded demands that a push's run ended well. A run that does not end is
// given up by the pusher's patience.
func (s shown) succeeded(t *testing.T) {
	t.Helper()
	if s.Err != nil || !strings.Contains(s.Report, "success: run") {
		t.Errorf("the push: %v\n%s", s.Err, s.Report)
	}
}

// Rule R4: no process outside the sandbox opens a pipe, and none waits for one.
func TestANamedPipeHoldsUpNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		p := m.repository("project").push("main", fennel(`
(ci.job :attack [:quire/push]
  (fn []
    (runtime.run "mkfifo -m 755 pipe; mkdir bin; mkfifo -m 755 bin/tool; ln -s pipe link; printf '#!%s/pipe\n' \"$PWD\" > script; chmod +x script; mkfifo .git/info/x; rm -rf .quire/Dockerfile; mkfifo .quire/Dockerfile")
    (refused runtime.sh ["./pipe"])
    (refused runtime.sh ["./link"])
    (refused runtime.sh ["./script"])
    (refused runtime.sh ["tool"] {:env {:PATH "bin"}})
    (refused runtime.sh ["true"] {:cwd "pipe"})
    (refused runtime.read-file "pipe")
    (refused runtime.read-json "link")
    (refused runtime.write-file "pipe" "x")
    (refused runtime.artifact "link")
    {}))`))
		m.idle()
		p.succeeded(t)
	})
}

// Rules R1, R4: a link in the workspace leads to no file of the operator's,
// whoever follows it.
func TestALinkOfAJobsRevealsNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		before := m.snapshot()
		p := m.repository("project").push("main", fennel(fmt.Sprintf(`
(ci.job :attack [:quire/push]
  (fn []
    (runtime.run "ln -s %[1]s/private secret; ln -s %[1]s dir; ln -s /proc/self/root magic; ln -s %[2]s state; mkdir d; ln -s ../.. d/up")
    (each [_ name (ipairs ["secret" "dir/private" "magic%[1]s/private" "state/quire.db" "d/up/events.jsonl" "d/up/../../quire.db" "%[1]s/private" "../push.log"])]
      (refused runtime.read-file name)
      (refused runtime.artifact name)
      (refused runtime.write-file name "x"))
    (refused runtime.write-file "dir/new" "x")
    (refused runtime.write-file "magic/tmp/quire-attack-new" "x")
    (refused runtime.sh ["true"] {:cwd "dir"})
    (refused runtime.sh ["private"] {:env {:PATH "%[1]s"}})
    (refused runtime.sh ["./secret"])
    {}))`, m.Operator, m.State)))
		m.idle()
		p.succeeded(t)
		m.unchanged(before)
		m.absent("/tmp/quire-attack-new")
		m.nowhere(canary)
	})
}

// Rule R8: what a run keeps has a bound on disk, whatever a file says of itself.
func TestWhatAJobKeepsHasABound(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		m.configure("\n[limits]\nartifacts = \"2MiB\"\n")
		p := m.repository("project").push("main", fennel(`
(ci.job :attack [:quire/push]
  (fn []
    (runtime.run "dd if=/dev/null of=sparse bs=1 seek=1000000000000 2>/dev/null; dd if=/dev/zero of=big bs=1000000 count=1 2>/dev/null; cp big two; cp big three; echo x > small")
    (refused runtime.artifact "sparse")
    (runtime.artifact "big")
    (refused #(do (runtime.artifact "two") (runtime.artifact "three")))
    (each [_ name (ipairs ["a\nb" "a\027[31mb" "\255" "-rf" "x/../../../y"])]
      (pcall runtime.write-file name "x")
      (refused runtime.artifact name))
    {}))`))
		m.idle()
		p.succeeded(t)
		var kept int64
		found, _ := filepath.Glob(filepath.Join(m.State, "runs", "*", "artifacts", "*", "*"))
		for _, file := range found {
			if info, err := os.Lstat(file); err != nil {
				t.Error(err)
			} else {
				kept += info.Size()
			}
		}
		if len(found) == 0 || kept > 2<<20 {
			t.Errorf("%d bytes are kept in %q", kept, found)
		}
	})
}

// Rule R4: what a job leaves is deleted, however deep it is and whatever its
// permissions are.
func TestADeepWorkspaceIsDeleted(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		p := m.repository("project").push("main", job(`
p=$(printf 'd/%.0s' $(seq 250))
deep() { mkdir deep; for i in $(seq 20); do mkdir -p new/$p && mv deep new/${p}x && mv new deep || exit 1; done; }
deep && chmod 000 deep/d || exit 1
mkdir closed closed/in && echo x > closed/in/file && chmod 000 closed/in closed
mkfifo closed 2>/dev/null
ln -s / root
cd /tmp && [ -w . ] || exit 0 # not in every container
deep || exit 1
mkdir /tmp/closed && chmod 000 /tmp/closed
`))
		m.idle()
		p.succeeded(t)
		m.workspacesAreRemoved()
	})
}

// workspacesAreRemoved waits until what runs had to work in is gone.
func (m *machine) workspacesAreRemoved() {
	m.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		runs, _ := filepath.Glob(filepath.Join(m.State, "runs", "*"))
		left, _ := filepath.Glob(filepath.Join(m.State, "runs", "*", "workspace"))
		scratch, _ := filepath.Glob(filepath.Join(m.State, "runs", "*", "scratch"))
		if len(runs) > 0 && len(left)+len(scratch) == 0 {
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("not removed: %q %q; quire gc: %s", left, scratch, m.quire("gc"))
		}
	}
}

// Rule R4: a cache in the workspace is no reason why that stays, nor does a job find a
// directory on the way to it that is somebody else's.
func TestAWorkspaceWithACacheIsDeleted(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		r := m.repository("project")
		for range 2 {
			p := r.push("main", fennel(`
(ci.cache :c ["deps/all/cached" "cached"])
(ci.job :use [:quire/push]
  (fn []
    (runtime.run "echo x >deps/mine && echo x >deps/all/mine && mkdir -p cached/d && echo x >deps/all/cached/x && chmod 500 deps/all")
    {}))`))
			m.idle()
			p.succeeded(t)
		}
		m.workspacesAreRemoved()
		// A commit decides what is there, and may not lead a mount elsewhere.
		p := r.push("main", files{"deps": "-> /etc"})
		m.idle()
		if !strings.Contains(p.Report, "a file or a symbolic link is in the way") {
			t.Errorf("a link on the way to a cache: %v\n%s", p.Err, p.Report)
		}
	})
}

// Rule R1: no other file can be put into a workspace by a hard link. What a job sees is
// mounted, and no link leads from one mount to another (link(2), EXDEV), whatever
// fs.protected_hardlinks is.
func TestAHardLinkOfAJobsLeadsNowhere(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		p := m.repository("project").push("main", fennel(fmt.Sprintf(`
(ci.cache :c ["cached"])
(ci.job :attack [:quire/push]
  (fn []
    (let [push (runtime.jobs :quire/push)
          {: stderr} (runtime.sh
            "echo text >plain; ln plain hard; echo x >cached/x; echo x >/tmp/x
             tried=0
             for f in cached/x /tmp/x $(git rev-parse --git-common-dir 2>/dev/null)/nothing $G/HEAD $G/objects/info/* $(command -v sh) /etc/hostname %[1]s/private %[2]s/quire.db; do
               [ -e \"$f\" ] && tried=$((tried+1)); ln -f \"$f\" linked.$tried && echo LINKED $f >&2
             done
             [ $tried -ge 3 ] || echo TOO FEW: $tried >&2" {:env {:G push.git-dir}})]
      (when (or (stderr:find "LINKED") (stderr:find "TOO FEW")) (error stderr)))
    (runtime.artifact "hard")
    (for [i 0 10] (refused runtime.artifact (.. "linked." i)))
    {}))`, m.Operator, m.State)))
		m.idle()
		p.succeeded(t)
		m.nowhere(canary)
	})
}

// Rule R1: git's configuration in the workspace is the job's, and no git of
// quire's obeys it.
func TestNoGitOfQuiresObeysAWorkspace(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		executed := filepath.Join(m.Dir, "tmp", "executed")
		r := m.repository("project")
		r.push("main", files{"README": "one\n"}, "-o", "ci.skip")
		p := r.push("main", fennel(fmt.Sprintf(`
(ci.job :plant [:quire/push]
  (fn []
    (runtime.run "
      for h in post-checkout pre-commit post-index-change reference-transaction fsmonitor; do
        mkdir -p .git/hooks; printf '#!/bin/sh\ntouch %[1]s\n' > .git/hooks/$h; chmod +x .git/hooks/$h; done
      printf '[core]\n\tfsmonitor = touch %[1]s; false\n\tpager = touch %[1]s\n\tsshCommand = touch %[1]s\n\thooksPath = .git/hooks\n\talternateRefsCommand = touch %[1]s\n\tgitProxy = touch %[1]s\n' >> .git/config
      printf '[filter \"x\"]\n\tsmudge = touch %[1]s\n\tclean = touch %[1]s\n\tprocess = touch %[1]s\n[diff]\n\texternal = touch %[1]s\n[credential]\n\thelper = !touch %[1]s\n[protocol]\n\tallow = always\n[remote \"origin\"]\n\turl = ext::touch %[1]s\n\tpromisor = true\n' >> .git/config
      echo '* filter=x diff=x' > .gitattributes; mkdir -p .git/objects/info; echo %[2]s > .git/objects/info/alternates; rm -rf .git/HEAD; mkfifo .git/HEAD")
    {}))
(ci.job :use [:plant]
  (fn [{: jobs}]
    (runtime.log (length (. (jobs :quire/push) :files-changed)))
    (runtime.read-file "README")
    (runtime.artifact "README")
    (pcall runtime.mirror {:url "https://127.0.0.1:1/x.git"})
    (runtime.run "true")
    {}))`, executed, m.Operator)))
		m.idle()
		p.succeeded(t)
		m.absent(executed)
	})
}
