// Package attack holds what a hostile pusher tries, as tests of the whole
// program: the built binaries, a real bare repository, real pushes, on each
// sandbox executor, as root and as another user. docs/security.md states the
// rules; each test here names the rule that it attacks.
//
// A test begins with [everywhere] (or [on], for some executors), which gives it
// a machine of its own:
//
//	everywhere(t, func(t *testing.T, m *machine) {
//		m.secret("token", canary, `repos = ["victim"]`)
//		r := m.repository("project")
//		p := r.push("main", files{".quire/ci.fnl": `…`})
//		…
//		m.nowhere(canary)
//	})
//
// A machine's directory has three parts: what belongs to the operator (home,
// operator: nothing there may change), the repositories, and quire's state.
package attack
