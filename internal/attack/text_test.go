package attack

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// Rule R2: text of a pipeline is text to whoever it is handed to. Each form is
// refused before a job starts, with its place.
func TestTextOfAPipelineIsNoStructure(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		m.secret("token", canary, `repos = ["elsewhere"]`)
		r := m.repository("project")
		r.push("main", files{"README": "one\n"}, "-o", "ci.skip")
		before := m.snapshot()
		forms := []string{
			`(ci.cache :c1 ["/c\000--bind\000/\000/host"])`,
			`(ci.cache :c2 ["c\000--bind\000/\000/host"])`,
			`(ci.cache :c3 ["/c\n--bind\n/\n/host"])`,
			`(ci.cache :c4 ["/"])`,
			`(ci.cache :c5 ["/proc/../"])`,
			`(ci.cache :c6 ["/proc/sys"])`,
			`(ci.cache :c7 ["/run"])`,
			`(ci.cache :c8 ["../../../../operator"])`,
			`(ci.cache :c9 [".git/objects/info"])`,
			`(ci.cache :c10 ["a\n!/../../x"])`,
			`(ci.cache "../../../../../operator" ["a"])`,
			`(ci.image "--privileged")`,
			`(ci.image "a\000b")`,
			`(ci.job :x {:inputs [:quire/push] :env {"A=B\000LD_PRELOAD" "/x.so"} :run (fn [] nil)})`,
			`(ci.job :y {:inputs [:quire/push] :image "a\nb" :run (fn [] nil)})`,
			`(ci.service :-x {:image "busybox"})`,
			`(ci.service "a\nb" {:image "busybox"})`,
			`(ci.mirror "https://h/r\n[core]\n\tsshCommand=touch /tmp/x" {:secret :token :tag (fn [] nil)})`,
			`(ci.mirror "https://h/r" {:secret :token :as "../../x" :tag (fn [] nil)})`,
		}
		// A job beside them looks for what a form may have opened.
		change := job(lookAround(m))
		change[".quire/ci.fnl"] += strings.Join(forms, "\n") + "\n"
		p := r.push("attack", change)
		if p.Err != nil || !strings.Contains(p.Report, "error: run") || strings.ContainsAny(p.Report, "\x00\x1b\u202e") {
			t.Errorf("%v\n%s", p.Err, p.Report)
		}
		for i, form := range forms {
			if !strings.Contains(p.Report, fmt.Sprintf(".quire/ci.fnl:%d:", i+3)) {
				t.Errorf("taken: %s", form)
			}
		}
		m.idle()
		m.unchanged(before)
		m.nowhere(canary)
		m.absent("/host", "/c")
	})
}

// lookAround is a script that tries to reach the operator's files by every way
// that an injected mount would have opened.
func lookAround(m *machine) string {
	return fmt.Sprintf(`for d in "" /host /c /c/host; do
  cat $d%[1]q/private $d%[2]q && echo "reached $d"
  echo x >$d%[1]q/planted && echo "wrote $d"
done 2>/dev/null
exit 0
`, m.Operator, m.Config)
}

// Rule R2, for primitives: the call raises, and nothing is handed on.
func TestTextOfACallIsNoStructure(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		m.secret("token", canary, `repos = ["elsewhere"]`)
		r := m.repository("project")
		r.push("main", files{"README": "one\n"}, "-o", "ci.skip")
		before := m.snapshot()
		calls := []string{
			`(runtime.sh "true" {:cwd "a\000--bind\000/\000/host"})`,
			`(runtime.sh ["true\000x"])`,
			`(runtime.sh "true" {:env {"A\000--bind" "x"}})`,
			`(runtime.sh "true" {:env {:A "x\000--bind\000/\000/host"}})`,
			`(runtime.sh (string.rep "x" 200000))`,
			`(runtime.read-file "a\000b")`,
			`(runtime.read-file "../../../operator/private")`,
			`(runtime.write-file "../../../operator/planted" "x")`,
			`(runtime.write-file "a\000/../../b" "x")`,
			`(runtime.artifact "../push.log")`,
			`(runtime.secret "token\nx")`,
			`(runtime.mirror {:url "ext::sh -c 'touch /tmp/quire-planted'" :secret :token})`,
			`(runtime.mirror {:url "--receive-pack=x" :secret :token})`,
			`(runtime.mirror {:url "https://h/r" :auth-header "A: b\r\nC: d"})`,
			`(runtime.mirror {:url "https://h/r" :auth-header "A: b" :refs ["refs/../../operator/private"]})`,
			`(runtime.mirror {:url "https://h/r" :auth-header "A: b" :refs ["--all"]})`,
			`(runtime.mirror {:url "https://h/r" :auth-header "A: b" :tag "../../../x"})`,
			`(runtime.mirror {:url "https://h/r" :auth-header "A: b" :tag "-x" :sha "0"})`,
		}
		var ci strings.Builder
		ci.WriteString("(local ci (require :quire.ci))\n(local runtime ci.runtime)\n")
		for i, call := range calls {
			fmt.Fprintf(&ci, "(ci.job :job%d [:quire/push] (fn [] (let [(ok why) (pcall (fn [] %s))] (if ok (error \"it was taken\") nil))))\n", i, call)
		}
		p := r.push("attack", files{".quire/ci.fnl": ci.String()})
		m.idle()
		if p.Err != nil || !strings.Contains(p.Report, "success: run") {
			t.Errorf("%v\n%s", p.Err, p.Report)
		}
		m.unchanged(before)
		m.nowhere(canary)
		m.absent("/tmp/quire-planted", "/host")
	})
}

// A command of 60 MB is refused and leaves no trace of its size.
func TestAHugeCommandIsNotStored(t *testing.T) {
	everywhere(t, func(t *testing.T, m *machine) {
		r := m.repository("project")
		p := r.push("main", files{".quire/ci.fnl": `(local ci (require :quire.ci))
(ci.job :a [:quire/push] (fn [{: sh}] (sh (string.rep "x" 60000000))))
`})
		m.idle()
		if !strings.Contains(p.Report, "it has 60000000 bytes, and 131071 is the most") {
			t.Errorf("%v\n%s", p.Err, p.Report)
		}
		if size := m.size(m.State); size > 4<<20 {
			t.Errorf("the state takes %d bytes", size)
		}
	})
}

// size is how many bytes the files of a tree have.
func (m *machine) size(dir string) (total int64) {
	m.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // what a worker on its way out takes away
		}
		if err != nil {
			return err
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return total
}
