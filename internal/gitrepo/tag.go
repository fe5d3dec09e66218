package gitrepo

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Annotation makes a tag an annotated one. The zero time means now.
type Annotation struct {
	Message string
	Tagger  Signature
}

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

var errTagExists = errors.New("the tag exists")

// CreateTag puts the tag name on commit (which may be given as an annotated tag
// and is then peeled): a lightweight one, or with a note an annotated one. It
// returns the object that refs/tags/NAME names afterwards. If the tag is on
// that commit already it is left as it is, and created is false; elsewhere, the
// error is a *TagElsewhereError.
//
// Two processes that make the same tag at the same moment both succeed: git's
// own lock on the ref decides which of them made it.
func (r *Repo) CreateTag(name, commit string, note *Annotation) (oid string, created bool, err error) {
	if err := CheckTagName(name); err != nil {
		return "", false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c, err := r.commit(commit)
	if err != nil {
		return "", false, fmt.Errorf("create tag %s: %w", name, err)
	}
	if oid, err := r.tagOn(name, c.OID); oid != "" || err != nil {
		return oid, false, err
	}
	if note != nil && note.Tagger.When.IsZero() {
		dated := *note
		dated.Tagger.When = time.Now()
		note = &dated
	}
	err = r.do(func(s source) (err error) {
		oid, err = s.createTag(name, c.OID, note)
		return err
	})
	if errors.Is(err, errTagExists) {
		if oid, err := r.tagOn(name, c.OID); oid != "" || err != nil {
			return oid, false, err
		}
	}
	if err != nil {
		return "", false, fmt.Errorf("create tag %s: %w", name, err)
	}
	return oid, true, nil
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

// tagText is an annotated tag as git stores it (`git mktag` reads the same).
func tagText(name, target string, note *Annotation) string {
	return fmt.Sprintf("object %s\ntype commit\ntag %s\ntagger %s <%s> %d %s\n\n%s\n", target, name,
		note.Tagger.Name, note.Tagger.Email, note.Tagger.When.Unix(), note.Tagger.When.Format("-0700"),
		strings.TrimRight(note.Message, "\n"))
}
