package vm

import (
	"strings"
	"testing"
)

// gopher-lua's compiler recurses as deep as the source nests, and Go's stack
// ends the process when it is too deep: what the limit on a chunk's length lets
// through must not come near.
func TestDeepChunks(t *testing.T) {
	const n = 15_000
	for name, src := range map[string]string{
		"parentheses": "return " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n),
		"minus":       "return " + strings.Repeat("- ", n) + "1",
		"not":         "return " + strings.Repeat("not ", n) + "1",
		"tables":      "return " + strings.Repeat("{", n) + strings.Repeat("}", n),
		"concat":      "return 1" + strings.Repeat("..1", n),
		"power":       "return 1" + strings.Repeat("^1", n),
		"sum":         "return 1" + strings.Repeat("+1", n),
		"and":         "return x" + strings.Repeat(" and x", n/2),
		"fields":      "return x" + strings.Repeat(".y", n),
		"calls":       "return x" + strings.Repeat("()", n),
		"functions":   "return " + strings.Repeat("function() return ", n/6) + strings.Repeat(" end", n/6),
		"elseif":      "if x then" + strings.Repeat(" elseif x then", n/8) + " end",
		"blocks":      strings.Repeat("do ", n/2) + strings.Repeat("end ", n/2),
		"open":        strings.Repeat("(", n),
		"locals":      strings.Repeat("local x ", n/4),
		"assignments": strings.Repeat("x,", n/2) + "x = 1",
	} {
		t.Run(name, func(t *testing.T) {
			L := sandbox(t, nil, Limits{})
			// Whether it compiles is gopher-lua's affair; that there is an answer is ours.
			_, _ = Load(L, src, "=deep")
		})
	}
}
