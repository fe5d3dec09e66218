package mirror

import (
	"net"
	"regexp"
	"strings"
)

// Class is why something did not land.
type Class string

// The classes. Their words stand in the ledger and in --json output and are not
// changed.
const (
	ClassNone          Class = ""
	ClassDiverged      Class = "diverged"         // somebody else moved the ref
	ClassNotForward    Class = "not-fast-forward" // force = "never"
	ClassTagElsewhere  Class = "tag-elsewhere"
	ClassTagRefused    Class = "tag-refused"  // by the repository's own hooks or configuration, here
	ClassForeign       Class = "foreign"      // not ours to delete
	ClassManyDeletes   Class = "many-deletes" // more than half of the target's refs
	ClassBroken        Class = "broken-source"
	ClassObjectMissing Class = "object-missing" // here
	ClassBadTarget     Class = "bad-target"     // the URL, or the credential for it
	ClassSecret        Class = "secret"         // it could not be fetched
	ClassAuth          Class = "auth"           // 401, or SSH's "permission denied"
	ClassForbidden     Class = "forbidden"      // 403
	ClassNotFound      Class = "not-found"      // 404
	ClassNotMade       Class = "not-made"       // there is none, and create = true did not help
	ClassRedirect      Class = "redirect"
	ClassRequest       Class = "bad-request"      // 400 and its like: what answers takes no such request
	ClassProxy         Class = "proxy"            // it wants a login, or lets nobody through
	ClassLength        Class = "length-required"  // 411, also with the pack's length told
	ClassLocked        Class = "locked"           // 409, 423
	ClassWithheld      Class = "withheld"         // 451
	ClassProtected     Class = "protected-branch" // GH006
	ClassRuleset       Class = "ruleset"          // GH013
	ClassPushSecret    Class = "push-protection"  // GH013, a secret in the commits
	ClassFileTooLarge  Class = "file-too-large"   // GH001
	ClassPackTooLarge  Class = "pack-too-large"
	ClassWorkflow      Class = "workflow-scope"
	ClassLFS           Class = "lfs-missing" // GH008
	ClassRateLimit     Class = "rate-limit"
	ClassHostKey       Class = "host-key-changed"
	ClassHostUnknown   Class = "host-key-unknown"
	ClassCase          Class = "name-collision" // refs that differ in case, or a and a/b
	ClassHidden        Class = "hidden-ref"
	ClassCurrent       Class = "current-branch" // the remote's HEAD is not deleted
	ClassArchived      Class = "archived"
	ClassQuota         Class = "quota"
	ClassShallow       Class = "shallow"
	ClassTLS           Class = "tls"
	ClassFormat        Class = "object-format" // SHA-1 and SHA-256
	ClassDeclined      Class = "declined"      // by a hook, for reasons of its own
	ClassNetwork       Class = "network"
	ClassServer        Class = "server" // 5xx, or a remote that broke off
	ClassRemoteFull    Class = "remote-full"
	ClassStalled       Class = "stalled"
	ClassLocal         Class = "local"       // this machine
	ClassNotAllowed    Class = "not-allowed" // the operator lets no pipeline push there, see Wall
	ClassRetired       Class = "retired"     // no configuration and no pipeline asks for the target any more
	ClassUnknown       Class = "unknown"
)

// rule recognizes a class by what is said. Every one of all must be found, in
// lower case.
type rule struct {
	class Class
	all   []string
}

