package mirror

import (
	"strings"
	"testing"
)

func saidBy(t *testing.T, url string) *pusher {
	t.Helper()
	to, err := parseRemote(url)
	if err != nil {
		t.Fatal(err)
	}
	return &pusher{planner: &planner{to: to}}
}

// Names of hosts, repositories, refs and files may be any word that a class is known
// by, and a hook may talk of anything.
func TestNamesDoNotMislead(t *testing.T) {
	for _, c := range []struct {
		url, said string
		want      Class
	}{
		{"https://h/me/certificate-rate-limit.git", "fatal: repository 'https://h/me/certificate-rate-limit.git/' not found", ClassNotFound},
		{"https://certificates.invalid/me/r.git", "fatal: unable to access 'https://certificates.invalid/me/r.git/': Could not resolve host: certificates.invalid", ClassNetwork},
		{"git@certificates.invalid:r.git", "ssh: Could not resolve hostname certificates.invalid: Name or service not known\nfatal: Could not read from remote repository.", ClassNetwork},
		{"git@h:read.git", "fatal: loose object 1a2b (stored in read/x) is corrupt", ClassBroken},
		{"git@h.test:error.git", "error: unable to read sha1 file of x", ClassBroken},
		{"git@git:not.git", "fatal: 'not.git' does not appear to be a git repository", ClassNotFound},
		{"https://h/r.git", "error: src refspec certificate-rotation does not match any", ClassObjectMissing},
		{"https://h/r.git", "remote: we rotate each certificate today\nfatal: unable to access 'https://h/r.git/': The requested URL returned error: 403", ClassForbidden},
		{"https://h/r.git", "remote: connection pool is exhausted, hung up\nfatal: unable to access 'https://h/r.git/': The requested URL returned error: 401", ClassAuth},
		{"https://h/r.git", "fatal: unable to access 'https://h/r.git/': Couldn't connect to server", ClassNetwork},
		{"https://h/r.git", "fatal: unable to access 'https://h/r.git/': server certificate verification failed. CAfile: none CRLfile: none", ClassTLS},
		{"https://h/r.git", "fatal: unable to access 'https://h/r.git/': Received HTTP code 407 from proxy after CONNECT", ClassProxy},
		{"https://h/r.git", "fatal: unable to access 'https://h/r.git/': CONNECT tunnel failed, response 403", ClassProxy},
		{"https://h/r.git", "fatal: unable to access 'https://h/r.git/': CONNECT tunnel failed, response 503", ClassServer},
		{"https://h/r.git", "fatal: the receiving end does not support this repository's hash algorithm", ClassFormat},
	} {
		if got := saidBy(t, c.url).classify(c.said); got != c.want {
			t.Errorf("%s\n%s\n class %s, want %s", c.url, c.said, got, c.want)
		}
	}
}

// What is said of one ref, in the forges' own sentences and in a hook's that means
// something else.
func TestWhatIsSaidOfARef(t *testing.T) {
	p := saidBy(t, "https://h/me/r.git")
	for _, c := range []struct {
		ref, said string
		want      Class
	}{
		{"main", "remote: the X.509 certificate in conf/ is malformed", ClassUnknown},
		{"main", "remote: issue ABC-1 does not exist", ClassUnknown},
		{"main", "remote: connection strings are not allowed in commits", ClassUnknown},
		{"main", "remote: error: unable to read the ticket", ClassUnknown},
		{"certificate-rotation", "remote: certificate-rotation: no", ClassUnknown},
		{"rate limit"[:4], "remote: rate limit reached", ClassUnknown}, // the branch is called "rate"
		{"a", "remote: Repository is archived.", ClassArchived},
		{"main", "remote: Permission denied to update branch main.", ClassProtected},
		{"main", "remote: TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch.", ClassProtected},
		{"main", "remote: TF401027: You need the Git 'GenericContribute' permission to perform this action.", ClassForbidden},
		{"main", "remote: FATAL: W refs/heads/main proj ada DENIED by fallthru", ClassForbidden},
		{"main", "prohibited by Gerrit: not permitted: update", ClassForbidden},
		{"main", "remote: You don't have permission to push changes to this branch.", ClassForbidden},
		{"main", "remote: Gitea: User permission denied for writing.", ClassForbidden},
		{"main", "deletion prohibited", ClassProtected},
		{"main", "remote: GitLab: You are not allowed to push code to protected branches on this project.", ClassProtected},
		{"main", "remote: fatal: write error: No space left on device", ClassRemoteFull},
	} {
		if got := p.classifyRef("refs/heads/"+c.ref, c.said); got != c.want {
			t.Errorf("%s: %s\n class %s, want %s", c.ref, c.said, got, c.want)
		}
	}
}

func TestWithoutWord(t *testing.T) {
	for _, c := range []struct{ text, name, want string }{
		{"main mainline domain main.", "main", "X mainline domain X."}, {"mainmain main", "main", "mainmain X"},
		{"a/main main/a main.git 'main'", "main", "a/main main/a main.git 'X'"}, {"", "a", ""}, {"a", "", "a"},
	} {
		if got := withoutWord(c.text, c.name, "X"); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// Advice for several refs speaks of "the ref" where it named one, and nowhere else.
func TestAdviceForSeveralRefs(t *testing.T) {
	to, err := parseRemote("https://h/me/a.git")
	if err != nil {
		t.Fatal(err)
	}
	for c := range advice {
		for _, ref := range []string{"a", "the", "at", "branch", "main"} {
			got, want := c.ofAnyRef(c.advice(to, "h/me/a", "a", ref), ref), c.advice(to, "h/me/a", "a", "the ref")
			if got != want {
				t.Errorf("%s, %s:\n%s\n%s", c, ref, got, want)
			}
		}
	}
	r := Report{Target: "h", Results: []Result{
		{Ref: "refs/heads/a", Status: Refused, Class: ClassProtected, Advice: ClassProtected.advice(to, "h/me/a", "", "a")},
		{Ref: "refs/heads/b", Status: Refused, Class: ClassProtected, Advice: ClassProtected.advice(to, "h/me/a", "", "b")},
	}}
	if g := r.groups(); len(g) != 1 || !strings.Contains(g[0].Advice, "Allow the account of the credential to push to the ref in the branch protection at h/me/a") {
		t.Errorf("%+v", g)
	}
}
