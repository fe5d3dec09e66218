package secret

import (
	"strings"
	"testing"

	"quire/internal/config"
)

func TestScope(t *testing.T) {
	main := Scope{GitDir: "/srv/git/team/app.git", Ref: "refs/heads/main", Job: "deploy", Protected: true}
	branch := Scope{GitDir: "/srv/git/team/app.git", Ref: "refs/heads/feature/x", Job: "test",
		Unlike: "that of refs/heads/feature/x is not"}
	for _, test := range []struct {
		name    string
		rule    config.Secret
		scope   Scope
		refusal string // "": admitted
	}{
		{"no rule", config.Secret{}, branch, ""},
		{"repo by name", config.Secret{Repos: []string{"app"}}, main, ""},
		{"repo by name with .git", config.Secret{Repos: []string{"app.git"}}, main, ""},
		{"repo by directory", config.Secret{Repos: []string{"team/*"}}, main, ""},
		{"repo by path", config.Secret{Repos: []string{"/srv/git/**"}}, main, ""},
		{"second of two repos", config.Secret{Repos: []string{"lib", "app"}}, main, ""},
		{"another repo", config.Secret{Repos: []string{"lib", "other/app"}}, main,
			"secret s is limited to repositories lib, other/app; this run is for /srv/git/team/app.git"},
		{"a repo that only begins so", config.Secret{Repos: []string{"ap"}}, main, "limited to repositories ap"},
		{"ref by full name", config.Secret{Refs: []string{"refs/heads/main"}}, main, ""},
		{"ref by branch name", config.Secret{Refs: []string{"main"}}, main, ""},
		{"ref by pattern", config.Secret{Refs: []string{"refs/tags/v*", "refs/heads/*"}}, branch, ""},
		{"another ref", config.Secret{Refs: []string{"refs/heads/main", "refs/tags/*"}}, branch,
			"secret s is limited to refs refs/heads/main, refs/tags/*; this run is for refs/heads/feature/x"},
		{"a tag called as a branch", config.Secret{Refs: []string{"main"}}, Scope{Ref: "refs/tags/main"}, "limited to refs main; this run is for refs/tags/main"},
		{"a branch called as a ref", config.Secret{Refs: []string{"refs/heads/main"}}, Scope{Ref: "refs/heads/refs/heads/main"}, "limited to refs"},
		{"pusher", config.Secret{Pushers: []string{"bob", "alice"}}, Scope{Pusher: "alice"}, ""},
		{"pusher by key", config.Secret{Pushers: []string{"git (SHA256:a/b+c)"}}, Scope{Pusher: "git (SHA256:a/b+c)"}, ""},
		{"another pusher", config.Secret{Pushers: []string{"alice"}}, Scope{Pusher: "alice2"}, "secret s is limited to pushers alice; this run is of a push by alice2"},
		{"nobody knows who pushed", config.Secret{Pushers: []string{"*"}}, Scope{}, "limited to pushers *; this run is of a push by none"},
		{"job", config.Secret{Jobs: []string{"deploy"}}, main, ""},
		{"job of a mirror", config.Secret{Jobs: []string{"quire/mirror*"}}, Scope{Job: "quire/mirror/gitlab"}, ""},
		{"another job", config.Secret{Jobs: []string{"deploy"}}, branch, "secret s is limited to jobs deploy; this job is test"},
		{"no job", config.Secret{Jobs: []string{"*"}}, Scope{}, "secret s is limited to jobs *; this job is none"},
		{"no ref", config.Secret{Refs: []string{"*"}}, Scope{}, "limited to refs *; this run is for none"},
		{"no repository", config.Secret{Repos: []string{"**"}}, Scope{}, "limited to repositories **; this run is for none"},
		{"protected, by the default branch's pipeline", config.Secret{Protect: config.ProtectPipeline}, main, ""},
		{"protected, by another pipeline", config.Secret{Protect: config.ProtectPipeline}, branch,
			"secret s is protected: only a run whose .quire is the default branch's own gets it, and that of refs/heads/feature/x is not"},
		{"paths protected", config.Secret{Protect: config.ProtectPipeline, ProtectPaths: []string{"Makefile", "scripts/**"}}, branch,
			"secret s is protected: only a run whose .quire and Makefile, scripts/** are the default branch's own gets it, and"},
		{"tree protected", config.Secret{Protect: config.ProtectTree}, branch, "secret s is protected: only a run of a commit on the default branch gets it, and"},
		{"protected, nobody knows why not", config.Secret{Protect: config.ProtectTree}, Scope{}, "gets it, and this one is none"},
		{"all rules hold", config.Secret{Repos: []string{"app"}, Refs: []string{"main"}, Jobs: []string{"deploy"}, Protect: config.ProtectPipeline}, main, ""},
		{"one rule of all does not", config.Secret{Repos: []string{"app"}, Refs: []string{"main"}, Jobs: []string{"test"}, Protect: config.ProtectPipeline}, main, "limited to jobs test"},
		{"malformed repos", config.Secret{Repos: []string{"[a"}}, main, `secret s is given to nobody: its repositories hold the malformed pattern "[a"; mend the configuration`},
		{"malformed refs", config.Secret{Refs: []string{"refs/heads/[a-"}}, main, `given to nobody: its refs hold the malformed pattern "refs/heads/[a-"`},
		{"malformed jobs", config.Secret{Jobs: []string{`deploy\`}}, main, "given to nobody: its jobs hold the malformed pattern"},
		{"malformed beside one that matches", config.Secret{Refs: []string{"main", "["}}, main, "given to nobody"},
		{"empty pattern", config.Secret{Refs: []string{""}}, main, "given to nobody"},
		{"empty pattern beside one that matches", config.Secret{Repos: []string{"app", ""}}, main, "given to nobody"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.rule.Name = "s"
			test.rule.Value = canary
			err := admit(test.rule, test.scope)
			switch {
			case test.refusal == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.refusal != "" && err == nil:
				t.Error("admitted")
			case err != nil && !strings.Contains(err.Error(), test.refusal):
				t.Errorf("refused with %q, want %q", err, test.refusal)
			}
		})
	}
}