// rules are tried in order: what is more particular comes first, since a forge
// says "pre-receive hook declined" beneath everything. The forges' words are
// from their documentation and from what they answered; git's from its source.
var rules = []rule{
	{ClassPushSecret, []string{"push protection"}},
	{ClassPushSecret, []string{"push cannot contain secrets"}},
	{ClassPushSecret, []string{"secret_push_protection"}},
	{ClassFileTooLarge, []string{"gh001"}},
	{ClassFileTooLarge, []string{"exceeds github's file size limit"}},
	{ClassFileTooLarge, []string{"larger than the allowed size"}}, // GitLab
	{ClassLFS, []string{"gh008"}},
	{ClassLFS, []string{"unknown git lfs objects"}},
	{ClassLFS, []string{"lfs objects are missing"}}, // GitLab
	{ClassWorkflow, []string{"refusing to allow", "workflow"}},
	{ClassProtected, []string{"gh006"}},
	{ClassProtected, []string{"protected branch"}},
	{ClassProtected, []string{"protected tag"}},
	{ClassProtected, []string{"protected branches"}},
	{ClassProtected, []string{"permission denied to update branch"}}, // Bitbucket
	{ClassProtected, []string{"tf402455"}},                           // Azure: "Pushes to this branch are not permitted"
	{ClassProtected, []string{"deletion prohibited"}},                // git, receive.denyDeletes
	{ClassProtected, []string{"is protected from"}},                  // Gitea: "branch main is protected from force push"
	{ClassRuleset, []string{"gh013"}},
	{ClassRuleset, []string{"repository rule violations"}},
	{ClassRuleset, []string{"push rule"}}, // GitLab
	{ClassRuleset, []string{"commit message does not follow the pattern"}},
	{ClassPackTooLarge, []string{"pack exceeds maximum allowed size"}},
	{ClassPackTooLarge, []string{"http 413"}},
	{ClassPackTooLarge, []string{"returned error: 413"}},
	{ClassPackTooLarge, []string{"exceeded the limit", "push size"}},
	{ClassArchived, []string{"archived", "read-only"}},
	{ClassArchived, []string{"repository is archived"}},
	{ClassQuota, []string{"over quota"}},
	{ClassQuota, []string{"storage quota"}},
	{ClassQuota, []string{"quota exceeded"}},
	{ClassQuota, []string{"repository size limit"}},
	{ClassQuota, []string{"storage limit"}},
	// A proxy's answer to CONNECT, in the words of curl before and since 7.87; its own
	// 5xx passes.
	{ClassServer, []string{"http code 5", "from proxy after connect"}},
	{ClassServer, []string{"connect tunnel failed, response 5"}},
	{ClassProxy, []string{"from proxy after connect"}},
	{ClassProxy, []string{"connect tunnel failed"}},
	{ClassRateLimit, []string{"returned error: 429"}},
	{ClassRateLimit, []string{"http 429"}},
	{ClassRateLimit, []string{"rate limit"}},
	{ClassRateLimit, []string{"too many requests"}},
	{ClassHostKey, []string{"remote host identification has changed"}},
	{ClassHostUnknown, []string{"host key is known for"}}, // "No ED25519 host key is known for …"
	{ClassHostUnknown, []string{"host key verification failed"}},
	{ClassTLS, []string{"certificate"}},
	{ClassTLS, []string{"ssl routines"}},
	{ClassCase, []string{"cannot lock ref", "exists; cannot create"}},
	{ClassCase, []string{"cannot lock ref", "file exists"}},
	{ClassCase, []string{"unable to create", "file exists"}},
	{ClassCase, []string{"differ only in case"}},
	{ClassCase, []string{"case-insensitive"}},
	{ClassCase, []string{"case-conflict"}},
	{ClassCase, []string{"reference already exists"}},
	{ClassHidden, []string{"hidden ref"}},
	{ClassHidden, []string{"funny refname"}},
	{ClassHidden, []string{"refname conflict"}},
	{ClassCurrent, []string{"deletion of the current branch prohibited"}},
	{ClassCurrent, []string{"refusing to delete the current branch"}},
	{ClassCurrent, []string{"cannot delete default branch"}},
	{ClassCurrent, []string{"branch is currently checked out"}},
	{ClassShallow, []string{"shallow update not allowed"}},
	{ClassObjectMissing, []string{"src refspec", "does not match any"}},
	{ClassObjectMissing, []string{"bad object"}},
	{ClassObjectMissing, []string{"cannot be resolved to branch"}},
	{ClassBroken, []string{"object file", "is empty"}},
	{ClassBroken, []string{"loose object", "corrupt"}},
	{ClassBroken, []string{"pack-objects died"}},
	{ClassBroken, []string{"unable to read"}},
	{ClassAuth, []string{"authentication failed"}},
	{ClassAuth, []string{"could not read username"}},
	{ClassAuth, []string{"could not read password"}},
	{ClassAuth, []string{"invalid username or"}},
	{ClassAuth, []string{"http basic: access denied"}},
	{ClassAuth, []string{"returned error: 401"}},
	{ClassAuth, []string{"http 401"}},
	{ClassAuth, []string{"permission denied (publickey"}},
	{ClassAuth, []string{"permission denied (", "publickey"}},
	{ClassAuth, []string{"no supported authentication methods"}},
	{ClassAuth, []string{"too many authentication failures"}},
	{ClassForbidden, []string{"returned error: 403"}},
	{ClassForbidden, []string{"http 403"}},
	{ClassForbidden, []string{"permission to ", " denied to "}},
	{ClassForbidden, []string{"write access to repository not granted"}},
	{ClassForbidden, []string{"key you are authenticating with has been marked as read only"}},
	{ClassForbidden, []string{"not allowed to push"}},
	{ClassForbidden, []string{"you are not allowed to"}},
	{ClassForbidden, []string{"does not have write access"}},
	{ClassForbidden, []string{"user permission denied"}},        // Gitea
	{ClassForbidden, []string{"tf401027"}},                      // Azure: "You need the Git 'GenericContribute' permission"
	{ClassForbidden, []string{"fatal: ", " denied by "}},        // gitolite
	{ClassForbidden, []string{"prohibited by gerrit"}},          //
	{ClassForbidden, []string{"don't have permission to push"}}, // CodeCommit
	{ClassForbidden, []string{"service not enabled"}},
	{ClassFormat, []string{"does not support this repository's hash algorithm"}},
	{ClassFormat, []string{"mismatched algorithms"}},
	{ClassNotFound, []string{"returned error: 404"}},
	{ClassNotFound, []string{"http 404"}},
	{ClassNotFound, []string{"repository not found"}},
	{ClassNotFound, []string{"repository '", "not found"}},
	{ClassNotFound, []string{"could not be found"}},
	{ClassNotFound, []string{"could not find repository"}},
	{ClassNotFound, []string{"does not appear to be a git repository"}},
	{ClassNotFound, []string{"not a git repository"}},
	{ClassNotFound, []string{"does not exist"}},
	{ClassRequest, []string{"returned error: 400"}},
	{ClassRequest, []string{"http 400"}},
	{ClassRequest, []string{"returned error: 405"}},
	{ClassRequest, []string{"http 405"}},
	{ClassRequest, []string{"returned error: 414"}},
	{ClassRequest, []string{"http 414"}},
	{ClassRequest, []string{"returned error: 415"}},
	{ClassRequest, []string{"http 415"}},
	{ClassRequest, []string{"returned error: 422"}},
	{ClassRequest, []string{"http 422"}},
	{ClassProxy, []string{"returned error: 407"}},
	{ClassProxy, []string{"http 407"}},
	{ClassLocked, []string{"returned error: 409"}},
	{ClassLocked, []string{"http 409"}},
	{ClassLocked, []string{"returned error: 423"}},
	{ClassLocked, []string{"http 423"}},
	{ClassNotFound, []string{"returned error: 410"}},
	{ClassNotFound, []string{"http 410"}},
	{ClassLength, []string{"returned error: 411"}},
	{ClassLength, []string{"http 411"}},
	{ClassWithheld, []string{"returned error: 451"}},
	{ClassWithheld, []string{"http 451"}},
	{ClassRedirect, []string{"returned error: 30"}},
	{ClassRedirect, []string{"update url base from redirection"}},
	{ClassRemoteFull, []string{"no space left on device"}},
	{ClassRemoteFull, []string{"disk quota exceeded"}},
	{ClassStalled, []string{"operation too slow"}},
	{ClassServer, []string{"returned error: 5"}},
	{ClassServer, []string{"http 5"}},
	{ClassServer, []string{"internal server error"}},
	{ClassServer, []string{"internal api"}},
	{ClassServer, []string{"service unavailable"}},
	{ClassServer, []string{"try again later"}},
	{ClassServer, []string{"cannot lock ref"}},
	{ClassServer, []string{"failed to update ref"}},
	{ClassServer, []string{"remote failed to report status"}},
	{ClassServer, []string{"unpacker error"}},
	{ClassServer, []string{"unable to migrate objects"}},
	{ClassServer, []string{"invalid server response"}},
	{ClassServer, []string{"not valid: is this a git repository"}},
	{ClassDeclined, []string{"hook declined"}},
	{ClassNetwork, []string{"could not resolve"}},
	{ClassNetwork, []string{"temporary failure in name resolution"}},
	{ClassNetwork, []string{"name or service not known"}},
	{ClassNetwork, []string{"failed to connect"}},
	{ClassNetwork, []string{"couldn't connect"}},
	{ClassNetwork, []string{"connection"}}, // refused, reset, timed out, closed
	{ClassNetwork, []string{"timed out"}},
	{ClassNetwork, []string{"unreachable"}},
	{ClassNetwork, []string{"no route to host"}},
	{ClassNetwork, []string{"early eof"}},
	{ClassNetwork, []string{"hung up"}},
	{ClassNetwork, []string{"unexpected disconnect"}},
	{ClassNetwork, []string{"empty reply from server"}},
	{ClassNetwork, []string{"broken pipe"}},
	{ClassNetwork, []string{"recv failure"}},
	{ClassNetwork, []string{"send failure"}},
	{ClassNetwork, []string{"rpc failed; curl"}},
	{ClassNetwork, []string{"transfer closed"}},
	{ClassNetwork, []string{"http/2 stream"}},
	{ClassNetwork, []string{"gnutls"}},
	{ClassNetwork, []string{"ssl_"}},
	{ClassLocal, []string{"unable to fork"}},
	{ClassLocal, []string{"out of memory"}},
	{ClassLocal, []string{"cannot run"}},
}

