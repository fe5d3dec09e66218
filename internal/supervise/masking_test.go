package supervise

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/config"
	"quire/internal/event"
)

// longToken has the length of a forge's token, 40 characters.
const longToken = "ghp_1A2b3C4d5E6f7G8h9I0jK1l2M3n4O5p6Q7r8"

// leaks lists the files below dir, their names included, that hold 12 bytes or
// more of the token in a row, as it is or as base64.
func leaks(t testing.TB, dir string) (found []string) {
	t.Helper()
	var parts [][]byte
	for _, form := range []string{longToken, base64.StdEncoding.EncodeToString([]byte(longToken))[:52]} {
		for i := 0; i+12 <= len(form); i++ {
			parts = append(parts, []byte(form[i:i+12]))
		}
	}
	holds := func(b []byte) (part []byte) {
		for _, p := range parts {
			if bytes.Contains(b, p) {
				return p
			}
		}
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p := holds([]byte(path)); p != nil {
			found = append(found, fmt.Sprintf("the name %s holds %q", path, p))
		}
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if p := holds(b); p != nil {
			at := bytes.Index(b, p)
			found = append(found, fmt.Sprintf("%s holds %q: …%q", path, p, b[max(0, at-60):min(len(b), at+80)]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// What says something of a run masks it before it cuts it: wherever a cut falls,
// half a token is left nowhere.
func TestNothingIsCutBeforeItIsMasked(t *testing.T) {
	for _, c := range []struct{ name, body string }{
		{"an error that is cut at 4 KiB", `(error (.. (string.rep "x" (- 4096 35)) s))`},
		{"an error that is cut at 4 KiB, with its place", `(error (.. (string.rep "x" (- 4096 60)) s))`},
		{"an error that is cut at 64 KiB", `(error (.. (string.rep "x" (- 65536 35)) s))`},
		{"an error whose first line is cut", `(error (.. (string.rep "x" 150) s "\n more"))`},
		{"an error that is clipped to a line", `(error (.. (string.rep "x" 365) s))`},
		{"an unknown option", `(runtime.sh "true" {(.. (string.rep "x" 25) s) 1})`},
		{"an option of another kind", `(runtime.sh "true" {:timeout (.. (string.rep "x" 25) s)})`},
		{"a module that is not there", `(require (.. (string.rep "x" 25) s))`},
		{"a long line that is printed", `(print (.. (string.rep "x" (- 65536 35)) s))`},
		{"a long line that is logged", `(runtime.log (.. (string.rep "x" (- 65536 35)) s))`},
		{"a line that is logged and cut in an event", `(runtime.log (.. (string.rep "x" (- 16384 35)) s))`},
		{"a raised table", `(error {:key (.. (string.rep "x" 4000) s)})`},
		{"a command line", `(runtime.run (.. "exit 3 #" (string.rep "x" (- 16384 43)) s))`},
		{"a command line that the database cuts", `(runtime.run (.. "exit 3 #" (string.rep "x" (- 4096 43)) s))`},
		{"a program that is not there", `(runtime.run [(.. (string.rep "x" 30) s)])`},
		{"a directory that is not there", `(runtime.run "true" {:cwd (.. (string.rep "x" 30) s)})`},
		{"a command that says much", `(runtime.run ["sh" "-c" "printf %s \"$1\"; head -c 8175 /dev/zero | tr '\\0' x; exit 1" "x" s])`},
		{"the file of an artifact", `(runtime.write-file (.. s ".txt") "x") (runtime.artifact (.. s ".txt"))`},
		{"an artifact that is not there", `(runtime.artifact (.. "none/" (string.rep "x" 200) s))`},
		{"what a mirror is called", `(runtime.mirror {:url "https://127.0.0.1:1/x" :secret :tok :as s})`},
		{"a file that is not there", `(runtime.read-file (.. "none/" s))`},
		{"the output of another job", `(runtime.jobs (.. (string.rep "x" 100) s))`},
		{"a signal of one's own", `{:exit 1 :signal (.. (string.rep "x" 40) s)}`},
		{"a script whose first line is cut", `(runtime.write-file "x.sh" (.. "#!/" (string.rep "x" 230) s "\n")) (runtime.run "chmod +x x.sh") (runtime.run ["./x.sh"])`},
		{"an argument that is none", `(runtime.run ["true" (.. (string.rep "x" 35) s "\000")])`},
		{"a directory that is none", `(runtime.run "true" {:cwd (.. (string.rep "x" 35) s "\000")})`},
		{"a variable that is none", `(runtime.run "true" {:env {(.. (string.rep "x" 35) s "\000") "1"}})`},
		{"a value that is no output", `{(.. (string.rep "x" 40) s) (fn [])}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.cfg.Secrets = map[string]config.Secret{"tok": {Name: "tok", Value: longToken}}
			r := b.run(head+"(ci.job :use [:quire/push] (fn []\n (let [s (runtime.secret :tok)]\n"+c.body+")))", nil)
			if !r.State.Final() || r.State == event.RunCanceled || strings.Contains(r.report, "did not") {
				t.Errorf("%s: %s", r.State, r.Reason)
			}
			if err := b.store.Close(); err != nil { // what stands in its journal goes into the file
				t.Fatal(err)
			}
			for _, leak := range leaks(t, b.cfg.StateDir) {
				t.Error(leak)
			}
		})
	}
}

// A secret of short lines is known by their company, so what is printed at once is
// masked at once.
func TestLinesThatArePrintedAtOnceAreMaskedAtOnce(t *testing.T) {
	b := newBench(t)
	b.cfg.Secrets = map[string]config.Secret{"key": {Name: "key", Value: "-----BEGIN\nq1W2e3\nR4t5Z6\n-----END"}}
	r := b.run(head+`(ci.job :use [:quire/push] (fn [] (print (runtime.secret :key)) (runtime.log (runtime.secret :key)) nil))`, nil)
	for _, name := range []string{r.dir.JobLog("use"), r.dir.Events()} {
		text, err := os.ReadFile(name)
		if err != nil || bytes.Contains(text, []byte("q1W2e3")) || bytes.Count(text, []byte("{{ key }}")) != 2 {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}
