package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a Value is, to everything that prints or encodes it.
const Redacted = "«redacted»"

// Value is the value of a secret. Reveal is the only way to it: fmt with any
// verb, slog, and every encoder that asks a type how it wants to be written
// (encoding/json, xml, gob, the TOML and YAML libraries) get Redacted.
//
// The bytes are held by a function and not by a field, because fmt and the
// pretty-printers of test libraries do not ask the unexported fields of a
// foreign struct for their methods: they walk them, and a function is where
// they stop.
type Value struct {
	reveal func() string
}

// NewValue wraps s.
func NewValue(s string) Value { return Value{func() string { return s }} }

// Reveal is the value itself. What receives it must not put it into argv, a
// file that others can read, or the environment of a command that was not
// given it.
func (v Value) Reveal() string {
	if v.reveal == nil {
		return ""
	}
	return v.reveal()
}

// Format is for fmt: every verb and flag.
func (Value) Format(w fmt.State, _ rune) { io.WriteString(w, Redacted) }

func (Value) String() string   { return Redacted }
func (Value) GoString() string { return Redacted }

// LogValue is for log/slog.
func (Value) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalJSON is for encoding/json.
func (Value) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalText is for what has no interface of its own: TOML, XML, map keys.
func (Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalYAML is for the YAML libraries.
func (Value) MarshalYAML() (any, error) { return Redacted, nil }

// MarshalBinary is for what prefers bytes.
func (Value) MarshalBinary() ([]byte, error) { return []byte(Redacted), nil }

// GobEncode is for encoding/gob.
func (Value) GobEncode() ([]byte, error) { return []byte(Redacted), nil }