// Transient reports whether trying again, unchanged, may help.
func (c Class) Transient() bool {
	switch c {
	case ClassSecret, ClassNetwork, ClassServer, ClassStalled, ClassRateLimit, ClassRemoteFull, ClassLocked, ClassLocal, ClassUnknown:
		return true
	}
	return false
}

// passes reports whether it most likely goes away with nobody doing anything.
func (c Class) passes() bool {
	return c == ClassNetwork || c == ClassServer || c == ClassStalled || c == ClassRateLimit
}

// advice is one sentence on what to do. {target}, {secret}, {ref} and {host}
// stand for themselves.
var advice = map[Class]string{
	ClassDiverged:      "Look at what is there; to let the mirror follow again, set {ref} at {target} back, merge its commits here, or delete it there.",
	ClassNotForward:    "This mirror says force = \"never\"; say \"lease\" to let rewritten history through, or push a merge.",
	ClassTagElsewhere:  "Tags do not move: choose another name, or delete the tag where it is wrong.",
	ClassTagRefused:    "Choose a name that the repository's hooks allow, or have its owner allow this one.",
	ClassForeign:       "Delete it at {target} by hand, if it is to go.",
	ClassManyDeletes:   "If that is meant, say: quire mirror sync --confirm",
	ClassBroken:        "Check the repository with: git fsck --full",
	ClassObjectMissing: "The commit is not in this repository any more (its branch was replaced and cleaned up); a newer push mirrors what is there now.",
	ClassBadTarget:     "Correct what the configuration says of the mirror: its url, its secret, or how its server is reached (ca_file, client_cert).",
	ClassSecret:        "Mend the source of {secret}; the delivery is tried again.",
	ClassAuth:          "{secret} was not accepted: it may be expired, revoked or for another host. Renew it in its source; the next attempt uses the new value.",
	ClassForbidden:     "{secret} is known there but may not push: give it write access to the repository's contents.",
	ClassNotFound:      "There is no such repository, or {secret} may not see it: check the url, make the repository, or set create = true.",
	ClassNotMade:       "Make the repository at {target} by hand, or give {secret} the right to make repositories.",
	ClassRedirect:      "The repository has moved: put its new address into the mirror's url. Redirects are not followed, as the credential would go with them.",
	ClassRequest:       "What answers at {host} takes no such request: check the mirror's url, and the proxy if there is one ([network] proxy, no_proxy).",
	ClassProxy:         "The proxy lets this machine not through, or wants a login, which quire has none for: let the proxy know this machine by its address, name another one in proxy, or list {host} in no_proxy.",
	ClassLength:        "What answers at {host} takes nothing whose length is not told first, and the pack is too large for that: have the proxy or server take chunked requests, or mirror by ssh.",
	ClassLocked:        "The repository is locked or being changed at {target} (a move, maintenance); the delivery is tried again.",
	ClassWithheld:      "The forge withholds the repository for legal reasons: ask its operator, or remove the mirror.",
	ClassProtected:     "Allow the account of {secret} to push to {ref} in the branch protection at {target}, or exclude the ref from the mirror.",
	ClassRuleset:       "Put the account of {secret} on the bypass list of the ruleset at {target}, or exclude the ref from the mirror.",
	ClassPushSecret:    "The forge found a credential in the commits: revoke it, take it out of the history, or allow it at the address that the forge printed.",
	ClassFileTooLarge:  "Take the file out of the history, or move it to Git LFS (git lfs migrate).",
	ClassPackTooLarge:  "The push is larger than {target} takes; quire sends it in parts where history allows, so one commit alone must be too large.",
	ClassWorkflow:      "Give the token in {secret} the workflow scope (a fine-grained token or an App: the Workflows permission, read and write).",
	ClassLFS:           "See that {target} takes Git LFS, and push the objects there from a clone that has them: git lfs push --all.",
	ClassRateLimit:     "Nothing needs doing; the delivery is tried again later.",
	ClassHostKey:       "The server at {host} shows another key than the pinned one. Find out why before anything else; if the key was changed on purpose, pin the new one: quire mirror trust {host}",
	ClassHostUnknown:   "Pin the server's key: quire mirror trust {host}",
	ClassCase:          "There cannot be {ref} beside a ref of nearly the same name (another case, or a and a/b): rename or delete one of them.",
	ClassHidden:        "The forge keeps these names for itself: exclude the ref from the mirror.",
	ClassCurrent:       "It is the default branch there: choose another default branch at {target}, then: quire mirror sync",
	ClassArchived:      "Unarchive the repository at {target}, or remove the mirror.",
	ClassQuota:         "Make room at {target}, or raise its quota.",
	ClassShallow:       "The repository here has no whole history: git fetch --unshallow",
	ClassTLS:           "The server's certificate is not trusted here: put the certificate of its authority (PEM) into a file and name that in ca_file of the [[mirror]] or of [network]; if the server wants one of yours, set client_cert.",
	ClassFormat:        "Objects have names of another kind there (SHA-1, SHA-256): make the repository at {target} anew with git init --object-format as here, or remove the mirror.",
	ClassDeclined:      "A hook at {target} declined it; its reason is above.",
	ClassNetwork:       "Nothing needs doing if the network comes back; the delivery is tried again.",
	ClassServer:        "Nothing needs doing if the server recovers; the delivery is tried again.",
	ClassStalled:       "The server took or sent nothing for two minutes; the delivery is tried again.",
	ClassRemoteFull:    "Make room on the server's disk; the delivery is tried again.",
	ClassLocal:         "Look at this machine's memory and process limits.",
	ClassNotAllowed:    doAllow,
	ClassRetired:       "Put the [[mirror]] back, or forget the target: quire mirror forget",
	ClassUnknown:       "The delivery is tried again; what git said is above.",
}

