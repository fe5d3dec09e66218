package attack

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"quire/internal/runlog"
)

// mirrorsTo is a ci.fnl whose one job runs a script and then mirrors to each of
// some URLs; @/ stands for the workspace. What becomes of each is in the job's log.
func mirrorsTo(script, options string, urls ...string) files {
	var list strings.Builder
	for _, u := range urls {
		fmt.Fprintf(&list, "%q ", u)
	}
	return files{
		".quire/ci.fnl": `(local ci (require :quire.ci))
(ci.job :attack [:quire/push]
  (fn [{: run : log : mirror}]
    (let [here (: (. (run "sh ./attack.sh >&2; pwd") :stdout) :match "[^\n]+")]
      (each [_ url (ipairs [` + list.String() + `])]
        (let [url (pick-values 1 (url:gsub "@/" (.. here "/")))
              (ok said) (pcall mirror {: url ` + options + `})]
          (log (.. (if ok "PUSHED " "refused ") url " " (tostring said))))))))
`,
		"attack.sh": script,
	}
}

// jobLog is what the job of the last run of mirrorsTo logged.
func (m *machine) jobLog() string {
	m.t.Helper()
	found, _ := filepath.Glob(filepath.Join(m.State, "runs", "*"))
	if len(found) == 0 {
		m.t.Fatal("there is no run")
	}
	text, err := os.ReadFile(runlog.Dir(found[len(found)-1]).JobLog("attack"))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// silent is a server on loopback that nobody may talk to.
func silent(t *testing.T) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Errorf("somebody connected to %s", l.Addr())
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// evil makes a bare repository in the workspace whose hooks read the operator's
// file, and a link to it.
func (m *machine) evil() string {
	hook := fmt.Sprintf("#!/bin/sh\\ncat %s/private >%s/stolen\\nid >>%s/stolen\\n", m.Operator, m.Home, m.Home)
	return "mkdir -p evil.git/objects/info evil.git/objects/pack evil.git/refs/heads evil.git/hooks\n" +
		"echo 'ref: refs/heads/main' >evil.git/HEAD\n" +
		"printf '[core]\\n\\trepositoryformatversion = 0\\n\\tbare = true\\n' >evil.git/config\n" +
		"for h in pre-receive update post-receive post-update reference-transaction; do printf '" + hook + "' >evil.git/hooks/$h; chmod 755 evil.git/hooks/$h; done\n" +
		"ln -s evil.git link.git\n"
}

// R1: a mirror to a path runs no hook of the job's on the machine.
func TestAMirrorIntoTheWorkspaceRunsNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		r := m.repository("project")
		before := m.snapshot()
		r.push("main", mirrorsTo(m.evil(), "", "@/evil.git", "file://@/evil.git", "@/link.git", "./evil.git", "evil.git", "ext::sh ./evil.git/hooks/update", "fd::1", "-@/evil.git"))
		m.idle()
		log := m.jobLog()
		if strings.Contains(log, "PUSHED") || strings.Count(log, "refused ") != 8 || strings.Count(log, "not allowed") < 3 {
			t.Errorf("the job's log:\n%s", log)
		}
		m.unchanged(before)
		m.nowhere(canary)
		// Not even if the operator has listed every path there is.
		m.configure("\n[mirroring]\nallow_urls = [\"/**\"]\n")
		before = m.snapshot()
		r.push("main", mirrorsTo(m.evil(), "", "@/evil.git", "file://@/evil.git", "@/link.git"))
		m.idle()
		if log := m.jobLog(); strings.Contains(log, "PUSHED") || strings.Count(log, "quire's own directory") != 3 {
			t.Errorf("the job's log:\n%s", log)
		}
		m.unchanged(before)
		m.nowhere(canary)
	})
}

