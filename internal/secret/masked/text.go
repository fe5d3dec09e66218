// Package masked is text in which the values of a run's secrets have been
// replaced, as a type of its own. Everything that records what a run says takes
// this type and no string, so the order cannot be got wrong: mask, then cut, then
// store. A text that was cut first may end in half a token, which no redactor
// knows.
//
// A Text is made by a secret.Redactor, of constants of the program, of numbers,
// and of other Texts; besides, it is read back from where it was stored. It is
// part of the hook binary, so it links the standard library alone.
package masked

import (
	"fmt"

	"quire/internal/secret/internal/right"
)

// Text is masked text. The zero value is the empty one.
type Text struct{ s string }

// By is for package secret, which has the right to it: s has been masked.
func By(_ right.Masking, s string) Text { return Text{s} }

// constant is a type that only constants of other packages are converted to.
type constant string

// Const is the program's own words. A string that is no constant does not
// compile.
func Const(s constant) Text { return Text{string(s)} }

// String is the text as it is shown.
func (t Text) String() string { return t.s }

// IsZero reports whether the text is empty; encoding/json asks it for omitzero.
func (t Text) IsZero() bool { return t.s == "" }

// MarshalText is for encoding/json.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.s), nil }

// UnmarshalText reads back what was stored.
func (t *Text) UnmarshalText(b []byte) error {
	t.s = string(b)
	return nil
}

// Scan reads back what was stored, for database/sql.
func (t *Text) Scan(stored any) error {
	switch v := stored.(type) {
	case string:
		t.s = v
	case []byte:
		t.s = string(v)
	case nil:
		t.s = ""
	default:
		return fmt.Errorf("masked text is stored as %T", stored)
	}
	return nil
}

// Arg is what Format takes: a Text or a number.
type Arg interface{ arg() any }

// Int is a whole number among the arguments of Format.
type Int int64

// Float is a number among the arguments of Format.
type Float float64

func (t Text) arg() any  { return t.s }
func (n Int) arg() any   { return int64(n) }
func (n Float) arg() any { return float64(n) }

// Format is fmt.Sprintf of what may stand in masked text.
func Format(format constant, args ...Arg) Text {
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a.arg()
	}
	return Text{fmt.Sprintf(string(format), values...)}
}
