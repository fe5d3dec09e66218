package worker

import (
	"errors"
	"strings"
	"testing"

	"quire/internal/secret/masked"
	"quire/mirror"
)

// A person is told of what needs a person, and once: not of what passes, nor of
// what was told before.
func TestWhichLooksAPersonHearsOf(t *testing.T) {
	failed := func(c mirror.Class) error {
		return errors.Join(&mirror.TargetError{Target: "forge", Class: c, Detail: masked.Const("why"), Advice: "Do this."}, nil)
	}
	for name, c := range map[string]struct {
		notice mirror.Notice
		say    string
	}{
		"a refused login":       {mirror.Notice{Err: failed(mirror.ClassAuth)}, "it could not be looked at: auth: why; Do this."},
		"the same as yesterday": {mirror.Notice{Err: failed(mirror.ClassAuth), Again: true}, ""},
		"a host that is down":   {mirror.Notice{Err: failed(mirror.ClassNetwork)}, ""},
		"something of ours":     {mirror.Notice{Err: errors.New("disk I/O error")}, ""},
		"changed there":         {mirror.Notice{Drift: []mirror.Drift{{Ref: "refs/heads/main", Put: "aa", There: "bb"}}}, "main was changed there: quire put aa, it is bb"},
		"deleted there":         {mirror.Notice{Drift: []mirror.Drift{{Ref: "refs/heads/main", Put: "aa"}}}, "main was deleted there: quire put aa"},
	} {
		if got := mirrorTrouble(c.notice); !strings.Contains(got, c.say) || (got == "") != (c.say == "") {
			t.Errorf("%s: %q, want %q", name, got, c.say)
		}
	}
}
