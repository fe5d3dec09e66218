package attack

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"quire/internal/event"
	"quire/internal/runlog"
)

// runs are the runs of a repository by ref, the newest of each.
func (r *repository) runs() map[string]event.Run {
	r.m.t.Helper()
	out := map[string]event.Run{}
	for line := range strings.Lines(r.m.must(r.m.Dir, "quire", "runs", "--json", "--limit", "0")) {
		var run event.Run
		if err := json.Unmarshal([]byte(line), &run); err != nil {
			r.m.t.Fatalf("%v: %s", err, line)
		}
		if run.GitDir == r.GitDir && run.Number > out[run.Ref].Number {
			out[run.Ref] = run
		}
	}
	return out
}

// said is what a job of the newest run of a ref logged, and what its commands
// printed.
func (r *repository) said(ref, job string) string {
	r.m.t.Helper()
	run := r.runs()[ref]
	if run.State != event.RunSucceeded {
		r.m.t.Errorf("the run of %s: %s, %s", ref, run.State, run.Reason)
	}
	logged, err := os.ReadFile(runlog.RunDir(r.m.State, run.ID).JobLog(job))
	if err != nil {
		r.m.t.Error(err)
	}
	return string(logged) + r.m.quire("log", fmt.Sprint(run.Number), job)
}

// imageOf is a Dockerfile of the machine's image. What is built of it is removed
// with that image.
func imageOf(t *testing.T, m *machine, instructions string) string {
	if m.Executor != "docker" {
		return "FROM busybox\n" + instructions // nobody reads it
	}
	return fmt.Sprintf("FROM %s\nLABEL %s\n%s", image(t), builtLabel(), instructions)
}

