package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Rule: a command sees its workspace, its own repository and programs, and
// nothing of the operator's.
func TestACommandReadsNothingOfTheOperators(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		m.secret("token", canary)
		other := m.repository("other")
		other.push("main", files{"private": canary + "\n"}, "-o", "ci.skip")
		r := m.repository("project")
		before := m.snapshot(other.GitDir)
		p := r.push("main", job(strings.Join([]string{
			"for f in " + strings.Join([]string{m.Operator + "/private", m.Operator + "/token", m.Config, m.State + "/quire.db",
				other.GitDir + "/HEAD", "/etc/shadow", "/root/.ssh/id_rsa", "/var/run/docker.sock"}, " ") + "; do",
			`  if [ -s "$f" ]; then echo "reached $f"; cat "$f"; fi`,
			"done",
			"for d in /proc/[0-9]*; do tr '\\0' '\\n' <$d/environ 2>/dev/null | grep QUIRE_CONFIG && echo \"reached $d\"; done",
			"echo looked", ""}, "\n")))
		m.idle()
		if p.Err != nil || !strings.Contains(p.Report, "success: run") {
			t.Errorf("the push: %v\n%s", p.Err, p.Report)
		}
		log := m.quire("log", "last", "attack")
		if !strings.Contains(log, "looked") || strings.Contains(log, "reached") {
			t.Errorf("the job's log: %s", log)
		}
		m.nowhereBut(canary, other.GitDir, other.Work)
		m.unchanged(before, other.GitDir)
	})
}

// Rule: of its own repository a command sees objects and refs. Its settings, where people
// keep credentials, and its hooks are the owner's.
func TestACommandReadsNoSettingsOfItsRepository(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		r := m.repository("project")
		m.must(r.GitDir, "git", "config", "remote.up.url", "https://user:"+canary+"@forge.example/x")
		m.must(r.GitDir, "git", "config", "http.extraHeader", "Authorization: "+canary)
		for _, name := range []string{"hooks/update.d", "gitolite-note", "config.orig"} {
			if err := os.WriteFile(filepath.Join(r.GitDir, name), []byte(canary+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		p := r.push("main", job(fmt.Sprintf(`
cd %q && ls -a && cat config && cat hooks/* quire.toml config.* gitolite-note 2>/dev/null
find . -name 'post-*' -exec echo "reached {}" \;
if command -v git >/dev/null; then
  echo "with git"
  for dir in . "$OLDPWD"; do
    git -C $dir log --format='the commit %%H' HEAD && git -C $dir show-ref && git -C $dir fsck --connectivity-only || echo "git fails"
    git -C $dir config --list --show-origin
  done
  cd "$OLDPWD" && git fetch origin && git ls-remote origin || echo "git fails"
fi
echo looked
`, r.GitDir)))
		m.idle()
		if p.Err != nil || !strings.Contains(p.Report, "success: run") {
			t.Errorf("the push: %v\n%s", p.Err, p.Report)
		}
		log := m.quire("log", "last", "attack")
		if !strings.Contains(log, "looked") || strings.Contains(log, "reached") || strings.Contains(log, canary) ||
			strings.Contains(log, "git fails") || strings.Contains(log, "with git") != strings.Contains(log, "the commit") {
			t.Errorf("the job's log: %s", log)
		}
	})
}

// Rule: a command changes nothing but its workspace and its own directories.
func TestACommandWritesNothingOutsideItsRun(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		r := m.repository("project")
		r.push("main", files{"README": "one\n"}, "-o", "ci.skip")
		before := m.snapshot()
		tip := strings.TrimSpace(m.must(r.GitDir, "git", "rev-parse", "refs/heads/main"))
		r.push("attack", job(fmt.Sprintf(`
for d in %q %q %q %q /etc /usr/local /root; do
  if echo x 2>/dev/null >$d/planted; then echo "wrote $d"; fi
done
git -C %q update-ref refs/heads/main HEAD~1 2>/dev/null && echo "moved a ref"
rm -rf %q/hooks 2>/dev/null
exit 0
`, m.Operator, m.Home, m.State, m.Repos, r.GitDir, r.GitDir)))
		m.idle()
		m.unchanged(before)
		if now := strings.TrimSpace(m.must(r.GitDir, "git", "rev-parse", "refs/heads/main")); now != tip {
			t.Errorf("refs/heads/main is %s, was %s", now, tip)
		}
		m.exists(r.GitDir + "/hooks/post-receive")
		m.absent(m.State+"/planted", m.Repos+"/planted", "/etc/planted", "/usr/local/planted", "/root/planted")
	})
}
