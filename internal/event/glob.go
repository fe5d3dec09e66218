package event

import (
	"errors"
	"path"
	"strings"
)

// ErrGlob is the error of a malformed pattern. Rules that grant something must
// treat it as "no match".
var ErrGlob = errors.New("malformed pattern")

// MatchRef reports whether a full ref name matches pattern. As in a git
// refspec, * crosses slashes, so refs/heads/* is every branch; ? and [a-z] stand for one
// character that is not a slash. A pattern that does not start with "refs/" means a
// branch: "main" is refs/heads/main.
func MatchRef(pattern, ref string) (bool, error) {
	if !strings.HasPrefix(pattern, "refs/") && pattern != "*" && pattern != "**" {
		pattern = "refs/heads/" + pattern
	}
	return glob(pattern, ref, true)
}

// MatchRepo reports whether the repository at gitDir matches pattern. A pattern
// with a leading slash is compared with the whole path; any other with as many
// of its last elements as the pattern has, with and without ".git". Here * stays inside an
// element and ** crosses them, as in a .gitignore.
func MatchRepo(pattern, gitDir string) (bool, error) {
	bare := strings.TrimSuffix(strings.TrimSuffix(gitDir, "/.git"), ".git")
	for _, p := range []string{gitDir, bare} {
		name := p
		if !strings.HasPrefix(pattern, "/") {
			elems := strings.Split(strings.Trim(p, "/"), "/")
			if n := strings.Count(pattern, "/") + 1; n < len(elems) && !strings.Contains(pattern, "**") {
				elems = elems[len(elems)-n:]
			}
			name = strings.Join(elems, "/")
		}
		if ok, err := glob(pattern, name, false); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// MatchName reports whether a plain name (a job's id) matches pattern; * crosses
// slashes, since quire/mirror is one name.
func MatchName(pattern, name string) (bool, error) { return glob(pattern, name, true) }

// MatchPath reports whether a file's path in a repository, or that of a
// directory it lies in, matches pattern: "scripts" is all below scripts. * stays
// inside a directory and ** crosses them.
func MatchPath(pattern, file string) (bool, error) {
	pattern = strings.TrimSuffix(pattern, "/")
	for {
		if ok, err := glob(pattern, file, false); ok || err != nil {
			return ok, err
		}
		up := strings.LastIndexByte(file, '/')
		if up < 0 {
			return false, nil
		}
		file = file[:up]
	}
}

// CheckGlob reports a malformed pattern without a name to match.
func CheckGlob(pattern string) error {
	if pattern == "" {
		return ErrGlob
	}
	if _, err := path.Match(strings.ReplaceAll(pattern, "**", "*"), ""); err != nil {
		return ErrGlob
	}
	return nil
}

// glob backtracks over the last star only, so it takes at most
// len(pattern)·len(name) steps whatever the pattern.
func glob(pattern, name string, starCrosses bool) (bool, error) {
	if err := CheckGlob(pattern); err != nil {
		return false, err
	}
	// Without slash crossing two different stars are in play; a small
	// memo-free recursion would be exponential, so rows are computed instead.
	tokens := tokenize(pattern, starCrosses)
	row := make([]bool, len(name)+1)
	row[0] = true
	for _, t := range tokens {
		next := make([]bool, len(name)+1)
		switch t.kind {
		case tokStar, tokStarStar:
			ok := false
			for i := 0; i <= len(name); i++ {
				ok = row[i] || ok && (t.kind == tokStarStar || name[i-1] != '/')
				next[i] = ok
			}
		default:
			for i := 0; i < len(name); i++ {
				next[i+1] = row[i] && t.matches(name[i])
			}
		}
		row = next
	}
	return row[len(name)], nil
}

type tokKind int

const (
	tokByte tokKind = iota
	tokClass
	tokStar
	tokStarStar
)

type token struct {
	kind  tokKind
	class string // tokClass: the pattern, for path.Match
	b     byte
}

func (t token) matches(b byte) bool {
	if t.kind == tokByte {
		return t.b == b
	}
	ok, _ := path.Match(t.class, string(rune(b)))
	return ok
}

func tokenize(pattern string, starCrosses bool) []token {
	var out []token
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			k := tokStar
			for i+1 < len(pattern) && pattern[i+1] == '*' {
				k = tokStarStar
				i++
			}
			if starCrosses {
				k = tokStarStar
			}
			out = append(out, token{kind: k})
		case '?':
			out = append(out, token{kind: tokClass, class: "?"})
		case '[':
			end := i + 1
			for end < len(pattern) && (pattern[end] != ']' || end == i+1) {
				if pattern[end] == '\\' {
					end++
				}
				end++
			}
			out = append(out, token{kind: tokClass, class: pattern[i:min(end+1, len(pattern))]})
			i = end
		case '\\':
			i++
			if i < len(pattern) {
				out = append(out, token{b: pattern[i]})
			}
		default:
			out = append(out, token{b: c})
		}
	}
	return out
}