// R1: another repository of the machine is not moved past its hooks, and its
// pipeline does not run, so that a secret of its own stays its own.
func TestAMirrorMovesNoOtherRepository(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		m.secret("token", canary, `repos = ["victim"]`)
		m.configure("\n[mirroring]\nallow_urls = [\"https://\", \"/**\"]\n")
		victim := m.repository("victim")
		steal := "(ci.job :steal [:quire/push] (fn [{: run : secret}] (run [\"sh\" \"-c\" \"echo $T | rev\"] {:env {:T (secret :token)}})))\n"
		victim.push("main", files{"README": "theirs\n"}, "-o", "ci.skip")
		m.write(filepath.Join(victim.GitDir, "hooks", "update"), "#!/bin/sh\necho \"not yours\" >&2\nexit 1\n")
		if err := os.Chmod(filepath.Join(victim.GitDir, "hooks", "update"), 0o755); err != nil {
			t.Fatal(err)
		}
		project := m.repository("project")
		m.must(project.Work, "git", "pull", "-q", victim.GitDir, "main")
		m.idle()
		before := m.snapshot(victim.GitDir)
		link := fmt.Sprintf("ln -s %s link.git\n", victim.GitDir)
		attack := mirrorsTo(link, ":refs [\"refs/heads/main\"]", victim.GitDir, "file://"+victim.GitDir, "@/link.git", m.Repos+"/../repos/victim.git", project.GitDir)
		attack[".quire/ci.fnl"] += steal
		project.push("main", attack)
		m.idle()
		if log := m.jobLog(); strings.Contains(log, "PUSHED") || strings.Count(log, "not allowed") < 4 {
			t.Errorf("the job's log:\n%s", log)
		}
		m.unchanged(before, victim.GitDir)
		if runs := m.quire("runs", "--json"); strings.Contains(runs, "victim.git") {
			t.Errorf("a run of the victim: %s", runs)
		}
		m.nowhere(canary)
		m.nowhere(reversed(canary))
	})
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// R1: neither the operator's keys nor this machine's own services are reached.
func TestAMirrorReachesNothingOfTheMachines(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		port := silent(t)
		r := m.repository("project")
		var urls []string
		for _, host := range []string{"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "127.0.0.1.", "a.localhost"} {
			urls = append(urls, "http://"+host+":"+port+"/r.git", "https://"+host+":"+port+"/r.git", "ssh://"+host+":"+port+"/r.git")
		}
		urls = append(urls, "http://169.254.169.254/latest/meta-data", "http://[fe80::1%25lo]:"+port+"/r.git", "localhost:r.git", "git://127.0.0.1:"+port+"/r.git")
		r.push("main", mirrorsTo("true\n", "", urls...))
		m.idle()
		log := m.jobLog()
		if strings.Contains(log, "PUSHED") || strings.Count(log, "refused ") != len(urls) {
			t.Errorf("the job's log:\n%s", log)
		}
		// The host may be allowed, and still the key must be the pipeline's.
		m.configure(fmt.Sprintf("\n[mirroring]\nallow_urls = [\"ssh://127.0.0.1:%s/\"]\n", port))
		r.push("main", mirrorsTo("true\n", "", "ssh://127.0.0.1:"+port+"/r.git"))
		m.idle()
		if log := m.jobLog(); strings.Contains(log, "PUSHED") || !strings.Contains(log, ":secret") {
			t.Errorf("the job's log:\n%s", log)
		}
	})
}

