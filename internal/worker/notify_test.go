package worker

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestWhoWantsToKnowIsTold(t *testing.T) {
	var mu sync.Mutex
	var got []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, string(body))
	}))
	defer hook.Close()
	w := newWorld(t, fmt.Sprintf("[[notify]]\nrepos = [\"project\"]\non = [\"failed\", \"fixed\"]\nwebhook = %q\n", hook.URL))
	r := w.repo("project")
	for _, body := range []string{`(runtime.run "true")`, `(runtime.run "exit 4")`, `(runtime.run "true")`, `(runtime.run "true")`} {
		r.commit(body)
		r.push()
		w.until("the worker has left", func() bool { return !Running(w.cfg) })
	}
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 2 || !strings.Contains(got[0], `"failed"`) || !strings.Contains(got[0], "exit 4") || !strings.Contains(got[1], `"succeeded"`) {
		t.Errorf("told %d times:\n%s", len(got), strings.Join(got, "\n"))
	}
}
