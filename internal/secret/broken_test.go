package secret

import (
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

// Whatever breaks a form into lines, and however these are indented: nothing of
// it is left.
func TestBrokenLinesAreFound(t *testing.T) {
	rnd := rand.New(rand.NewPCG(31, 32))
	for range 3000 {
		value := random(rnd, minJoined+rnd.IntN(60), alnum+"+/=!%_-")
		r := redactorOf([]pattern{{value, "s"}})
		form, base64Form := value, false
		switch rnd.IntN(4) {
		case 0:
			form, base64Form = base64.StdEncoding.EncodeToString([]byte(value)), true
		case 1:
			form, base64Form = base64.URLEncoding.EncodeToString([]byte(value)), true
		case 2:
			form = hex.EncodeToString([]byte(value))
		}
		prefix := random(rnd, rnd.IntN(8), "kv: ->")
		indent := strings.Repeat([]string{" ", "\t"}[rnd.IntN(2)], rnd.IntN(41))
		end := []string{"\n", "\r\n"}[rnd.IntN(2)]
		text := wrap(prefix+form, 1+rnd.IntN(100), end+indent)
		if form == value && strings.Contains(text, "=\r") || strings.Contains(text, "=\n") {
			continue // read as a soft line break
		}
		got := strings.TrimRight(strings.Join(strings.Fields(r.String(text)), ""), "=")
		want := strings.Join(strings.Fields(prefix), "") + "{{s}}"
		if base64Form && len(got) == len(want)+1 { // its last character has other bits too
			got = got[:len(want)]
		}
		if got != want {
			t.Fatalf("%q\nbecame %q", text, r.String(text))
		}
		// A piece that ends elsewhere than behind a line break changes nothing.
		cut := 1 + rnd.IntN(len(text)-1)
		if !cutAtBreak(text, cut) {
			if in := pieces(r, text, cut); in != r.String(text) {
				t.Fatalf("%q cut at %d became %q", text, cut, in)
			}
		}
	}
}
