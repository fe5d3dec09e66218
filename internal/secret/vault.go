package secret

import (
	"context"
	"fmt"
	"sync"

	"quire/internal/config"
)

// Vault is the secrets of one run: declared in the configuration, fetched when
// first asked for, remembered until the run ends. It may be used by several
// goroutines.
type Vault struct {
	cfg      *config.Config
	redactor *Redactor

	mu      sync.Mutex
	entries map[string]*entry
	warn    func(Masked)
	warned  map[Masked]bool
}

// entry is a secret somebody asked for. Its lock is held while the source is
// asked, so that two jobs do not unlock the same password store at once.
type entry struct {
	lock  chan struct{} // capacity 1; a channel, so that waiting ends with the context
	known bool
	value Value
}

// Open makes the vault of one run. It fetches nothing.
func Open(cfg *config.Config) *Vault {
	return &Vault{cfg: cfg, redactor: NewRedactor(), entries: map[string]*entry{}, warned: map[Masked]bool{}}
}

// Redactor is what everything that leaves the run has to pass.
func (v *Vault) Redactor() *Redactor { return v.redactor }

// OnWarning has tell called, once for each text, with what a person should know
// though the secret was given: a value too short to redact, a file that others
// can read, what the secret's command wrote to its standard error. The text is
// redacted. tell must not call the vault. Set it before the first Reveal.
func (v *Vault) OnWarning(tell func(text Masked)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.warn = tell
}

// Reveal gives the secret called name to whoever s describes. The rules are
// asked first: a refused secret is not fetched. Before Reveal returns, the
// run's Redactor knows the value.
//
// An undeclared name is the error "unknown secret: NAME", followed where one is
// near by "; did you mean OTHER?". A refusal names the rule. An error of the
// source names the source and what to do, never the value; the next call tries
// again.
func (v *Vault) Reveal(ctx context.Context, name string, s Scope) (Value, error) {
	d, ok := v.cfg.Secrets[name]
	if !ok {
		if near := nearest(name, v.cfg.SecretNames()); near != "" {
			return Value{}, fmt.Errorf("unknown secret: %s; did you mean %s?", name, near)
		}
		return Value{}, fmt.Errorf("unknown secret: %s", name)
	}
	d.Name = name
	if err := admit(d, s); err != nil {
		return Value{}, err
	}
	e := v.entry(name)
	select {
	case e.lock <- struct{}{}:
		defer func() { <-e.lock }()
	case <-ctx.Done():
		return Value{}, context.Cause(ctx)
	}
	if e.known {
		return e.value, nil
	}
	f, err := v.fetch(ctx, d)
	if err != nil {
		return Value{}, err
	}
	v.redactor.Add(name, f.value)
	e.value, e.known = NewValue(f.value), true
	for _, w := range f.warnings {
		v.tell(v.redactor.Mask("secret " + name + ": " + w))
	}
	return e.value, nil
}

// Revealed is what has been given to anybody so far, by name. A secret that is
// being fetched just now is left out.
func (v *Vault) Revealed() map[string]Value {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := map[string]Value{}
	for name, e := range v.entries {
		select {
		case e.lock <- struct{}{}:
			if e.known {
				out[name] = e.value
			}
			<-e.lock
		default:
		}
	}
	return out
}

func (v *Vault) entry(name string) *entry {
	v.mu.Lock()
	defer v.mu.Unlock()
	e := v.entries[name]
	if e == nil {
		e = &entry{lock: make(chan struct{}, 1)}
		v.entries[name] = e
	}
	return e
}

func (v *Vault) tell(text Masked) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.warn == nil || v.warned[text] {
		return
	}
	v.warned[text] = true
	v.warn(text)
}

// Finding is what Check learned of one secret.
type Finding struct {
	Length   int      // of the value, in bytes
	Warnings []string // redacted
}

// Check fetches a secret without giving it to anybody, whatever its scope.
func (v *Vault) Check(ctx context.Context, name string) (Finding, error) {
	d, ok := v.cfg.Secrets[name]
	if !ok {
		return Finding{}, fmt.Errorf("unknown secret: %s", name)
	}
	d.Name = name
	f, err := v.fetch(ctx, d)
	if err != nil {
		return Finding{}, err
	}
	v.redactor.Add(name, f.value)
	out := Finding{Length: len(f.value)}
	for _, w := range f.warnings {
		out.Warnings = append(out.Warnings, v.redactor.String(w))
	}
	return out, nil
}

// fetch asks the source and refuses what cannot be a secret.
func (v *Vault) fetch(ctx context.Context, d config.Secret) (fetched, error) {
	f, err := source{v.cfg, v.redactor, commandLimit}.fetch(ctx, d)
	switch {
	case err != nil:
		return fetched{}, fmt.Errorf("secret %s: %w", d.Name, err)
	case f.value == "":
		return fetched{}, fmt.Errorf("secret %s: %s", d.Name, emptyAdvice(d))
	case len(f.value) > MaxLength:
		return fetched{}, fmt.Errorf("secret %s: its %s holds more than %d KiB, which is no secret; name the file it is meant to be", d.Name, d.Source(), MaxLength>>10)
	}
	if !redactable(f.value) {
		f.warnings = append(f.warnings, fmt.Sprintf("its value is shorter than %d bytes (or blank) and cannot be redacted: it would blot out ordinary text; choose a longer one", MinLength))
	}
	return f, nil
}

// MaxLength is the greatest length of a value, in bytes. It bounds what is read
// from a source, and the automaton that looks for the value's forms: with every
// byte written \u00XX it is still within what a node can count (see depthBits).
const MaxLength = 64 << 10

func emptyAdvice(d config.Secret) string {
	switch d.Source() {
	case "file":
		return fmt.Sprintf("the file %s is empty; write the value into it", d.File)
	case "env":
		return fmt.Sprintf("the environment variable %s is empty; set it where the worker is started", d.Env)
	case "command":
		return fmt.Sprintf("the command %s printed nothing on its standard output; it must print the value", commandName(d.Command))
	case "credential":
		return fmt.Sprintf("the credential %s is empty; fill it", d.Credential)
	}
	return "its value is empty; encrypt one with: quire secrets encrypt"
}

// nearest is the name at the least edit distance, if that is small enough for a
// typing error.
func nearest(name string, names []string) string {
	best, least := "", max(2, len(name)/4)+1
	for _, n := range names {
		if d := editDistance(name, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// editDistance is Levenshtein's, by rows.
func editDistance(a, b string) int {
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := above[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, above[j+1]+1, row[j]+1)
		}
		above = row
	}
	return above[len(b)]
}
