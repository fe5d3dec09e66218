package spool

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"quire/internal/event"
)

// What encode writes reads as what encoding/json writes.
func FuzzEncode(f *testing.F) {
	f.Add("0123", "/srv/git/a.git", "alice", "ci.skip", "refs/heads/main", int64(1), 1, false)
	f.Add("\x00\x1f\"\\\u2028<&>", "é\xff\xc3", "\t\n\r", "", "refs/heads/日本\xf6", int64(-1), 3, true)
	f.Fuzz(func(t *testing.T, id, dir, pusher, option, ref string, at int64, n int, recovered bool) {
		p := event.Push{ID: id, GitDir: dir, Pusher: pusher, At: time.Unix(at%(1<<33), at&0xfffffff).UTC(), Unwatched: n%2 == 1, Recovered: recovered, Updates: []event.Update{}}
		if p.At.Year() < 0 || p.At.Year() > 9999 {
			return // encoding/json refuses them
		}
		for i := range min(max(n, 0), 5) {
			p.Options = append(p.Options, option)
			p.Updates = append(p.Updates, event.Update{Old: id, New: option, Ref: ref[:min(i, len(ref))]})
		}
		ours := Encode(p)
		theirs, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var got, want event.Push
		if err := json.Unmarshal(ours, &got); err != nil {
			t.Fatalf("%v: %s", err, ours)
		}
		if err := json.Unmarshal(theirs, &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("wrote %s\n which reads %+v, want %+v", ours, got, want)
		}
	})
}

// A field that is added to the events must be written too.
func TestEncodeWritesEveryField(t *testing.T) {
	p := event.Push{ID: "i", At: time.Unix(1, 0).UTC(), GitDir: "/d", Pusher: "p", Options: []string{"o"}, Unwatched: true, Recovered: true, MadeBy: "m", Dropped: true, Updates: []event.Update{{Old: "o", New: "n", Ref: "r"}}}
	v := reflect.ValueOf(p)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("the test does not set %s", v.Type().Field(i).Name)
		}
	}
	u := reflect.ValueOf(p.Updates[0])
	for i := range u.NumField() {
		if u.Field(i).IsZero() {
			t.Errorf("the test does not set Update.%s", u.Type().Field(i).Name)
		}
	}
	var got event.Push
	if err := json.Unmarshal(Encode(p), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, p) {
		t.Errorf("got %+v, want %+v", got, p)
	}
}
