package wall

import (
	"path/filepath"
	"strconv"
	"testing"

	"quire/internal/config"
	"quire/internal/store"
	"quire/mirror"
)

// The configuration's check of a pattern and the wall's reading of it are two
// pieces of code, since the one must link next to nothing. They take the same.
func TestPatternsAreReadAlike(t *testing.T) {
	for pattern, good := range map[string]bool{
		"https://": true, "http://": true, "ssh://": true, "https://h": true, "https://h/": true, "https://h:8443/me/**": true,
		"https://*/me/": true, "https://*.example.org/": true, "ssh://git@h/": true, "http://[::1]:3000/": true, "http://h:*/": true,
		"/srv/mirrors/**": true, "file:///srv/mirrors/": true,
		"": false, "*": false, "github.com": false, "git@h:r": false, "ftp://h/": false, "git://h/": false, "ext::x": false, "file://": false,
		"file://h/x": false, "https:///x": false, "https://[::1/": false, "https://h /": false,
		"https://h/[x": false, "https://h*/": false, "https://h:x/": false, "https://h/../x": false, "relative/x": false, "/srv/../x": false,
	} {
		_, inFile := config.Parse("c.toml", "[mirroring]\nallow_urls = ["+strconv.Quote(pattern)+"]\n")
		_, inWall := mirror.SandboxWall([]string{pattern}, nil)
		if (inFile == nil) != good {
			t.Errorf("%q in the file: %v", pattern, inFile)
		}
		if good && inWall != nil {
			t.Errorf("%q in the wall: %v", pattern, inWall)
		}
	}
}

// The executor that a repository's jobs have decides what its mirrors are.
func TestMirrors(t *testing.T) {
	s, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e, err := mirror.New(s, filepath.Join(t.TempDir(), "locks"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Defaults()
	cfg.Executor.For = []config.ExecutorRule{{Repos: []string{"boxed"}, Use: "bwrap"}, {Repos: []string{"open"}, Use: "host"}, {Repos: []string{"later"}, Use: "something"}}
	for _, c := range []struct {
		use, repo string
		free      bool
	}{
		{"host", "/srv/git/any.git", true}, {"host", "/srv/git/boxed.git", false}, {"host", "/srv/git/later.git", false},
		{"docker", "/srv/git/any.git", false}, {"docker", "/srv/git/open.git", true},
	} {
		cfg.Executor.Default = c.use
		w, err := Mirrors(&cfg, c.repo)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Admit(t.Context(), c.repo, w, "/srv/copy.git", false); (err == nil) != c.free {
			t.Errorf("default %s, %s: %v", c.use, c.repo, err)
		}
		if err := e.Admit(t.Context(), c.repo, w, "https://example.org/r.git", false); err != nil {
			t.Errorf("default %s, %s: %v", c.use, c.repo, err)
		}
	}
	cfg.Executor.Default, cfg.Mirroring.AllowURLs = "bwrap", nil
	w, err := Mirrors(&cfg, "/srv/git/any.git")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Admit(t.Context(), "/srv/git/any.git", w, "https://example.org/r.git", true); err == nil {
		t.Error("an empty list allows something")
	}
}
