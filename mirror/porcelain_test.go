package mirror

import (
	"reflect"
	"testing"
)

func TestParsePorcelain(t *testing.T) {
	out := "To http://h/r.git\n" +
		" \t1111111111111111111111111111111111111111:refs/heads/ff\t1111111..2222222\n" +
		"+\t1:refs/heads/forced\t1...2 (forced update)\n" +
		"*\t1:refs/heads/new\t[new reference]\n" +
		"-\t:refs/heads/gone\t[deleted]\n" +
		"=\t1:refs/heads/same\t[up to date]\n" +
		"!\t1:refs/heads/stale\t[rejected] (stale info)\n" +
		"!\t1:refs/heads/hook\t[remote rejected] (pre-receive hook declined)\r\n" +
		"!\t1:refs/heads/odd\"name%\t[remote rejected] (a (nested) reason)\n" +
		"!\t1:refs/heads/lost\t[remote failure] (remote failed to report status)\n" +
		"?\tnonsense\n! no tab\n\n!\trefs/heads/no-colon\tx\nDone\n"
	want := map[string]verdict{
		"refs/heads/ff":         {ref: "refs/heads/ff", flag: ' '},
		"refs/heads/forced":     {ref: "refs/heads/forced", flag: '+'},
		"refs/heads/new":        {ref: "refs/heads/new", flag: '*'},
		"refs/heads/gone":       {ref: "refs/heads/gone", flag: '-'},
		"refs/heads/same":       {ref: "refs/heads/same", flag: '='},
		"refs/heads/stale":      {ref: "refs/heads/stale", flag: '!', reason: "stale info"},
		"refs/heads/hook":       {ref: "refs/heads/hook", flag: '!', reason: "pre-receive hook declined", remote: true},
		"refs/heads/odd\"name%": {ref: "refs/heads/odd\"name%", flag: '!', reason: "a (nested) reason", remote: true},
		"refs/heads/lost":       {ref: "refs/heads/lost", flag: '!', reason: "remote failed to report status", remote: true},
	}
	got := parsePorcelain(out)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !got["refs/heads/stale"].conflict() || got["refs/heads/hook"].conflict() || !got["refs/heads/lost"].unclear() {
		t.Error("misjudged")
	}
}

func FuzzParsePorcelain(f *testing.F) {
	f.Add("*\ta:refs/heads/b\t[new branch]\nDone\n")
	f.Add("!\t:refs/x\t[rejected] (stale info)")
	f.Fuzz(func(t *testing.T, s string) {
		for ref, v := range parsePorcelain(s) {
			if ref != v.ref || len(ref) < 5 || ref[:5] != "refs/" {
				t.Errorf("%q: %+v", ref, v)
			}
			if v.ok() && (v.conflict() || v.unclear()) {
				t.Errorf("%+v is well and not", v)
			}
		}
	})
}
