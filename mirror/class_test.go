package mirror

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/mirror/forgetest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// What the forges print when they refuse, each through a real push: a hook
// prints it, git carries it, and the report says the class, whether it is tried
// again, and what to do.
func TestRefusals(t *testing.T) {
	files, err := filepath.Glob("testdata/refusals/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			fixture, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, said, _ := strings.Cut(string(fixture), "--\n")
			var class, retried string
			for line := range strings.Lines(head) {
				key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				switch key {
				case "class":
					class = value
				case "retried":
					retried = value
				}
			}
			w := newWorld(t)
			script := filepath.Join(t.TempDir(), "said")
			write(t, script, said)
			forgetest.Hook(t, w.dst, "pre-receive", "cat "+script+" >&2; exit 1")
			one := w.commit("refs/heads/main", "one")
			rep := w.deliver(w.request(Want{"refs/heads/main", one}))
			r := only(t, rep)
			if string(r.Class) != class || (r.Status == Pending) != (retried == "yes") {
				t.Errorf("class %s, status %s; want %s, retried %s", r.Class, r.Status, class, retried)
			}
			w.wantThere("refs/heads/main", "")
			text := rep.String()
			if i := strings.Index(text, "next attempt"); i >= 0 {
				text = text[:i] + "next attempt TIME\n"
			}
			golden := strings.TrimSuffix(file, ".txt") + ".golden"
			if *update {
				write(t, golden, text)
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if text != string(want) {
				t.Errorf("report:\n%s\nwant:\n%s", text, want)
			}
			for _, c := range text {
				if c < ' ' && c != '\n' {
					t.Errorf("control character %q in the report", c)
				}
			}
		})
	}
}

// Words of git and of ssh that no hook can print.
func TestClassify(t *testing.T) {
	for _, c := range []struct {
		said string
		want Class
	}{
		{"fatal: Authentication failed for 'URL/'", ClassAuth},
		{"fatal: could not read Username for 'https://github.com': terminal prompts disabled", ClassAuth},
		{"git@github.com: Permission denied (publickey).\nfatal: Could not read from remote repository.", ClassAuth},
		{"remote: Permission to me/repo.git denied to bot.\nfatal: unable to access 'URL/': The requested URL returned error: 403", ClassForbidden},
		{"ERROR: Repository not found.\nfatal: Could not read from remote repository.", ClassNotFound},
		{"fatal: '/srv/x.git' does not appear to be a git repository", ClassNotFound},
		{"fatal: unable to access 'URL/': Could not resolve host: github.com", ClassNetwork},
		{"fatal: unable to access 'URL/': Failed to connect to github.com port 443 after 2 ms: Couldn't connect to server", ClassNetwork},
		{"ssh: connect to host h port 22: Connection refused", ClassNetwork},
		{"kex_exchange_identification: Connection closed by remote host", ClassNetwork},
		{"error: RPC failed; curl 56 GnuTLS recv error (-54): Error in the pull function.", ClassNetwork},
		{"error: RPC failed; HTTP 504 curl 22 The requested URL returned error: 504\nfatal: the remote end hung up unexpectedly", ClassServer},
		{"error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413", ClassPackTooLarge},
		{"fatal: unable to access 'URL/': The requested URL returned error: 429", ClassRateLimit},
		{"fatal: unable to access 'URL/': server certificate verification failed. CAfile: none CRLfile: none", ClassTLS},
		{"fatal: unable to access 'URL/': SSL certificate problem: self-signed certificate", ClassTLS},
		{"@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@\nHost key verification failed.", ClassHostKey},
		{"No ED25519 host key is known for github.com and you have requested strict checking.\nHost key verification failed.", ClassHostUnknown},
		{"fatal: unable to update url base from redirection", ClassRedirect},
		{"error: RPC failed; curl 28 Operation too slow. Less than 1 bytes/sec transferred the last 120 seconds", ClassStalled},
		{"deny updating a hidden ref", ClassHidden},
		{"deletion of the current branch prohibited", ClassCurrent},
		{"cannot lock ref 'refs/heads/a/b': 'refs/heads/a' exists; cannot create 'refs/heads/a/b'", ClassCase},
		{"shallow update not allowed", ClassShallow},
		{"who knows", ClassUnknown},
		{"", ClassUnknown},
	} {
		if got := classify(c.said); got != c.want {
			t.Errorf("classify(%q) = %s, want %s", c.said, got, c.want)
		}
	}
}

// What the advice says to type is what the command takes.
func TestAdviceNamesAnIPv6HostAsTrustTakesIt(t *testing.T) {
	for url, want := range map[string]string{
		"ssh://git@[::1]:17722/r": "quire mirror trust [::1]:17722", "ssh://git@[2001:db8::1]/r": "quire mirror trust 2001:db8::1", "ssh://git@h:2222/r": "quire mirror trust h:2222",
	} {
		to, err := parseRemote(url)
		if err != nil {
			t.Fatal(err)
		}
		if text := ClassHostUnknown.advice(to, "forge", "", "main"); !strings.HasSuffix(text, want) {
			t.Errorf("%s: %q", url, text)
		}
	}
}

// A remote's sentence may end with its own full stop.
func TestSentencesAreJoinedByOneStop(t *testing.T) {
	r := Report{Target: "h", Results: []Result{{Ref: "refs/heads/main", Status: Refused, Class: ClassNotFound, Detail: noRedactor.Mask("no such repository."), Advice: "There is none."}}}
	if text := r.Err().Error(); !strings.HasSuffix(text, "no such repository. There is none.") {
		t.Error(text)
	}
}

// Every class has its advice, and advice fills all its places.
func TestAdvice(t *testing.T) {
	to, _ := parseRemote("https://h:8443/me/repo.git")
	seen := map[Class]bool{}
	for _, r := range rules {
		seen[r.class] = true
	}
	for c := range advice {
		seen[c] = true
	}
	for c := range seen {
		for _, secret := range []string{"", "tok"} {
			text := c.advice(to, "forge", secret, "main")
			if text == "" || strings.Contains(text, "{") {
				t.Errorf("%s: %q", c, text)
			}
		}
	}
}
