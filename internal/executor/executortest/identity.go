package executortest

import (
	"crypto/rand"
	"strings"
	"testing"
)

// RunID is a run id that no other test has.
func RunID(testing.TB) string { return "01" + strings.ToLower(rand.Text())[:24] }
