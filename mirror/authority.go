package mirror

import "strings"

// One target may be pushed to on behalf of several: of the operator, whose order
// it is, and of pipelines, each with a credential that it was given. One delivery
// pushes what one of them asked for, with their credential and behind their wall.
// Otherwise a branch's pipeline, which may not have a secret, could ask without it, fail, and
// have its refs taken along by the next that has it.

// authority is on whose behalf the target is pushed to, as the ledger has it: ""
// for the operator's own order.
func (t Target) authority() string {
	if !t.Asked {
		return ""
	}
	return strings.Join([]string{"pipeline", t.Secret, t.Auth}, "\n")
}

// under is the recorded target as a pipeline of that authority asked for it.
func (t Target) under(authority string) Target {
	t.Asked = true
	if part := strings.SplitN(authority, "\n", 3); len(part) == 3 {
		t.Secret, t.Auth = part[1], part[2]
	}
	return t
}
