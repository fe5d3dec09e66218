package supervise

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/gitrepo"
)

var (
	byPipeline = config.Secret{Protect: config.ProtectPipeline}
	byPaths    = config.Secret{Protect: config.ProtectPipeline, ProtectPaths: []string{"Makefile", "scripts"}}
	byTree     = config.Secret{Protect: config.ProtectTree}
)

// commitTo commits the files on top of main to a branch; a text of "" removes.
func commitTo(t testing.TB, gitDir, work, branch string, files map[string]string) string {
	t.Helper()
	git(t, work, "checkout", "-q", "--detach", "main")
	for name, text := range files {
		if text == "" {
			git(t, work, "rm", "-q", "-r", name)
			continue
		}
		path := filepath.Join(work, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git(t, work, "add", "-A")
	git(t, work, "commit", "-q", "--allow-empty", "-m", "on "+branch)
	git(t, work, "push", "-q", "-f", gitDir, "HEAD:"+branch)
	return git(t, work, "rev-parse", "HEAD")
}

func TestStanding(t *testing.T) {
	gitDir, main := bareRepo(t, map[string]string{
		".quire/ci.fnl": "(main)", ".quire/lib/a.fnl": "a", ".quire/Dockerfile": "FROM x", ".quire/tool": "tool",
		"Makefile": "all:", "scripts/deploy": "deploy", "program.c": "main",
	})
	work := filepath.Join(filepath.Dir(gitDir), "work")
	repo := openRepo(t, gitDir)
	for name, test := range map[string]struct {
		files                 map[string]string
		pipeline, paths, tree bool
	}{
		"nothing":              {nil, true, true, false},
		"the program":          {map[string]string{"program.c": "other", "more/x": "x"}, true, true, false},
		"the pipeline":         {map[string]string{".quire/ci.fnl": "(evil)"}, false, false, false},
		"a module":             {map[string]string{".quire/lib/a.fnl": "evil"}, false, false, false},
		"a module more":        {map[string]string{".quire/lib/b.fnl": "evil"}, false, false, false},
		"the Dockerfile":       {map[string]string{".quire/Dockerfile": "FROM evil"}, false, false, false},
		"what it copies":       {map[string]string{".quire/tool": "evil"}, false, false, false},
		"a file beside":        {map[string]string{".quire/new": "evil"}, false, false, false},
		"no Dockerfile":        {map[string]string{".quire/Dockerfile": ""}, false, false, false},
		"no .quire":            {map[string]string{".quire": ""}, false, false, false},
		"attributes":           {map[string]string{".gitattributes": ".quire/** text working-tree-encoding=UTF-7"}, false, false, false},
		"attributes elsewhere": {map[string]string{"scripts/.gitattributes": "* text eol=crlf"}, true, false, false},
		"a listed file":        {map[string]string{"Makefile": "evil:"}, true, false, false},
		"a listed directory":   {map[string]string{"scripts/more": "evil"}, true, false, false},
		"no listed directory":  {map[string]string{"scripts": ""}, true, false, false},
		"a listed name deeper": {map[string]string{"sub/Makefile": "all:"}, true, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			commit := commitTo(t, gitDir, work, "refs/heads/feature", test.files)
			s := newStanding(repo, "refs/heads/feature", commit)
			for d, want := range map[*config.Secret]bool{&byPipeline: test.pipeline, &byPaths: test.paths, &byTree: test.tree} {
				if why := s.unlike(*d); (why == "") != want {
					t.Errorf("%s %v: %q, want it to hold: %v", d.Protect, d.ProtectPaths, why, want)
				}
			}
			if s.isDefault() {
				t.Error("a branch is taken for the default one")
			}
		})
	}
	t.Run("history", func(t *testing.T) {
		next := commitTo(t, gitDir, work, "refs/heads/main", map[string]string{"program.c": "next"})
		for _, test := range []struct {
			ref, commit           string
			tree, isTheDefaultOne bool
		}{
			{"refs/heads/main", next, true, true},
			{"refs/heads/main", main, true, true},
			{"refs/heads/copy", next, true, false},
			{"refs/tags/v1", main, true, false},
		} {
			s := newStanding(repo, test.ref, test.commit)
			if why := s.unlike(byTree); (why == "") != test.tree || s.isDefault() != test.isTheDefaultOne {
				t.Errorf("%s at %s: %q, default %v", test.ref, event.ShortOID(test.commit), why, s.isDefault())
			}
		}
		// What was taken out of the default branch is none of it any more.
		git(t, work, "push", "-q", "-f", gitDir, main+":refs/heads/main")
		if s := newStanding(repo, "refs/heads/main", next); s.isDefault() || s.unlike(byTree) == "" {
			t.Error("a commit that was forced out counts still")
		}
	})
	t.Run("the branch moves", func(t *testing.T) {
		feature := commitTo(t, gitDir, work, "refs/heads/feature", map[string]string{".quire/ci.fnl": "(evil)"})
		of, from := newStanding(repo, "refs/heads/feature", feature), newStanding(repo, "refs/heads/main", main)
		git(t, work, "push", "-q", "-f", gitDir, feature+":refs/heads/main")
		if of.unlike(byPipeline) == "" || of.unlike(byTree) == "" {
			t.Error("a run became protected while it ran")
		}
		if from.unlike(byPipeline) != "" || !from.isDefault() {
			t.Error("a run lost its protection while it ran")
		}
		git(t, work, "push", "-q", "-f", gitDir, main+":refs/heads/main")
	})
	t.Run("replaced", func(t *testing.T) {
		// Anybody who may push refs may push one that replaces an object.
		feature := commitTo(t, gitDir, work, "refs/heads/feature", map[string]string{".quire/ci.fnl": "(evil)"})
		git(t, work, "push", "-q", gitDir, main+":refs/replace/"+feature, feature+":refs/replace/"+main)
		for _, r := range []string{feature, main} {
			defer git(t, gitDir, "update-ref", "-d", "refs/replace/"+r)
		}
		if s := newStanding(repo, "refs/heads/feature", feature); s.unlike(byPipeline) == "" || s.unlike(byTree) == "" {
			t.Error("a replacement decides")
		}
		dir := t.TempDir()
		if err := makeWorkspace(t.Context(), ground(t), repo, main, gitrepo.ExtentBounds{}, dir); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, PipelineFile)); err != nil || string(b) != "(main)" {
			t.Errorf("%q, %v", b, err)
		}
	})
	t.Run("two entries of one name", func(t *testing.T) {
		evil := commitTo(t, gitDir, work, "refs/heads/feature", map[string]string{".quire/ci.fnl": "(evil)"})
		// Git sorts and keeps both: the first is the evil one, the last that of main.
		twice := gitHash(t, gitDir, "tree", treeRow(t, gitDir, evil+":.quire", "40000", ".quire")+treeRow(t, gitDir, main+":.quire", "40000", ".quire"))
		commit := git(t, gitDir, "commit-tree", "-m", "twice", "-p", main, twice)
		if why := newStanding(repo, "refs/heads/feature", commit).unlike(byPipeline); !strings.Contains(why, `two entries are called ".quire"`) {
			t.Errorf("%q", why)
		}
	})
	for head, says := range map[string]string{"refs/heads/unborn": "names unborn, which does not exist", "refs/tags/v1": "names none"} {
		t.Run("HEAD at "+head, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(gitDir, "HEAD"), []byte("ref: "+head+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			s := newStanding(openRepo(t, gitDir), "refs/heads/main", main)
			for _, d := range []config.Secret{byPipeline, byPaths, byTree} {
				if why := s.unlike(d); !strings.Contains(why, says) {
					t.Errorf("%s: %q", d.Protect, why)
				}
			}
			if s.isDefault() {
				t.Error("it is taken for the default branch")
			}
		})
	}
	t.Run("HEAD detached", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(gitDir, "HEAD"), []byte(main+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if why := newStanding(openRepo(t, gitDir), "refs/heads/main", main).unlike(byPipeline); !strings.Contains(why, "names none") {
			t.Errorf("%q", why)
		}
	})
	if elsewhere().unlike(byPipeline) == "" || elsewhere().isDefault() {
		t.Error("a checkout is the default branch's own")
	}
}

