package event

import (
	"fmt"
	"strings"
)

// Wait says how long a pusher's terminal stays with its push.
type Wait string

// Waiting for none costs the least; start shows which runs were made; finish
// shows them to their end.
const (
	WaitNone   Wait = "none"
	WaitStart  Wait = "start"
	WaitFinish Wait = "finish"
)

// ParseWait reads a wait mode as a config file or push option writes it.
func ParseWait(s string) (Wait, error) {
	switch w := Wait(s); w {
	case WaitNone, WaitStart, WaitFinish:
		return w, nil
	}
	return "", fmt.Errorf("unknown wait %q: want none, start or finish", s)
}

// PushOptions is what `git push -o` asked of quire. Options for others (those
// that do not start with "ci.") are none of its business.
type PushOptions struct {
	Skip bool
	Wait Wait // "" if the push does not say
	Vars map[string]string
}

// ParseOptions reads push options. Like git's own, the last of two wins. The
// error names every option it could not use; what it could use is returned
// beside it, since a typing error must not cost the push its run.
func ParseOptions(options []string) (PushOptions, error) {
	var po PushOptions
	var bad []string
	for _, o := range options {
		key, value, hasValue := strings.Cut(o, "=")
		switch {
		case !strings.HasPrefix(o, "ci."):
		case key == "ci.skip" && (!hasValue || value == "true"):
			po.Skip = true
		case key == "ci.skip" && value == "false":
			po.Skip = false
		case key == "ci.wait" && hasValue:
			w, err := ParseWait(value)
			if err != nil {
				bad = append(bad, fmt.Sprintf("%s: %v", o, err))
				continue
			}
			po.Wait = w
		case key == "ci.var" && hasValue:
			name, v, ok := strings.Cut(value, "=")
			if !ok || name == "" {
				bad = append(bad, o+": want ci.var=NAME=VALUE")
				continue
			}
			if po.Vars == nil {
				po.Vars = map[string]string{}
			}
			po.Vars[name] = v
		default:
			bad = append(bad, o+": no such option; there are ci.skip, ci.wait=none|start|finish, ci.var=NAME=VALUE")
		}
	}
	if bad != nil {
		return po, fmt.Errorf("push option %s", strings.Join(bad, "; "))
	}
	return po, nil
}
