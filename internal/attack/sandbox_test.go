package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/executor/executortest"
)

// elsewhere moves the configuration to a directory below one of the system's, which
// a sandbox shows. Only root can.
func (m *machine) elsewhere(top string) {
	m.t.Helper()
	if os.Geteuid() != 0 {
		executortest.Needs(m.t, "root, to write below "+top)
	}
	dir, err := os.MkdirTemp(top, "quire-attack-")
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		m.t.Fatal(err)
	}
	to := filepath.Join(dir, "config.toml")
	if err := os.Rename(m.Config, to); err != nil { // another file system, perhaps
		text, err := os.ReadFile(m.Config)
		if err != nil {
			m.t.Fatal(err)
		}
		os.Remove(m.Config)
		m.Config = to
		m.write(to, string(text))
	}
	m.Config = to
	for i, e := range m.env {
		if strings.HasPrefix(e, "QUIRE_CONFIG=") {
			m.env[i] = "QUIRE_CONFIG=" + to
		}
	}
	m.own(dir)
}

// R5: the files of secrets are out of sight whatever the configuration calls them.
func TestSecretFilesAreOutOfSightByEveryName(t *testing.T) {
	for _, top := range []string{"/opt", "/etc", "/usr/local/etc"} {
		everywhere(t, func(t *testing.T, m *machine) {
			if err := os.MkdirAll(top, 0o755); err != nil {
				t.Fatal(err)
			}
			m.elsewhere(top)
			dir := filepath.Dir(m.Config)
			kept, err := os.MkdirTemp(top, "quire-attack-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(kept) })
			if err := os.Chmod(kept, 0o755); err != nil {
				t.Fatal(err)
			}
			m.own(kept)
			m.write(filepath.Join(dir, "tokens", "relative"), canary)
			m.write(filepath.Join(kept, "home", "token"), canary)
			m.write(filepath.Join(kept, "real", "token"), canary)
			m.write(filepath.Join(kept, "real", "beside"), canary)
			if err := os.Symlink(filepath.Join(kept, "real"), filepath.Join(dir, "linked")); err != nil {
				t.Fatal(err)
			}
			m.own(dir)
			m.own(kept)
			for i, e := range m.env {
				if strings.HasPrefix(e, "HOME=") {
					m.env[i] = "HOME=" + filepath.Join(kept, "home")
				}
			}
			m.configure("\n[secrets]\nidentity = \"tokens/relative\"\n[secrets.relative]\nfile = \"tokens/relative\"\n" +
				"[secrets.tilde]\nfile = \"~/token\"\n[secrets.linked]\nfile = \"linked/token\"\n")
			r := m.repository("project")
			p := r.push("main", job(fmt.Sprintf(`
for f in %[1]s/config.toml %[1]s/tokens/relative %[1]s/linked/token %[2]s/home/token %[2]s/real/token %[2]s/real/beside; do
  if [ -s "$f" ]; then echo "reached $f"; cat "$f"; fi
done
grep -r -s -l %[3]q %[1]s %[2]s && echo "reached by searching"
echo looked
`, dir, kept, "canary-7Q")))
			m.idle()
			if log := m.quire("log", "last", "attack"); !strings.Contains(log, "looked") || strings.Contains(log, "reached") {
				t.Errorf("the push:\n%s\nthe job's log:\n%s", p.Report, log)
			}
			m.nowhere(canary)
		})
	}
}

// R5: no directory of the machine is made by way of a link that a commit or a job
// has laid.
func TestMountPointsAreNotMadeThroughLinks(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		r := m.repository("project")
		before := m.snapshot()
		for i, way := range []string{"/oldroot", "", "../../../../../../../../../../../../oldroot", "../../../../../../../../../../../.."} {
			change := job("ls -la . b; mkdir -p b/c; echo x >b/c/planted; exit 0\n")
			change["b"] = "-> " + way + m.Operator
			change[".quire/ci.fnl"] = "(local ci (require :quire.ci))\n(ci.cache :x [\"b/made\"])\n" +
				"(ci.job :attack [:quire/push] (fn [{: run}] (run [\"sh\" \"./attack.sh\"])))\n"
			r.push(fmt.Sprintf("link%d", i), change)
			m.idle()
		}
		m.unchanged(before)
	})
}

// The same for a home directory that holds the repository, by a job that has it
// swapped under its own later commands.
func TestHomesOfJobsLeadNowhere(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		r := m.repository("project")
		before := m.snapshot()
		change := job(fmt.Sprintf(`
for d in repos state state/runs; do
  mv "$HOME/$d" "$HOME/$d.old" 2>/dev/null || rmdir "$HOME/$d" 2>/dev/null
  ln -s "/oldroot%[1]s" "$HOME/$d" 2>/dev/null
done
ln -s "/oldroot%[1]s" ./here 2>/dev/null
exit 0
`, m.Operator))
		run := func(home string) string {
			return fmt.Sprintf("(run [\"sh\" \"./attack.sh\"] {:env {:HOME %q}})\n", home)
		}
		change[".quire/ci.fnl"] = "(local ci (require :quire.ci))\n(ci.job :attack [:quire/push] (fn [{: run}]\n" +
			run("/elsewhere") + run(m.Dir) + run("/elsewhere") + run(m.Dir) + run(filepath.Join(m.Dir, "state")) + run(m.Dir) + "))\n"
		p := r.push("main", change)
		m.idle()
		if !strings.Contains(p.Report, "success: run") && m.Executor == "bwrap" {
			t.Errorf("the push:\n%s", p.Report)
		}
		m.unchanged(before)
	})
}
