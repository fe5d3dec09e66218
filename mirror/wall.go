package mirror

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"quire/internal/network"
)

// Wall is where the pipelines of one repository may push. Whoever may push a
// branch writes the pipeline, but its mirrors are pushed by quire itself: outside
// the sandbox that holds the jobs, with the operator's files, keys and network in
// reach. So what a pipeline names is compared with what the operator allows, when
// a job asks for the mirror, and again at every push, look and retry. The
// operator's own orders know no wall.
//
// The zero Wall lets nothing through.
type Wall struct {
	host    bool
	allowed []allow
	private []string
}

// HostWall is for repositories whose jobs run as quire's own user (the host
// executor): whatever a mirror could reach, the job can reach by itself.
func HostWall() Wall { return Wall{host: true} }

// SandboxWall is for repositories whose jobs run in a sandbox. allowURLs are the
// patterns of [mirroring] allow_urls; private are directories that nothing is
// pushed into even so: quire's own, with the workspaces and caches of its runs.
func SandboxWall(allowURLs, private []string) (Wall, error) {
	w := Wall{private: private}
	for _, pattern := range allowURLs {
		a, err := parseAllow(pattern)
		if err != nil {
			return Wall{}, fmt.Errorf("[mirroring] allow_urls: %w", err)
		}
		w.allowed = append(w.allowed, a)
	}
	return w, nil
}

// NotAllowedError is a mirror that a pipeline may not have. Why is a sentence
// without the URL, Do what a person can do.
type NotAllowedError struct{ Why, Do string }

func (e *NotAllowedError) Error() string { return e.Why }

// What a person can do.
const (
	doAllow = "Where pipelines may push is the operator's to say: list the URL in [mirroring] allow_urls, or order the mirror with a [[mirror]] table."
	doOrder = "Let the operator order the mirror with a [[mirror]] table, or choose another place."
	doKey   = "Name the secret that holds the key: {:secret :deploy_key}."
	doURL   = "Correct the mirror's url."

	doForget = "quire mirror status lists them, and quire mirror forget --mirror NAME REPO takes one off the list. A mirror that nothing ever came to makes room by itself when its delivery is given up."
)

// Admit decides whether a pipeline of the repository may push to a URL, as far as
// can be told without asking anybody: hasSecret says whether the pipeline names
// a secret for it. The error is a *NotAllowedError, or says what is wrong with the
// URL.
func (e *Engine) Admit(ctx context.Context, gitDir string, w Wall, url string, hasSecret bool) error {
	to, err := parseRemote(url)
	if err != nil {
		return err
	}
	_, err = e.admit(ctx, gitDir, w, to, hasSecret)
	return err
}

// passage is how a push gets to its target.
type passage struct {
	walled bool     // a pipeline's in a sandbox: nothing of the operator's goes along
	named  bool     // the operator allows this very host, wherever it is
	path   string   // of a local target: without links
	pinned []string // addresses to connect to, and to no other; none: not looked up

	route network.Route // of connections over HTTP
}

// along is how the target of a request is reached. The operator's certificate is not for a pipeline in a
// sandbox to show.
func (e *Engine) along(p passage, t Target) passage {
	switch p.route = t.Route; {
	case t.Asked && p.walled:
		p.route = e.route.Anonymous()
	case t.Asked:
		p.route = e.route
	}
	return p
}

// admit is Admit, and tells how to get there.
func (e *Engine) admit(ctx context.Context, gitDir string, w Wall, to remote, hasSecret bool) (passage, error) {
	if w.host {
		return passage{}, nil
	}
	p := passage{walled: true}
	if to.kind == "file" {
		known, err := e.store.Repositories(ctx)
		if err != nil {
			return p, err
		}
		p.path, err = w.local(to, append(known, gitDir))
		return p, err
	}
	ok := false
	for _, a := range w.allowed {
		if a.matches(to) {
			ok = true
			p.named = p.named || a.outright()
		}
	}
	if !ok {
		return p, &NotAllowedError{"the operator allows this repository's pipelines no push there", doAllow}
	}
	if why := plainPath(to); why != "" {
		return p, &NotAllowedError{why, doURL}
	}
	if to.kind == "ssh" && !hasSecret {
		return p, &NotAllowedError{"ssh needs a key, and quire's own is not a pipeline's to use", doKey}
	}
	if why := reservedHost(to.host); why != "" && !p.named {
		return p, &NotAllowedError{why + ", which pipelines are not to reach through quire", doAllow}
	}
	return p, nil
}

// lookUp finds the addresses of a target's host, once: they are judged, and
// these very ones are connected to. A name that cannot be looked up where a proxy
// does the connecting is left to the proxy.
func (p passage) lookUp(ctx context.Context, to remote) (passage, error) {
	if !p.walled || to.kind == "file" {
		return p, nil
	}
	if p.named {
		return p, nil // the operator's word, and the operator's name server
	}
	list, err := lookUp(ctx, to.host)
	if err != nil {
		if to.kind == "http" && p.proxied(to) {
			return p, nil
		}
		return p, &unresolvedError{to.host, err}
	}
	for _, a := range list {
		if what := reserved(a); what != "" {
			return p, &NotAllowedError{fmt.Sprintf("%s is at %s, %s, which pipelines are not to reach through quire", to.host, a, what), doAllow}
		}
		p.pinned = append(p.pinned, a.String())
	}
	return p, nil
}

// unresolvedError is a name that could not be looked up this time.
type unresolvedError struct {
	host string
	err  error
}

func (e *unresolvedError) Error() string {
	return "could not resolve host " + e.host + ": " + e.err.Error()
}

func (e *unresolvedError) Unwrap() error { return e.err }

// checkDialed is a connection's last check: of the address itself, when it is made.
func checkDialed(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", address, err)
	}
	if what := reserved(at.Addr()); what != "" {
		return &NotAllowedError{fmt.Sprintf("%s is %s, which pipelines are not to reach through quire", at.Addr(), what), doAllow}
	}
	return nil
}

// refusal is the class of an error of admit or lookUp; ok is false for one of this
// machine.
func refusal(err error) (c Class, do string, ok bool) {
	var no *NotAllowedError
	var unresolved *unresolvedError
	switch {
	case errors.As(err, &no):
		return ClassNotAllowed, no.Do, true
	case errors.As(err, &unresolved):
		return ClassNetwork, "", true
	}
	return ClassNone, "", false
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
