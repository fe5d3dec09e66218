package event

import (
	"slices"
	"strings"
	"testing"
)

func TestMoves(t *testing.T) {
	a, b, zero := strings.Repeat("a", 40), strings.Repeat("b", 40), strings.Repeat("0", 40)
	before := map[string]string{"refs/heads/same": a, "refs/heads/moved": a, "refs/heads/gone": a, "refs/heads/broken": a}
	after := map[string]string{"refs/heads/same": a, "refs/heads/moved": b, "refs/heads/new": b, "refs/heads/broken": a,
		"refs/quire/runs/1": a, "HEAD": a, "refs/heads/a\nb": a}
	want := []Update{{a, zero, "refs/heads/gone"}, {a, b, "refs/heads/moved"}, {zero, b, "refs/heads/new"}}
	if got := Moves[bool](before, after, nil); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	delete(after, "refs/heads/broken")
	want = want[1:]
	if got := Moves(before, after, map[string]bool{"refs/heads/broken": true}); !slices.Equal(got, want) {
		t.Errorf("with a broken ref: %v", got)
	}
}
