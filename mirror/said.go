package mirror

import (
	"regexp"
	"strings"

	"quire/internal/event"
)

// What is said at a push comes from several mouths, and each can speak of some things
// only. A line that begins with "remote:" is the other end's: the connection stands, so
// words in it are never about certificates or the network, whatever a hook is
// talking of. A ref's refusal is one of the repository that was found and let us in. And
// names (of the host, the repository, refs, files) are no words at all.

// classify tells the class of what git and the remote said of a push as a whole.
func classify(said string) Class { return classifyBy(said, nil) }

// classifyBy is classify; never are classes that what is said cannot be about.
func classifyBy(said string, never map[Class]bool) Class {
	all := strings.ToLower(withoutNames(said))
	var ours strings.Builder // what git, curl and ssh here say
	for line := range strings.Lines(all) {
		if !strings.HasPrefix(line, "remote:") {
			ours.WriteString(line)
		}
	}
	here := ours.String()
next:
	for _, r := range rules {
		text := all
		if ofConnection[r.class] {
			text = here
		}
		if never[r.class] {
			continue
		}
		for _, part := range r.all {
			if !strings.Contains(text, part) {
				continue next
			}
		}
		return r.class
	}
	return ClassUnknown
}

// ofConnection are the classes that are told on this side only.
var ofConnection = map[Class]bool{
	ClassTLS: true, ClassNetwork: true, ClassStalled: true, ClassHostKey: true, ClassHostUnknown: true, ClassProxy: true, ClassRedirect: true,
	ClassLocal: true, ClassObjectMissing: true,
}

// neverOfRef are the classes that no refusal of a single ref has: there is a repository,
// it let us in, and its server answered.
var neverOfRef = map[Class]bool{
	ClassTLS: true, ClassNetwork: true, ClassStalled: true, ClassHostKey: true, ClassHostUnknown: true, ClassProxy: true, ClassRedirect: true,
	ClassLocal: true, ClassObjectMissing: true, ClassBroken: true, ClassAuth: true, ClassNotFound: true,
	ClassRequest: true, ClassLength: true, ClassLocked: true, ClassWithheld: true,
}

var (
	quotedName  = regexp.MustCompile(`(^|[\s(:])'[^'\n]*'`) // and not the apostrophe of "couldn't"
	refspecName = regexp.MustCompile(`\brefspec \S+`)
)

// withoutNames takes out what stands where git and servers put names.
func withoutNames(said string) string {
	var out strings.Builder
	for line := range strings.Lines(said) {
		line = refsIn.ReplaceAllString(line, "REF")
		if !strings.HasPrefix(line, "remote:") { // a hook may quote what it likes
			line = quotedName.ReplaceAllString(line, "$1''")
			line = refspecName.ReplaceAllString(line, "refspec REF")
		}
		out.WriteString(line)
	}
	return out.String()
}

// classify takes the names of the target out first, which may hold any word.
func (p *pusher) classify(said string) Class { return classify(p.anonymous(said)) }

// classifyRef is classify of what was said of one ref.
func (p *pusher) classifyRef(ref, said string) Class {
	return classifyBy(withoutWord(p.anonymous(said), event.ShortRef(ref), "REF"), neverOfRef)
}

func (p *pusher) anonymous(said string) string {
	said = strings.ReplaceAll(said, p.to.url, "URL")
	said = withoutWord(said, p.to.path, "PATH")
	if short := strings.TrimSuffix(p.to.path, ".git"); strings.Contains(short, "/") {
		said = withoutWord(said, short, "PATH")
	}
	if strings.ContainsAny(p.to.host, ".:") { // a short one may be a word, such as "git"
		said = withoutWord(said, p.to.host, "HOST")
	}
	return said
}

// withoutWord replaces a name where it stands by itself: a branch "a" is not every a.
func withoutWord(text, name, by string) string {
	if name == "" || !strings.Contains(text, name) {
		return text
	}
	var out strings.Builder
	done := 0
	for done < len(text) {
		i := strings.Index(text[done:], name)
		if i < 0 {
			break
		}
		start, end := done+i, done+i+len(name)
		out.WriteString(text[done:start])
		if (start == 0 || !ofName(text[start-1])) && endsName(text[end:]) {
			out.WriteString(by)
		} else {
			out.WriteString(name)
		}
		done = end
	}
	out.WriteString(text[done:])
	return out.String()
}

// endsName reports whether a name is over where rest begins; a full stop ends a sentence.
func endsName(rest string) bool {
	rest = strings.TrimPrefix(rest, ".")
	return rest == "" || !ofName(rest[0])
}

// ofName reports whether a byte may continue a name.
func ofName(c byte) bool {
	return c >= 0x80 || c == '-' || c == '_' || c == '/' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
