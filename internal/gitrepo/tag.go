package gitrepo

import (
	"context"
	"fmt"
	"strings"
)

// TagElsewhereError is a tag that exists and names something else. Tags do not
// move, so nothing was changed.
type TagElsewhereError struct {
	Tag  string // without refs/tags/
	Have string // the commit (or object) it names
	Want string // the commit that should have been tagged
}

func (e *TagElsewhereError) Error() string {
	return fmt.Sprintf("tag %s exists on %.12s, so it cannot be put on %.12s", e.Tag, e.Have, e.Want)
}

// TagRefusedError is a tag that the repository did not take: a hook of its
// refused it, or its configuration does.
type TagRefusedError struct {
	Tag  string
	Said string // what git and the hooks printed
}

func (e *TagRefusedError) Error() string {
	return fmt.Sprintf("tag %s was refused by the repository's own rules: %s", e.Tag, e.Said)
}

// CreateTag puts the lightweight tag name on commit (which may be given as an
// annotated tag and is then peeled). It returns the object that refs/tags/NAME
// names afterwards. If the tag is on that commit already it is left as it is, and
// created is false; elsewhere, the error is a *TagElsewhereError.
//
// The tag is made as somebody's push would make it, by git receive-pack: the
// repository's hooks run, and what they or its configuration refuse is a
// *TagRefusedError. env is the whole environment of that push, which the hooks
// see; ctx's end ends it, and then nobody knows whether the tag was made.
//
// Two processes that make the same tag at the same moment both succeed: git's
// own lock on the ref decides which of them made it.
func (r *Repo) CreateTag(ctx context.Context, name, commit string, env []string) (oid string, created bool, err error) {
	if err := CheckNewTag(name); err != nil {
		return "", false, err
	}
	c, err := r.Commit(commit)
	if err != nil {
		return "", false, fmt.Errorf("create tag %s: %w", name, err)
	}
	if oid, err := r.taggedOn(name, c.OID); oid != "" || err != nil {
		return oid, false, err
	}
	// r.mu is not held: hooks take their time.
	refused, err := receive(ctx, r.gitDir, "refs/tags/"+name, c.OID, env)
	switch {
	case err != nil:
		return "", false, fmt.Errorf("create tag %s: %w", name, err)
	case refused == "":
		return c.OID, true, nil
	}
	// Somebody else may have made it in between.
	if oid, err := r.taggedOn(name, c.OID); oid != "" || err != nil {
		return oid, false, err
	}
	return "", false, &TagRefusedError{Tag: name, Said: refused}
}

// taggedOn is tagOn, for callers that do not hold r.mu.
func (r *Repo) taggedOn(name, commit string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tagOn(name, commit)
}

// tagOn is what the tag names if it is on commit, "" if there is no such tag,
// and an error if it is elsewhere.
func (r *Repo) tagOn(name, commit string) (string, error) {
	var oid string
	var found bool
	err := r.do(func(s source) (err error) {
		oid, found, err = s.resolve("refs/tags/" + name)
		return err
	})
	if err != nil || !found {
		return "", err
	}
	at := oid
	if c, err := r.commit(oid); err == nil {
		at = c.OID
	}
	if at != commit {
		return "", &TagElsewhereError{Tag: name, Have: at, Want: commit}
	}
	return oid, nil
}

// CheckNewTag is CheckTagName, and reports also a full name given for the tag's own:
// git would make refs/tags/refs/heads/main of it, which is read as another ref.
func CheckNewTag(name string) error {
	if strings.HasPrefix(name, "refs/") {
		return fmt.Errorf("malformed tag name %q: it is a full ref name; give the tag's name alone", name)
	}
	return CheckTagName(name)
}

// CheckTagName reports a name that git does not take as a tag's, by the rules
// of git-check-ref-format(1), and one that starts with a dash, which git's own
// `git tag` refuses too.
func CheckTagName(name string) error {
	bad := func(why string) error { return fmt.Errorf("malformed tag name %q: %s", name, why) }
	switch {
	case name == "HEAD":
		return bad("git keeps this name for itself")
	case strings.HasPrefix(name, "-"):
		return bad("it starts with a dash")
	}
	if why := unusableName(name); why != "" {
		return bad(why)
	}
	for _, part := range strings.Split(name, "/") {
		if len(part) > 250 {
			return bad("a part of it is longer than a file name may be")
		}
	}
	return nil
}

// unusableName says why git takes no ref of a name, which is given without its
// first part, by the rules of git-check-ref-format(1); "" if it does.
func unusableName(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case strings.Contains(name, ".."), strings.Contains(name, "@{"), name == "@":
		return "git reads \"..\", \"@{\" and \"@\" as something else"
	case strings.HasSuffix(name, "."):
		return "it ends with a dot"
	}
	for i := range len(name) {
		if c := name[i]; c < ' ' || c == 0x7f || strings.IndexByte(" ~^:?*[\\", c) >= 0 {
			return fmt.Sprintf("it holds the character %q", c)
		}
	}
	for _, part := range strings.Split(name, "/") {
		switch {
		case part == "":
			return "it has an empty part between slashes"
		case strings.HasPrefix(part, "."):
			return "a part of it starts with a dot"
		case strings.HasSuffix(part, ".lock"):
			return "a part of it ends with .lock"
		}
	}
	return ""
}
