package supervise

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/config"
	"quire/internal/event"
)

// A command of the longest kind runs, and what is recorded of it is short, and
// was masked before it was cut.
func TestALongCommandIsRecordedInPart(t *testing.T) {
	b := newBench(t)
	const token = "tok-3f9a81c27d5e"
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	b.cfg.Secrets = map[string]config.Secret{"t": {File: file}}
	// The token lies across the cut.
	r := b.run(head+fmt.Sprintf(`
(ci.job :a [:quire/push] (fn []
  (runtime.run [:sh :-c "test ${#1} = 100016" "x" (.. (string.rep "a" %d) (runtime.secret :t) (string.rep "a" (- 100000 %d)))])))`, maxLine-40, maxLine-40), nil)
	if r.State != event.RunSucceeded {
		t.Fatalf("%s: %s\n%s", r.State, r.Reason, r.report)
	}
	commands, err := b.store.Commands(t.Context(), r.ID, "a")
	if err != nil || len(commands) != 1 {
		t.Fatal(commands, err)
	}
	lines := []string{commands[0].Line.String()}
	for _, rec := range r.records {
		if !rec.Cmd.IsZero() {
			lines = append(lines, rec.Cmd.String())
		}
	}
	for _, line := range lines {
		if len(line) > maxLine+100 || !strings.HasSuffix(line, " bytes more)") {
			t.Errorf("recorded are %d bytes, which end in %q", len(line), line[max(0, len(line)-60):])
		}
		if strings.Contains(line, token[:8]) {
			t.Errorf("the token is in the recorded line: …%q", line[maxLine-60:])
		}
	}
	if len(lines) != 2 {
		t.Errorf("%d lines", len(lines))
	}
}

// A cache's path stands in info/exclude as itself, and as nothing else.
func TestACachesPathIsNoPattern(t *testing.T) {
	b := newBench(t)
	r := b.run(head+`
(ci.cache :odd ["a*b" "c[d]" "e\\f" "!g" "#h" "i "])
(ci.job :a [:quire/push] (fn [] (runtime.run "touch axb cd ef g h i; git status --porcelain")))`, nil)
	if r.State != event.RunSucceeded {
		t.Fatalf("%s: %s\n%s", r.State, r.Reason, r.report)
	}
	if got, want := r.log(t, "a", 1), "?? axb\n?? cd\n?? ef\n?? g\n?? h\n?? i\n"; got != want {
		t.Errorf("git status says\n%swant\n%s", got, want)
	}
}
