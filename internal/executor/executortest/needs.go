package executortest

import (
	"os"
	"testing"
)

// Needs ends a test that lacks something of the machine: skipped for a person,
// failed in CI, where the script has installed everything.
func Needs(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("needs " + what)
	}
	t.Skip("needs " + what)
}