// Rule R7: what decides which code runs counts for protect, and each form of
// protect counts what docs/secrets.md says.
func TestAProtectedSecretIsNotForABranchThatChoosesTheCode(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		m.secret("plain", canary, "protect = true")
		m.secret("paths", canary, "protect = true", `protect_paths = ["use.sh", "scripts"]`)
		m.secret("tree", canary, `protect = "tree"`)
		r := m.repository("project")
		pipeline := `(local ci (require :quire.ci))
(import-macros {: given} :mac)
(local {: text} (require :text))
(local linked (let [(ok v) (pcall require :linked)] (if ok v nil)))
(ci.job :use [:quire/push]
  (fn [{: run : secret : log}]
    (log (.. "text " text (given)))
    (when linked (log "the code of a linked module"))
    (each [_ name (ipairs [:plain :paths :tree])]
      (let [(ok said) (pcall secret name)]
        (log (.. name " " (if ok "given" (tostring said))))))
    (run ["sh" "-c" "echo ran"])))
`
		base := files{
			".quire/ci.fnl": pipeline, ".quire/lib/text.fnl": "{:text \"x\"}\n", ".quire/lib/mac.fnl": "{:given (fn [] \"y\")}\n",
			".quire/lib/linked.fnl": "-> ../../tools/linked.fnl", "tools/linked.fnl": "nil\n",
			".quire/Dockerfile": imageOf(t, m, "RUN true\nCOPY . /context\n"), ".quire/tool": "tool\n", ".gitattributes": "*.x text\n",
			"use.sh": "echo use\n", "scripts/deep/a": "a\n", "src": "one\n", "docs/.gitattributes": "*.x text\n",
		}
		if p := r.push("main", base); !strings.Contains(p.Report, "success: run") {
			t.Fatalf("main: %v\n%s", p.Err, p.Report)
		}
		first := strings.TrimSpace(r.m.must(r.Work, "git", "rev-parse", "HEAD"))
		if p := r.push("main", files{"src": "two\n"}); !strings.Contains(p.Report, "success: run") {
			t.Fatalf("main: %v\n%s", p.Err, p.Report)
		}
		if m.Executor == "docker" && strings.Contains(m.quire("show", "last"), "building") {
			t.Error("an unchanged context was built again")
		}

		// Each branch changes one thing, and is given what its row says.
		type row struct {
			name   string
			change files
			given  string
		}
		rows := []row{
			{"program", files{"src": "three\n"}, "plain paths"},
			{"script", files{"use.sh": "echo evil\n"}, "plain"},
			{"script-of-a-directory", files{"scripts/deep/b": "b\n"}, "plain"},
			{"script-removed", files{"use.sh": ""}, "plain"},
			{"script-by-link", files{"use.sh": "-> src"}, "plain"},
			{"attributes-below", files{"scripts2/.gitattributes": "* ident\n"}, "plain"},
			{"pipeline", files{".quire/ci.fnl": pipeline + "; evil\n"}, ""},
			{"module", files{".quire/lib/text.fnl": "{:text \"evil\"}\n"}, ""},
			{"new-module", files{".quire/lib/string.fnl": "{}\n"}, ""},
			{"macros", files{".quire/lib/mac.fnl": "{:given (fn [] \"evil\")}\n"}, ""},
			{"linked-module", files{"tools/linked.fnl": "{:evil true}\n"}, "plain paths"},
			{"dockerfile", files{".quire/Dockerfile": imageOf(t, m, "RUN echo evil >/evil\nCOPY . /context\n")}, ""},
			{"context", files{".quire/tool": "evil\n"}, ""},
			{"context-by-link", files{".quire/tool": "-> ../src"}, ""},
			{"no-dockerfile", files{".quire/Dockerfile": ""}, ""},
			{"attributes", files{".gitattributes": "*.fnl text eol=crlf\n"}, ""},
			{"attributes-of-quire", files{".quire/.gitattributes": "* ident\n"}, ""},
			{"heads/main", files{".quire/ci.fnl": pipeline + "; evil\n"}, ""}, // refs/heads/heads/main
		}
		if m.Executor == "docker" { // what is compared is the same everywhere; an image is built here alone
			rows = slices.DeleteFunc(rows, func(r row) bool {
				return !slices.Contains([]string{"script", "pipeline", "dockerfile", "context", "context-by-link", "no-dockerfile"}, r.name)
			})
		}
		args := []string{"-o", "ci.wait=none", "origin"}
		for _, row := range rows {
			r.m.must(r.Work, "git", "checkout", "-q", "--detach", "refs/remotes/origin/main")
			args = append(args, r.commit(row.change)+":refs/heads/"+row.name)
		}
		m.raiseRunsPerPush()
		// A commit of main's own history, by whatever name, is given everything that
		// its .quire allows; a tag that is called like main is not main.
		evil := r.commit(files{".quire/ci.fnl": pipeline + "; evil\n"})
		args = append(args, first+":refs/heads/old", evil+":refs/tags/main")
		if p := r.pushRefs(args...); p.Err != nil {
			t.Fatalf("%v\n%s", p.Err, p.Report)
		}
		m.idle()
		check := func(ref, want string) {
			log := r.said(ref, "use")
			var given []string
			for _, name := range []string{"plain", "paths", "tree"} {
				switch {
				case strings.Contains(log, name+" given\n"):
					given = append(given, name)
				case !strings.Contains(log, name+" .quire/ci.fnl:10: secret "+name+" is protected"):
					t.Errorf("%s: %s has neither been given nor refused:\n%s", ref, name, log)
				}
			}
			if got := strings.Join(given, " "); got != want {
				t.Errorf("%s was given %q, want %q:\n%s", ref, got, want, log)
			}
			if strings.Contains(log, "linked module") {
				t.Errorf("%s: a module was loaded by a link: its code is the branch's:\n%s", ref, log)
			}
		}
		check("refs/heads/main", "plain paths tree")
		for _, row := range rows {
			check("refs/heads/"+row.name, row.given)
		}
		check("refs/heads/old", "plain paths tree")
		check("refs/tags/main", "")
		m.nowhere(canary)
	})
}

// raiseRunsPerPush has every ref of a push run.
func (m *machine) raiseRunsPerPush() {
	m.t.Helper()
	text, err := os.ReadFile(m.Config)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(m.Config, "max_runs_per_push = 100\n"+string(text))
}

