package attack

import (
	"fmt"
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
