package docker

import (
	"slices"
	"strings"
	"testing"
)

func TestBases(t *testing.T) {
	for text, want := range map[string][]string{
		"FROM debian\nRUN true\n": {"debian"},
		"# a comment\n\n  from debian:12 as build\nFROM build\nCOPY --from=build /a /b\n": {"debian:12"},
		"FROM a AS b\nFROM scratch\nCOPY --from=B / /\nCOPY --from=0 / /\n":               {"a"},
		"FROM a\nCOPY --chown=1:2 --from=other:1 /x /y\n":                                 {"a", "other:1"},
		"ARG V=1.2\nFROM golang:${V}\nARG V=3\nFROM golang:$V-alpine\n":                   {"golang:1.2", "golang:1.2-alpine"},
		"ARG V\nFROM golang:${V:-1.26}\n":                                                 {"golang:1.26"},
		"FROM \\\n  # between\n  deb\\\nian\n":                                            {"debian"},
		"\uFEFFFROM a@sha256:0123\n":                                                      {"a@sha256:0123"},
		"FROM --platform=linux/amd64 a\nADD x.tar.gz $HOME/\nADD [\"a b\", \"/c\"]\n":     {"a"},
		"FROM a\nRUN echo http://x; cat <<<y; echo $((1<<2)) # ADD http://x /\n":          {"a"},
		"FROM a\nENV U=http://x\nRUN git remote \\\n add origin https://x/y\n":            {"a"},
		"FROM a\nONBUILD RUN true\n":                                                      {"a"},
	} {
		if got, err := bases(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	for text, says := range map[string]string{
		"FROM a\nADD https://x/y /z":                    "line 2: ADD of a URL",
		"FROM a\n\tadd\t--chown=1 https://x/y /z":       "line 2: ADD of a URL",
		"FROM a\nA\\\nD\\\n# c\nD h\\\nttps:/\\\n/x /z": "line 2: ADD of a URL",
		"FROM a\nRUN true \\\\\nADD https://x/y /z":     "ADD of a URL",
		"FROM a\nRUN true \\\f\nADD https://x/y /z":     "line 3: ADD of a URL",
		"FROM a\nRUN true \\\u00a0\nADD https://x/y /z": "line 3: ADD of a URL",
		"FROM a\nRUN true \\\r \nADD https://x/y /z":    "line 3: ADD of a URL",
		"FROM a\nADD $X /z":                             "variables",
		"FROM a\nADD [\"h\\u0074tp:\\/\\/x\", \"/z\"]":  "ADD of a URL",
		"FROM a\nADD [\"http:\\\\/\\\\/x\", \"/z\"]":    "backslashes",
		"FROM a\nADD [\"http:\\u002f/x\", \"/z\"] more": "ADD",
		"FROM a\nADD ht\"tp:/\"/x /z":                   "quotes",
		"FROM a\nONBUILD ADD http://x /z":               "ADD of a URL",
		"FROM a\nONBUILD COPY --from=b / /":             "another image",
		"FROM a\nCOPY --fr\\om=b / /":                   "the flag",
		"FROM a\nCOPY --chown=\"a b\" --from=c / /":     "the flag",
		"FROM a\nCOPY --from=$B / /":                    "the flag",
		"FROM a\nCOPY --from= / /":                      "write its name",
		"FROM a\nCOPY --from=b!c --from=d / /":          "write its name",
		"FROM a\nRUN cat <<'E\\'\nE\\\nADD http://x /z": "here-documents",
		"FROM a\nRUN cat 3<<-EOF":                       "here-documents",
		"# Escape = `\nFROM a":                          "escape",
		"# syntax=x\n#escape=`\nFROM a":                 "escape",
		"ARG A=$B\nFROM $A":                             "ARG before FROM",
		"ARG A=1\nARG A=2\nFROM $A":                     "ARG before FROM",
		"FROM ${A:+b}":                                  "write its name",
		"FROM $(a)":                                     "write its name",
		"FROM \"a\"":                                    "write its name",
		"FROM a b":                                      "FROM wants",
		"FROM":                                          "FROM wants",
	} {
		if got, err := bases(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %q, %v, want an error with %q", text, got, err, says)
		}
	}
	for _, trigger := range []string{"ADD http://x /y", "add $X /y", "COPY --from=a / /", "ADD ht\\\ntp://x /y"} {
		if triggers([]string{"RUN true", trigger}) == nil {
			t.Errorf("a base's trigger %q is carried out", trigger)
		}
	}
	if err := triggers([]string{"RUN true", "COPY . /src", "ADD . /src"}); err != nil {
		t.Error(err)
	}
}
