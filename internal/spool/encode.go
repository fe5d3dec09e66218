package spool

import (
	"strconv"
	"time"
	"unicode/utf8"

	"quire/internal/event"
)

// Encode is json.Marshal for a push. It is written out because the hook calls it
// once in its life, and the first use of encoding/json costs 0.13 ms of looking
// at types; a test holds it to what encoding/json reads. The names of refs are
// written as event.EscapeRef has them: they are bytes, and JSON is text.
func Encode(p event.Push) []byte {
	b := make([]byte, 0, 512+len(p.Updates)*160)
	b = append(b, `{"id":`...)
	b = appendString(b, p.ID)
	b = append(b, `,"at":"`...)
	b = p.At.AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","git_dir":`...)
	b = appendString(b, p.GitDir)
	b = append(b, `,"pusher":`...)
	b = appendString(b, p.Pusher)
	if len(p.Options) > 0 {
		b = append(b, `,"options":[`...)
		for i, o := range p.Options {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, o)
		}
		b = append(b, ']')
	}
	b = append(b, `,"updates":[`...)
	for i, u := range p.Updates {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"old":`...)
		b = appendString(b, u.Old)
		b = append(b, `,"new":`...)
		b = appendString(b, u.New)
		b = append(b, `,"ref":`...)
		b = appendString(b, event.EscapeRef(u.Ref))
		b = append(b, '}')
	}
	b = append(b, ']')
	if p.Unwatched {
		b = append(b, `,"unwatched":true`...)
	}
	if p.Recovered {
		b = append(b, `,"recovered":true`...)
	}
	if p.MadeBy != "" {
		b = append(b, `,"made_by":`...)
		b = appendString(b, p.MadeBy)
	}
	if p.Dropped {
		b = append(b, `,"dropped":true`...)
	}
	return append(b, '}')
}

// appendString quotes s as JSON (RFC 8259, 7). Bytes that are no UTF-8 become
// U+FFFD, as encoding/json has it.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, `\u00`...)
			if c < 0x10 {
				b = append(b, '0')
			}
			b = strconv.AppendUint(b, uint64(c), 16)
		default:
			b = append(b, c)
		}
		i++
	}
	return append(b, '"')
}
