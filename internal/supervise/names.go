package supervise

import (
	"fmt"

	"quire/internal/secret"
	"quire/internal/secret/masked"
	"quire/pipeline"
)

// declared lists the names that the commit gives to parts of its pipeline. They
// are keys, written down before any secret is known, so they cannot be masked.
func declared(p *pipeline.Pipeline) (names []string) {
	for _, j := range p.Jobs {
		names = append(names, j.ID)
	}
	for _, c := range p.Caches {
		names = append(names, c.Name)
	}
	for _, s := range p.Services {
		names = append(names, s.Name.String())
	}
	return names
}

// warnOfPublished says, once for each secret, that its value stands in the commit:
// whoever can read the repository knows it.
func (w *world) warnOfPublished(name string, value secret.Value) {
	w.mu.Lock()
	seen := w.revealed[name]
	w.revealed[name] = true
	w.mu.Unlock()
	if seen {
		return
	}
	only := secret.NewRedactor()
	only.Add(name, value.Reveal())
	for _, declared := range w.names {
		if shown := only.Mask(declared); shown.String() != declared {
			w.journal.say(w.journal.report.Warning(masked.Format(
				"secret %s is no secret: the commit has its value in the name '%s'; change the value", w.journal.mask(name), shown)))
			return
		}
	}
}

// holdsNoSecret refuses a secret where it would be written down as it is: in the
// name of a file or in a row that is found by it.
func (w *world) holdsNoSecret(what, text string) error {
	if w.journal.mask(text).String() != text {
		return fmt.Errorf("%s holds a secret, and would be written down as it is; call it otherwise", what)
	}
	return nil
}