// Rule R6: what a branch leaves in a cache is read by no run of the default
// branch, by no other ref, and by no run that is given more.
func TestNothingFlowsBackThroughACache(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		m.secret("token", canary, "protect = true")
		r := m.repository("project")
		pipeline := func(remark string) string {
			return fmt.Sprintf(`(local ci (require :quire.ci)) ; %s
(ci.cache :tools ["tools" "/cached"])
(ci.job :use [:quire/push]
  (fn [{: run : secret : log}]
    (log (if (pcall secret :token) "given" "refused"))
    (run ["sh" "./use.sh"])))
`, remark)
		}
		// What a run finds, it says; then it leaves its own, and what may lead elsewhere.
		use := func(who string) string {
			return fmt.Sprintf(`for d in tools /cached; do
  echo "in $d: $(cat $d/upload 2>/dev/null || echo nothing)"
  cat $d/leak/private $d/leaked $d/hard 2>/dev/null
  rm -rf $d/upload $d/leak; echo %[1]s >$d/upload
  ln -sfn %[2]s $d/leak; ln -sf %[2]s/private $d/leaked; ln -f /etc/passwd $d/hard 2>/dev/null
  mkfifo $d/pipe 2>/dev/null
  chmod 4755 $d/upload
done
exit 0
`, who, m.Operator)
		}
		found := func(ref, want string) {
			t.Helper()
			log := r.said(ref, "use")
			for _, dir := range []string{"tools", "/cached"} {
				if !strings.Contains(log, "in "+dir+": "+want+"\n") {
					t.Errorf("%s, in %s, did not find %q:\n%s", ref, dir, want, log)
				}
			}
		}
		step := func(ref string, change files) string {
			t.Helper()
			commit := r.commit(change)
			p := r.pushRefs("origin", "+"+commit+":"+ref)
			m.idle()
			if !strings.Contains(p.Report, "success: run") {
				t.Fatalf("%s: %v\n%s", ref, p.Err, p.Report)
			}
			return commit
		}
		before := m.snapshot()
		honest := step("refs/heads/main", files{".quire/ci.fnl": pipeline("main's"), "use.sh": use("main")})
		found("refs/heads/main", "nothing")
		for _, ref := range []string{"refs/heads/attack", "refs/tags/main", "refs/heads/heads/main"} {
			step(ref, files{".quire/ci.fnl": pipeline("evil"), "use.sh": use("evil")})
			found(ref, "main")
		}
		step("refs/heads/attack", files{"x": "x\n"})
		found("refs/heads/attack", "evil")
		if log := r.said("refs/heads/attack", "use"); !strings.Contains(log, "refused\n") {
			t.Errorf("the branch was given the secret:\n%s", log)
		}
		// The same branch with main's pipeline is given the secret, and must not run
		// what it left when it was refused.
		step("refs/heads/attack", files{".quire/ci.fnl": pipeline("main's"), "use.sh": use("evil by script")})
		found("refs/heads/attack", "main")
		if log := r.said("refs/heads/attack", "use"); !strings.Contains(log, "given\n") {
			t.Errorf("the branch with main's pipeline was refused the secret:\n%s", log)
		}
		// Another repository of the same name has caches of its own.
		twin := m.repository("elsewhere/project")
		if p := twin.push("main", files{".quire/ci.fnl": pipeline("main's"), "use.sh": use("twin")}); !strings.Contains(p.Report, "success: run") {
			t.Fatalf("%v\n%s", p.Err, p.Report)
		}
		if log := twin.said("refs/heads/main", "use"); strings.Count(log, ": nothing\n") != 2 {
			t.Errorf("another repository found:\n%s", log)
		}
		m.idle()
		r.m.must(r.Work, "git", "checkout", "-q", "--detach", honest)
		step("refs/heads/main", files{"y": "y\n"})
		found("refs/heads/main", "main")
		m.unchanged(before)
		m.nowhere(canary)
		// What the runs left leads nowhere: each link is a link still, and nothing was copied through one.
		var links []string
		err := filepath.WalkDir(filepath.Join(m.State, "caches"), func(path string, d os.DirEntry, err error) error {
			if err == nil && strings.HasPrefix(d.Name(), "leak") {
				if d.Type() != os.ModeSymlink {
					t.Errorf("%s is %s", path, d.Type())
				}
				links = append(links, path)
			}
			return err
		})
		if err != nil || len(links) == 0 {
			t.Errorf("links in the caches: %q, %v", slices.Sorted(slices.Values(links)), err)
		}
	})
}
