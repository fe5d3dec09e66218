package worker

import (
	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/secret"
	"quire/internal/secret/masked"
)

// outside makes text of what the worker says by itself. It is given no secret of
// a run: what it knows of one is what the push brought, what the configuration
// says, and what the run's supervisor has masked.
var outside = secret.NewRedactor()

// report renders lines of a run's report.
func report(r event.Run) runlog.Report {
	return runlog.Report{Number: r.Number, Ref: refName(r.Ref), OID: outside.Mask(event.ShortOID(r.New))}
}

// refName is a ref as a person writes it.
func refName(ref string) masked.Text { return outside.Mask(event.ShortRef(ref)) }
