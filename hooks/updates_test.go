package hooks

import (
	"bytes"
	"strings"
	"testing"

	"quire/internal/event"
)

const (
	zero = "0000000000000000000000000000000000000000"
	oidA = "1111111111111111111111111111111111111111"
	oidB = "22222222222222222222222222222222222222ab"
)

func TestParseUpdates(t *testing.T) {
	z64, a64 := strings.Repeat("0", 64), strings.Repeat("a", 64)
	tests := []struct {
		name  string
		in    string
		want  []event.Update
		fault string // part of the error; "" for none
	}{
		{"nothing", "", nil, ""},
		{"one", oidA + " " + oidB + " refs/heads/main\n", []event.Update{{Old: oidA, New: oidB, Ref: "refs/heads/main"}}, ""},
		{"no newline at the end", zero + " " + oidB + " refs/tags/v1", []event.Update{{Old: zero, New: oidB, Ref: "refs/tags/v1"}}, ""},
		{"sha-256", z64 + " " + a64 + " refs/heads/main\n", []event.Update{{Old: z64, New: a64, Ref: "refs/heads/main"}}, ""},
		{"quotes, per cent, dash, unicode", zero + " " + oidA + " refs/heads/it's-\"100%\"\n" + zero + " " + oidA + " refs/heads/-rf\n" + zero + " " + oidA + " refs/heads/größe/日本\n",
			[]event.Update{{Old: zero, New: oidA, Ref: `refs/heads/it's-"100%"`}, {Old: zero, New: oidA, Ref: "refs/heads/-rf"}, {Old: zero, New: oidA, Ref: "refs/heads/größe/日本"}}, ""},
		{"deletion", oidA + " " + zero + " refs/heads/gone\n", []event.Update{{Old: oidA, New: zero, Ref: "refs/heads/gone"}}, ""},
		{"a bad line costs only itself", "what?\n" + oidA + " " + oidB + " refs/heads/main\n", []event.Update{{Old: oidA, New: oidB, Ref: "refs/heads/main"}}, `line 1 of the pushed refs, "what?": want OLD NEW REF`},
		{"empty line", "\n" + oidA + " " + oidB + " refs/heads/main\n", []event.Update{{Old: oidA, New: oidB, Ref: "refs/heads/main"}}, "line 1"},
		{"short id", "1111 " + oidB + " refs/heads/main\n", nil, "40 or 64 hex digits"},
		{"mixed formats", oidA + " " + a64 + " refs/heads/main\n", nil, "40 or 64 hex digits"},
		{"upper case", strings.ToUpper(oidB) + " " + oidB + " refs/heads/main\n", nil, "40 or 64 hex digits"},
		{"option for git in an id's place", "--upload-pack=x " + oidB + " refs/heads/main\n", nil, "40 or 64 hex digits"},
		{"both zero", zero + " " + zero + " refs/heads/main\n", nil, "both object ids are zero"},
		{"not below refs/", oidA + " " + oidB + " HEAD\n", nil, "begins with refs/"},
		{"refs/ alone", oidA + " " + oidB + " refs/\n", nil, "begins with refs/"},
		{"no ref", oidA + " " + oidB + "\n", nil, "want OLD NEW REF"},
		{"control character", oidA + " " + oidB + " refs/heads/a\x1b[2J\n", nil, "control character"},
		{"carriage return", oidA + " " + oidB + " refs/heads/a\r\n", nil, "control character"},
		{"not UTF-8", oidA + " " + oidB + " refs/heads/gr\xf6\xdfe\n", []event.Update{{Old: oidA, New: oidB, Ref: "refs/heads/gr\xf6\xdfe"}}, ""},
		{"backslash", oidA + " " + oidB + " refs/heads/gr\\xf6\n", nil, "backslash"},
		{"long rubbish is cut", strings.Repeat("x", 1<<20) + "\n", nil, "xx\"…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseUpdates([]byte(tt.in))
			if len(got) != len(tt.want) {
				t.Fatalf("got %d updates %v, want %v", len(got), got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("update %d: got %+v, want %+v", i, got[i], tt.want[i])
				}
			}
			switch {
			case tt.fault == "" && err != nil:
				t.Errorf("error: %v", err)
			case tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)):
				t.Errorf("error %v, want one with %q", err, tt.fault)
			case err != nil && len(err.Error()) > 1000:
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

// What is taken must be safe to hand on: whatever the bytes, an update that
// passes is built of two object ids and a name that survives JSON.
func FuzzParseUpdates(f *testing.F) {
	f.Add([]byte(zero + " " + oidB + " refs/heads/main\n"))
	f.Add([]byte("a b c\n\n\x00 refs/"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		updates, err := parseUpdates(raw)
		lines := bytes.Count(raw, []byte("\n"))
		if len(raw) > 0 && raw[len(raw)-1] != '\n' {
			lines++
		}
		if len(updates) > lines || len(updates) < lines && err == nil {
			t.Fatalf("%d updates of %d lines, error %v", len(updates), lines, err)
		}
		for _, u := range updates {
			if !isOID(u.Old) || !isOID(u.New) || !strings.HasPrefix(u.Ref, "refs/") || strings.ContainsAny(u.Ref, "\n\x00") {
				t.Fatalf("took %+v", u)
			}
			if !bytes.Contains(raw, []byte(u.Old+" "+u.New+" "+u.Ref)) {
				t.Fatalf("made up %+v", u)
			}
		}
	})
}
