package event

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestIDsSortByTimeAndAreValid(t *testing.T) {
	start := time.UnixMilli(1_700_000_000_000)
	var ids []string
	for i := range 200 {
		ids = append(ids, NewID(start.Add(time.Duration(i)*time.Millisecond)))
	}
	if !slices.IsSorted(ids) {
		t.Error("ids of later milliseconds do not sort later")
	}
	for _, id := range ids {
		if !ValidID(id) {
			t.Fatalf("NewID made %q, which ValidID refuses", id)
		}
	}
	if a, b := NewID(start), NewID(start); a == b || a[:10] != b[:10] {
		t.Errorf("two ids of one millisecond: %s, %s: want the same ten leading digits and different tails", a, b)
	}
	// The time part read back by hand: 10 digits of 5 bits are 50 bits, 48 of them used.
	var ms int64
	for _, c := range NewID(start)[:10] {
		ms = ms<<5 | int64(strings.IndexRune(idAlphabet, c))
	}
	if ms != start.UnixMilli() {
		t.Errorf("the id's first ten digits say %d ms, want %d", ms, start.UnixMilli())
	}
}

func TestDerivedIDsAreTheSameForTheSameText(t *testing.T) {
	now := time.Now()
	first, later := NewID(now), NewID(now.Add(time.Hour))
	a, b := DerivedID(first, "one"), DerivedID(later, "one")
	if !ValidID(a) || CompareTimes(a, first) != 0 || a == b || a != DerivedID(first, "one") || a == DerivedID(first, "two") {
		t.Errorf("%s of %s, %s of %s", a, first, b, later)
	}
	if !DerivedFrom(a, "one") || !DerivedFrom(b, "one") || DerivedFrom(a, "two") || DerivedFrom(first, "one") || DerivedFrom("../../etc/passwd", "one") {
		t.Error("what an id was derived from is not seen")
	}
	if CompareTimes(a, b) >= 0 || CompareTimes(b, a) <= 0 {
		t.Error("the times are not in order")
	}
}

func TestValidIDRefusesPaths(t *testing.T) {
	for _, s := range []string{"", "..", "../../../../../../etc/passwd", strings.Repeat("a", 25), strings.Repeat("a", 27), strings.Repeat("i", 26), "01JQ" + strings.Repeat("0", 22), strings.Repeat("0", 25) + "/"} {
		if ValidID(s) {
			t.Errorf("ValidID(%q) = true", s)
		}
	}
}

func TestMatchRef(t *testing.T) {
	for _, c := range []struct {
		pattern, ref string
		want         bool
	}{
		{"refs/heads/main", "refs/heads/main", true},
		{"main", "refs/heads/main", true},
		{"main", "refs/tags/main", false},
		{"refs/heads/*", "refs/heads/feature/x", true},
		{"refs/heads/*", "refs/tags/v1", false},
		{"refs/heads/release/*", "refs/heads/release/1", true},
		{"refs/heads/release/*", "refs/heads/release", false},
		{"refs/tags/v[0-9]*", "refs/tags/v1.2", true},
		{"refs/tags/v[0-9]*", "refs/tags/vx", false},
		{"refs/tags/v?", "refs/tags/v/", false},
		{"refs/tags/v?", "refs/tags/v1", true},
		{"*", "refs/notes/commits", true},
		{"rel*", "refs/heads/release/1", true},
		{`refs/heads/a\*b`, "refs/heads/a*b", true},
		{`refs/heads/a\*b`, "refs/heads/axb", false},
		{"refs/heads/größe", "refs/heads/größe", true},
		{"refs/heads/*/x/*/y", "refs/heads/a/b/x/c/d/y", true},
	} {
		got, err := MatchRef(c.pattern, c.ref)
		if err != nil || got != c.want {
			t.Errorf("MatchRef(%q, %q) = %v, %v; want %v", c.pattern, c.ref, got, err, c.want)
		}
	}
}

func TestMatchRepo(t *testing.T) {
	for _, c := range []struct {
		pattern, dir string
		want         bool
	}{
		{"*", "/srv/git/me/quire.git", true},
		{"quire", "/srv/git/me/quire.git", true},
		{"quire.git", "/srv/git/me/quire.git", true},
		{"me/*", "/srv/git/me/quire.git", true},
		{"you/*", "/srv/git/me/quire.git", false},
		{"me/quire", "/srv/git/you/me/quire.git", true},
		{"/srv/git/*", "/srv/git/me/quire.git", false},
		{"/srv/git/**", "/srv/git/me/quire.git", true},
		{"/srv/git/me/quire.git", "/srv/git/me/quire.git", true},
		{"/srv/git/me/quire", "/srv/git/me/quire.git", true},
		{"/srv/git/me/quire", "/home/me/quire.git", false},
		{"/me/quire", "/srv/git/me/quire.git", false},
		{"/srv/git/*/*.git", "/srv/git/me/quire.git", true},
		{"**/quire", "/srv/git/me/quire.git", true},
		{"quire", "/home/me/quire/.git", true},
		{"qu", "/srv/git/me/quire.git", false},
		{"srv/git/me/quire/x", "/srv/git/me/quire.git", false},
	} {
		got, err := MatchRepo(c.pattern, c.dir)
		if err != nil || got != c.want {
			t.Errorf("MatchRepo(%q, %q) = %v, %v; want %v", c.pattern, c.dir, got, err, c.want)
		}
	}
}

