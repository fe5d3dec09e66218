package mirror

import (
	"encoding/json"

	"quire/internal/event"
)

// In JSON a ref's name is text; see event.EscapeRef. The types without methods keep
// these from calling themselves.

type (
	plainResult    Result
	plainRefStatus RefStatus
	plainDrift     Drift
)

func (r Result) MarshalJSON() ([]byte, error) {
	r.Ref = event.EscapeRef(r.Ref)
	return json.Marshal(plainResult(r))
}

func (r RefStatus) MarshalJSON() ([]byte, error) {
	r.Ref = event.EscapeRef(r.Ref)
	return json.Marshal(plainRefStatus(r))
}

func (d Drift) MarshalJSON() ([]byte, error) {
	d.Ref = event.EscapeRef(d.Ref)
	return json.Marshal(plainDrift(d))
}