// Advice is one sentence about what a person can do; "" for no class.
func (c Class) advice(to remote, target, secret, ref string) string {
	if secret == "" {
		secret = "the credential"
		if c == ClassAuth || c == ClassForbidden || c == ClassNotFound {
			secret = "no credential (the mirror names no secret)"
		}
	} else {
		secret = "secret " + secret
	}
	if ref == "" {
		ref = "the ref"
	}
	host := to.host
	if to.port != "" {
		host = net.JoinHostPort(to.host, to.port) // an IPv6 address in brackets
	}
	text := strings.NewReplacer("{target}", target, "{secret}", secret, "{ref}", ref, "{host}", host).Replace(advice[c])
	if text != "" {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return text
}

// ofAnyRef is the class's advice for one ref as it is for any. Only the place where the
// advice has the ref is changed: a branch may be called as any word of it.
func (c Class) ofAnyRef(text, ref string) string {
	before, after, ok := strings.Cut(advice[c], "{ref}")
	if !ok {
		return text
	}
	before = before[strings.LastIndexByte(before, '}')+1:]
	after, _, _ = strings.Cut(after, "{")
	return strings.Replace(text, before+ref+after, before+"the ref"+after, 1)
}

var ansi = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")

// plainText is a text without what a terminal would obey. What a carriage return
// begins is a line of its own.
func plainText(s string) string {
	return ansi.ReplaceAllString(strings.ReplaceAll(s, "\r", "\n"), "")
}

// cause is the part of git's standard error that a person wants to see: what
// the remote said, else git's own last words. A remote's escape sequences would
// reach the pusher's terminal, so they go.
func cause(stderr string) string {
	var theirs, ours []string
	for line := range strings.Lines(plainText(stderr)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line == "remote:":
		case strings.HasPrefix(line, "remote:"):
			said := strings.TrimSpace(strings.TrimPrefix(line, "remote:"))
			said = strings.TrimSpace(strings.TrimPrefix(said, "error:"))
			if strings.Trim(said, "*-=!>—─ ") != "" && !progress.MatchString(said) {
				theirs = append(theirs, said)
			}
		case strings.HasPrefix(line, "error: failed to push some refs"), strings.HasPrefix(line, "hint:"),
			strings.HasPrefix(line, "Please make sure you have the correct access rights"),
			strings.HasPrefix(line, "and the repository exists"), strings.HasPrefix(line, "send-pack: unexpected disconnect"),
			strings.HasPrefix(line, "Everything up-to-date"), strings.Trim(line, "@") == "":
		default:
			line = strings.TrimPrefix(strings.TrimPrefix(line, "fatal: "), "error: ")
			if strings.HasPrefix(line, "could not read Username") || strings.HasPrefix(line, "could not read Password") {
				// Git's own words speak of a prompt; this is what made it ask.
				line = "HTTP 401: the credential was not accepted"
			}
			ours = append(ours, line)
		}
	}
	lines := append(theirs, ours...)
	if len(lines) > maxLines {
		lines = lines[:maxLines]
	}
	var text strings.Builder
	for i, line := range lines {
		if i > 0 {
			text.WriteString(between(lines[i-1]))
		}
		text.WriteString(line)
	}
	if text.Len() > maxCause {
		return strings.ToValidUTF8(text.String()[:maxCause], "") + "…"
	}
	return text.String()
}

// What a report quotes at most of what a remote printed.
const (
	maxLines = 8
	maxCause = 800 // bytes
)

// between joins lines that were printed one below the other.
func between(line string) string {
	if strings.ContainsRune(".:;,!?", rune(line[len(line)-1])) {
		return " "
	}
	return "; "
}

// progress are the counters of a remote's side of the transfer.
var progress = regexp.MustCompile(`^(Resolving deltas|Counting objects|Compressing objects|Unpacking objects|Checking connectivity|Processing changes|Enumerating objects|Total \d)`)