// A run is refused a protected secret for a Dockerfile that differs, with a
// sentence that says so, and gets it when nothing that counts does.
func TestProtectedSecretOfABranch(t *testing.T) {
	b := newBench(t)
	b.cfg.Secrets = map[string]config.Secret{"token": {Name: "token", Value: "canary-of-the-token", Protect: config.ProtectPipeline}}
	pipeline := head + `(ci.job :show [:quire/push] (fn [] (runtime.log (.. "has " (length (runtime.secret :token))))))`
	if r := b.run(pipeline, map[string]string{".quire/Dockerfile": "FROM x"}); r.State != event.RunSucceeded {
		t.Fatalf("main: %s\n%s", r.State, r.report)
	}
	if r := b.runOn("refs/heads/feature", map[string]string{"program": "other"}); r.State != event.RunSucceeded {
		t.Errorf("a branch with another program: %s\n%s", r.State, r.report)
	}
	r := b.runOn("refs/heads/feature", map[string]string{".quire/Dockerfile": "FROM evil"})
	if want := "secret token is protected: only a run whose .quire is the default branch's own gets it, and .quire at "; r.State != event.RunFailed || !strings.Contains(r.report, want) {
		t.Errorf("a branch with another Dockerfile: %s\n%s", r.State, r.report)
	}
}

// A branch's caches are not shared by a pusher who is given a secret and one to whom
// it is refused.
func TestCachesOfABranchAreApartByWhoIsGivenASecret(t *testing.T) {
	cfg, err := config.Parse("c.toml", "state_dir = \"/s\"\n[secrets.a]\nenv = \"A\"\npushers = [\"alice\", \"carol\"]\n[secrets.b]\nenv = \"B\"\npushers = [\"nobody\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(givenTo(cfg, "bob")) != 0 || len(givenTo(cfg, "alice")) != 1 || !slices.Equal(givenTo(cfg, "alice"), givenTo(cfg, "carol")) {
		t.Errorf("bob %q, alice %q, carol %q", givenTo(cfg, "bob"), givenTo(cfg, "alice"), givenTo(cfg, "carol"))
	}
}
