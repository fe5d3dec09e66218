package masked

import "quire/internal/checked"

// Plain is the text as one line that is fit for a terminal (checked.OneLine).
// What was masked stays masked: secret.Redactor.Mask sees to it that taking
// colours and line ends out of its results reveals nothing.
func (t Text) Plain() Text { return Text{checked.OneLine(t.s)} }