func TestMalformedGlobMatchesNothing(t *testing.T) {
	for _, p := range []string{"", "[", "refs/heads/[a-", `x\`} {
		for name, match := range map[string]func(string, string) (bool, error){"ref": MatchRef, "repo": MatchRepo, "name": MatchName} {
			if p == "" && name == "ref" {
				continue // becomes refs/heads/, which is well formed and matches no ref
			}
			if ok, err := match(p, p); ok || !errors.Is(err, ErrGlob) {
				t.Errorf("%s pattern %q: %v, %v; want no match and ErrGlob", name, p, ok, err)
			}
		}
	}
}

// Stars must not make matching exponential, since a pattern may be anything.
func TestGlobManyStars(t *testing.T) {
	name := "refs/heads/" + strings.Repeat("a", 3000)
	if ok, err := MatchRef("refs/heads/"+strings.Repeat("*a", 40)+"b", name); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("refs/heads/*", "refs/heads/a/b")
	f.Add("[a-z]?*", "é")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		ok, err := MatchRepo(pattern, name)
		if ok && err != nil {
			t.Fatal("match and error at once")
		}
	})
}

func TestParseOptions(t *testing.T) {
	po, err := ParseOptions([]string{"ci.skip", "other=1", "ci.wait=start", "ci.var=A=b=c", "ci.var=B="})
	if err != nil || !po.Skip || po.Wait != WaitStart || po.Vars["A"] != "b=c" || po.Vars["B"] != "" || len(po.Vars) != 2 {
		t.Errorf("got %+v, %v", po, err)
	}
	po, err = ParseOptions([]string{"ci.wait=finish", "ci.wait=forever", "ci.skp", "ci.var=x"})
	if err == nil || po.Wait != WaitFinish {
		t.Fatalf("got %+v, %v; want what is good kept and what is bad told", po, err)
	}
	for _, part := range []string{"ci.wait=forever", "none, start or finish", "ci.skp: no such option", "ci.var=x: want"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	if po, _ := ParseOptions([]string{"ci.skip", "ci.skip=false"}); po.Skip {
		t.Error("the last of two options must win")
	}
}

func TestNames(t *testing.T) {
	for dir, want := range map[string]string{"/srv/git/a.git": "a", "/srv/git/a": "a", "/home/me/b/.git": "b"} {
		if got := RepoName(dir); got != want {
			t.Errorf("RepoName(%q) = %q, want %q", dir, got, want)
		}
	}
	u := Update{Old: strings.Repeat("0", 64), New: strings.Repeat("1", 64), Ref: "refs/tags/v1"}
	if !u.Creates() || u.Deletes() || u.Tag() != "v1" || u.Branch() != "" || ShortRef(u.Ref) != "tags/v1" || ShortOID(u.New) != "11111111" {
		t.Errorf("%+v is misread", u)
	}
}

// The row-wise matcher against the obvious exponential one.
func TestGlobAgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	letters := "ab/*"
	pick := func(n int, from string) string {
		var b strings.Builder
		for range r.IntN(n) {
			b.WriteByte(from[r.IntN(len(from))])
		}
		return b.String()
	}
	var naive func(p, s string, cross bool) bool
	naive = func(p, s string, cross bool) bool {
		if p == "" {
			return s == ""
		}
		if p[0] == '*' {
			rest := strings.TrimLeft(p, "*")
			c := cross || len(p)-len(rest) > 1
			for i := 0; ; i++ {
				if naive(rest, s[i:], cross) {
					return true
				}
				if i == len(s) || s[i] == '/' && !c {
					return false
				}
			}
		}
		return s != "" && s[0] == p[0] && naive(p[1:], s[1:], cross)
	}
	for range 20000 {
		p, s := pick(8, letters), pick(10, "ab/")
		if p == "" {
			continue
		}
		for _, cross := range []bool{false, true} {
			got, err := glob(p, s, cross)
			if err != nil || got != naive(p, s, cross) {
				t.Fatalf("glob(%q, %q, %v) = %v, %v", p, s, cross, got, err)
			}
		}
	}
}
