package docker

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// FuzzDockerfile: of a Dockerfile that is accepted the engine fetches nothing by itself,
// and builds on no image but those that are pulled by their names before. It is read
// once more here, in another way: all that could be an ADD or name an image is looked
// for, whatever stands around it.
func FuzzDockerfile(f *testing.F) {
	for _, seed := range []string{
		"FROM debian\nRUN true\n",
		"FROM a AS b\nFROM b\nCOPY --from=b / /\nCOPY --from=c:1 / /\nCOPY --from=0 / /\n",
		"ARG V=1.2\nFROM golang:${V:-3}\nARG V=3\nFROM golang:$V\n",
		"FROM a\nADD x.tar /y\nADD [\"a b\", \"/c\"]\n",
		"FROM a\nA\\\nD\\\n# c\nD h\\\nttps:/\\\n/x /z",
		"FROM a\nRUN true \\\\\nADD https://x/y /z",
		"FROM a\nADD [\"h\\u0074tp:\\/\\/x\", \"/z\"]",
		"FROM a\nADD ht\"tp:/\"/x /z\nADD --chown=1 http://x /z\nadd -- http://x /\n",
		"FROM a\nONBUILD ADD http://x /z\nONBUILD ONBUILD ADD http://x /\n",
		"FROM a\nCOPY --fr\\om=b / /\nCOPY --from=$B / /\nCOPY --FROM=b / /\n",
		"FROM a\nRUN cat <<E\nADD http://x /\nE\n",
		"# escape=`\nFROM a`\nADD http://x /\n",
		"\uFEFF# syntax=x\r\nFROM a\r\nADD\thttp://x\t/\r\n",
		"FROM 0\nCOPY --from=",
		"COPY --from=  --from=A",
		"FROM a\nRUN true \\\f\nADD http://x /",
		"FROM --platform=$P a\nFROM scratch\nFROM 0123456789ab\nHEALTHCHECK CMD ADD http://x /\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		names, err := bases(text)
		if err != nil {
			return
		}
		for _, n := range names {
			if !regexp.MustCompile(`^[A-Za-z0-9._/:@+-]+$`).MatchString(n) {
				t.Errorf("%q: builds on %q", text, n)
			}
		}
		for _, joined := range everyJoin(text) {
			for line := range strings.SplitSeq(joined, "\n") {
				fetchesNothing(t, text, line)
				namesImages(t, text, line, names)
			}
		}
	})
}

// everyJoin are the readings of a text's lines: a backslash before the end of a line,
// or two, go on or do not, with or without the comments in between.
func everyJoin(text string) []string {
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\uFEFF"), "\r\n", "\n")
	var kept []string
	for line := range strings.SplitSeq(text, "\n") {
		if s := strings.TrimSpace(line); s != "" && !strings.HasPrefix(s, "#") {
			kept = append(kept, line)
		}
	}
	var all []string
	for _, ends := range []func(string) bool{
		func(s string) bool { return !strings.HasSuffix(s, `\`) },
		func(s string) bool { return !strings.HasSuffix(s, `\`) || strings.HasSuffix(s, `\\`) },
	} {
		joined := ""
		for _, line := range kept {
			if s := strings.TrimRight(line, " \t"); ends(s) {
				joined += line + "\n"
			} else {
				joined += strings.TrimSuffix(s, `\`)
			}
		}
		all = append(all, joined)
	}
	return all
}

var (
	adds   = regexp.MustCompile(`(?i)^[\s\v]*(?:onbuild[\s\v]+)*add[\s\v](.*)$`)
	copies = regexp.MustCompile(`(?i)^[\s\v]*(?:onbuild[\s\v]+)*copy[\s\v](.*)$`)
	froms  = regexp.MustCompile(`(?i)^[\s\v]*from[\s\v](.*)$`)
	fetch  = regexp.MustCompile(`(?i)^(https?|ftp|git|ssh)://|^git@`)
)

// fetchesNothing looks at what is added, as it stands and without quotes, backslashes
// and what JSON escapes.
func fetchesNothing(t *testing.T, text, line string) {
	m := adds.FindStringSubmatch(line)
	if m == nil {
		return
	}
	words := strings.Fields(m[1])
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		words = words[1:]
	}
	var list []string
	if i := strings.Index(m[1], "["); i >= 0 && json.Unmarshal([]byte(strings.TrimSpace(m[1][i:])), &list) == nil {
		words = list
	}
	for i, w := range words {
		plain := strings.NewReplacer(`"`, "", `'`, "", `\`, "").Replace(w)
		if i < len(words)-1 && (fetch.MatchString(w) || fetch.MatchString(plain) && !strings.HasPrefix(w, "[")) {
			t.Errorf("%q: the engine fetches %q", text, w)
		}
	}
}

// namesImages looks at what is copied from and built on.
func namesImages(t *testing.T, text, line string, names []string) {
	if m := copies.FindStringSubmatch(line); m != nil {
		for _, w := range strings.Fields(m[1]) {
			if !strings.HasPrefix(w, "--") {
				break
			}
			from, found := strings.CutPrefix(strings.ToLower(w), "--from=")
			if found && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, from) }) && !isStage(text, from) {
				t.Errorf("%q: copies from %q, which is not looked at", text, w)
			}
		}
	}
	if m := froms.FindStringSubmatch(line); m != nil {
		words := strings.Fields(m[1])
		for len(words) > 0 && strings.HasPrefix(words[0], "--") {
			words = words[1:]
		}
		if len(words) > 0 && !strings.Contains(words[0], "$") && words[0] != "scratch" &&
			!slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, words[0]) }) && !isStage(text, words[0]) {
			t.Errorf("%q: builds on %q, which is not looked at", text, words[0])
		}
	}
}

// isStage says whether something may name a stage: a number, or what stands after AS.
func isStage(text, name string) bool {
	if regexp.MustCompile(`^[+-]?[0-9]+$`).MatchString(name) {
		return true
	}
	for _, joined := range everyJoin(text) {
		if regexp.MustCompile(`(?i)[\s\v]as[\s\v]+` + regexp.QuoteMeta(name) + `([\s\v]|$)`).MatchString(joined) {
			return true
		}
	}
	return false
}