// R4 of what is protected: refs change by pushes that the repository's hooks
// accepted. A tag that a pipeline makes is one, and makes no run.
func TestATagIsMadeUnderTheRepositorysRules(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		m.secret("token", canary)
		place := m.bare("copy")
		m.configure(fmt.Sprintf("\n[mirroring]\nallow_urls = [%q]\n", place.GitDir))
		r := m.bare("project")
		hook := func(name, script string) {
			t.Helper()
			path := filepath.Join(r.GitDir, "hooks", name)
			m.write(path, "#!/bin/sh\n"+script)
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		seen := filepath.Join(m.Dir, "tmp", "seen")
		hook("post-receive", "while read old new ref; do echo \"$ref by $QUIRE_PUSHER\" >>"+seen+"; done; env >>"+seen+".env\n")
		hook("update", "case $1 in refs/tags/free-*|refs/heads/*) exit 0;; esac\necho \"only the owner may tag $1\" >&2\nexit 1\n")
		m.must(m.Dir, "quire", "install", "--write-ahead", r.GitDir)

		tagging := func(name string) files {
			return files{".quire/ci.fnl": fmt.Sprintf(`(local ci (require :quire.ci))
(ci.job :use [:quire/push] (fn [{: run : secret}] (run ["true"] {:env {:T (secret :token)}})))
(ci.mirror %q {:tag (fn [] %q) :after [:use]})
`, place.GitDir, name)}
		}
		p := r.push("main", tagging("v1"))
		m.idle()
		if p.Err != nil || !strings.Contains(p.Report, "only the owner may tag refs/tags/v1") {
			t.Errorf("%v\n%s", p.Err, p.Report)
		}
		r.push("main", files{"attack.sh": "true\n", ".quire/ci.fnl": fmt.Sprintf(`(local ci (require :quire.ci))
(ci.job :attack [:quire/push]
  (fn [{: log : mirror}]
    (each [_ tag (ipairs ["../heads/x" "-x" "refs/heads/x" "a b" "x.lock" "a..b" "a\nb" "a\000b" "HEAD" ".."])]
      (let [(ok said) (pcall mirror {:url %q : tag :refs ["refs/heads/main"]})]
        (log (.. (if ok "PUSHED " "refused ") (tostring said)))))))
`, place.GitDir)})
		m.idle()
		if log := m.jobLog(); strings.Contains(log, "PUSHED") || strings.Count(log, "refused .quire/ci.fnl:") != 10 {
			t.Errorf("the job's log:\n%s", log)
		}
		if refs := m.must(r.GitDir, "git", "for-each-ref", "--format=%(refname)", "refs/heads/", "refs/tags/"); refs != "refs/heads/main\n" {
			t.Errorf("refs: %s", refs)
		}
		p = r.push("main", tagging("free-1"))
		m.idle()
		if !strings.Contains(p.Report, "success: run") {
			t.Errorf("%s", p.Report)
		}
		for _, dir := range []string{r.GitDir, place.GitDir} {
			if refs := m.must(dir, "git", "for-each-ref", "--format=%(refname)", "refs/heads/", "refs/tags/"); refs != "refs/heads/main\nrefs/tags/free-1\n" {
				t.Errorf("refs of %s: %s", dir, refs)
			}
		}
		text, err := os.ReadFile(seen)
		if err != nil || strings.Count(string(text), "refs/tags/free-1 by ") != 1 || strings.Contains(string(text), "refs/tags/v1") {
			t.Errorf("the owner's post-receive hook saw %s, %v", text, err)
		}
		// The tag is nobody's push: not now, and not when the worker looks again.
		r.push("main", files{"README": "more\n"}, "-o", "ci.skip")
		m.must(m.Dir, "quire", "worker", "--once")
		if runs := m.quire("runs", "--json"); strings.Contains(runs, `"ref":"refs/tags/`) {
			t.Errorf("a run of the tag:\n%s", runs)
		}
		if left, _ := filepath.Glob(filepath.Join(m.State, "spool", "*", "*")); len(left) > 0 {
			t.Errorf("left in the spool: %v", left)
		}
		m.nowhere(canary)
	})
}

// A pusher who sets the variable by which quire knows its own pushes gains nothing.
func TestNobodyElseMakesQuiresOwnPushes(t *testing.T) {
	on(t, []string{"bwrap"}, func(t *testing.T, m *machine) {
		r := m.repository("project")
		m.env = append(m.env, "QUIRE_OWN_PUSH=ABCDEFGHIJKLMNOPQRSTUVWXYZ")
		for _, name := range []string{"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "../ABCDEFGHIJKLMNOPQRSTUV", "", "x"} {
			m.env[len(m.env)-1] = "QUIRE_OWN_PUSH=" + name
			if p := r.push("main", job("true\n")); !strings.Contains(p.Report, "success: run") {
				t.Errorf("%q: %v\n%s", name, p.Err, p.Report)
			}
		}
	})
}
