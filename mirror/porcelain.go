package mirror

import "strings"

// verdict is a line of `git push --porcelain`: what the remote says of one ref.
type verdict struct {
	ref    string // at the remote
	flag   byte   // ' ' moved forward, '+' forced, '-' deleted, '*' created, '=' up to date, '!' refused
	reason string // of a refusal: "stale info", "pre-receive hook declined", …
	remote bool   // the remote refused, and not git here
}

func (v verdict) ok() bool { return v.flag != '!' }

// parsePorcelain reads "FLAG\tFROM:TO\tSUMMARY (REASON)" lines (git-push(1),
// OUTPUT). Lines of any other shape (To, Done, a hook's noise) are no verdicts.
// That Done stands at the end says that no ref was refused; a ref without a
// verdict has none, whatever else was said.
func parsePorcelain(stdout string) map[string]verdict {
	out := map[string]verdict{}
	for line := range strings.Lines(stdout) {
		line = strings.TrimRight(line, "\r\n")
		if len(line) < 2 || line[1] != '\t' || strings.IndexByte(" +-*!=", line[0]) < 0 {
			continue
		}
		spec, summary, ok := strings.Cut(line[2:], "\t")
		colon := strings.LastIndexByte(spec, ':') // no ref name holds one
		if !ok || colon < 0 {
			continue
		}
		v := verdict{ref: spec[colon+1:], flag: line[0]}
		if v.flag == '!' {
			v.remote = strings.HasPrefix(summary, "[remote")
			v.reason = summary
			if open := strings.IndexByte(summary, '('); open >= 0 {
				v.reason = strings.TrimSuffix(summary[open+1:], ")")
			}
		}
		if strings.HasPrefix(v.ref, "refs/") {
			out[v.ref] = v
		}
	}
	return out
}

// conflict reports a refusal that says: the remote has something else than was
// expected. Git here says it before anything is sent, except for the last,
// where somebody was quicker.
func (v verdict) conflict() bool {
	switch v.reason {
	case "stale info", "fetch first", "non-fast-forward", "already exists", "needs force", "remote ref updated since checkout":
		return !v.remote
	}
	return v.remote && (strings.HasPrefix(v.reason, "incorrect old value") || strings.Contains(v.reason, "but expected") ||
		strings.Contains(v.reason, "fetch first") || v.reason == "failed to update ref" || v.reason == "reference already exists" ||
		v.reason == "non-fast-forward" || strings.Contains(v.reason, "cannot lock ref"))
}

// unclear reports a ref whose fate the line does not tell.
func (v verdict) unclear() bool {
	return v.flag == '!' && (v.reason == "remote failed to report status" || v.reason == "[remote failure]" || v.reason == "expecting report")
}
