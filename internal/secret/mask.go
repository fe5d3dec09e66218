package secret

import (
	"bytes"

	"quire/internal/checked"
	"quire/internal/secret/internal/right"
	"quire/internal/secret/masked"
)

// Masked is text that has passed a Redactor. What records a run takes no other.
type Masked = masked.Text

// MaxText is how many bytes of a text Mask looks at; the rest is left out. Who
// makes a text and must bound it keeps more than that, so that it is here that
// the text is seen to be cut.
const MaxText = 64 << 10

// Mask redacts a text that is complete. Of a longer one than MaxText it gives
// the beginning up to where the rest could have made something of it a secret.
//
// A text that is shown without its colours and line ends (Masked.Plain) may
// hold a secret that it does not hold with them; such a text is returned without
// them.
func (r *Redactor) Mask(text string) Masked {
	if r.matcher() == nil {
		if len(text) > MaxText {
			return masked.By(right.Masking{}, text[:MaxText+1]).Cut(MaxText)
		}
		return masked.By(right.Masking{}, text)
	}
	if len(text) > MaxText {
		text = r.beginning(text[:MaxText]) + "…"
	} else {
		text = r.String(text)
	}
	if flat := checked.OneLine(text); flat != text {
		if again := r.String(flat); again != flat {
			text = again
		}
	}
	return masked.By(right.Masking{}, text)
}

// Again masks what was masked before some secrets were known, or what was put
// together of several texts.
func (r *Redactor) Again(text Masked) Masked { return r.Mask(text.String()) }

// beginning redacts a text that was cut off: what may have gone on as a secret
// is left out.
func (r *Redactor) beginning(text string) string {
	var out bytes.Buffer
	r.Writer(&out).Write([]byte(text)) // never flushed
	return out.String()
}
