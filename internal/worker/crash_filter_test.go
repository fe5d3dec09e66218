package worker

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const crashToken = "ghp_1A2b3C4d5E6f7G8h9I0j"

type tokenError struct{ token string }

func (e tokenError) Error() string { return "no such thing:\n" + e.token + "\n\tgoroutine " + e.token }

//go:noinline
func crashWith(kind string, token [24]byte) {
	switch kind {
	case "string":
		panic("the token is " + string(token[:]))
	case "error":
		panic(tokenError{string(token[:])})
	case "again":
		defer func() { panic("again " + string(token[:])) }()
		panic(tokenError{string(token[:])})
	case "goroutine":
		done := make(chan bool)
		go func() { defer close(done); panic(string(token[:])) }()
		<-done
	}
}

// A supervisor that crashes says where, and nothing of what it had in hand.
func TestACrashTellsThePlaceAndNoValue(t *testing.T) {
	if kind := os.Getenv("QUIRE_TEST_CRASH"); kind != "" {
		os.Stderr.WriteString("quire: before the crash\n")
		crashWith(kind, [24]byte([]byte(crashToken)))
		return
	}
	for _, kind := range []string{"string", "error", "again", "goroutine"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestACrashTellsThePlaceAndNoValue$")
		cmd.Env = append(os.Environ(), "QUIRE_TEST_CRASH="+kind)
		raw, _ := cmd.CombinedOutput()
		if kind != "error" && !bytes.Contains(raw, []byte(crashToken)) {
			t.Errorf("%s: the runtime did not print the value, so this shows nothing:\n%s", kind, raw)
		}
		var out bytes.Buffer
		copyCrash(&out, bytes.NewReader(raw))
		got := out.String()
		if strings.Contains(got, "ghp_") || strings.Contains(got, "7G8h9") || strings.Contains(got, "(0x") {
			t.Errorf("%s: a value passed:\n%s", kind, got)
		}
		for _, want := range []string{"quire: before the crash\n", "crashed, with a value that is not shown", "quire/internal/worker.crashWith", "crash_filter_test.go:"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is missing:\n%s\nof\n%s", kind, want, got, raw)
			}
		}
	}
}
