package secret

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCommandsDoNotTell has real commands print a secret, each in its own
// manner, twice: once each for two secrets that differ in all letters and
// digits and in nothing else. What is left after redaction must not say which
// of the two it was. That needs no list of what a leak looks like.
func TestCommandsDoNotTell(t *testing.T) {
	secrets := []pattern{
		{"ghp_16C7e42F292c6912E7710c838347Ae178B4a", "token"},
		{`pass word's "p@ss"\w0rd$HOME&<b>!%/+=?;|` + "`x`", "password"},
		{pem(rand.New(rand.NewPCG(21, 22)), 1670), "key"},
		{"{\n  \"type\": \"service_account\",\n  \"id\": \"4242424242\",\n  \"private\": \"abcdefabcdef\"\n}\n", "json"},
		{"11aa\n22bb\n33cc\n44dd", "codes"},
		{"tab\tand\x01it's\t\vbell\a4711", "tabs"},
		{"пароль-geheim-秘密-1234", "unicode"},
	}
	for _, command := range []struct {
		script string
		tool   string // that Debian's base system does not promise
		// slack is how many bytes may differ: a base64 character at each end
		// holds bits of the secret and of its neighbour, and each line that is
		// encoded by itself has two such ends.
		slack int
	}{
		{`env`, "env", 0},
		{`printf '%s\n' "$S"`, "", 0},
		{`printf '%s.\n' "$(printf %s "$S")"`, "", 0},
		{`set -x; : "$S" x; export T="$S"`, "", 0},
		{`export -p`, "", 0},
		{`set`, "", 0},
		{`exec 2>&1; bash -xc ': "$S" x; T=$S; [ "$T" = y ]; echo "a $T"'`, "bash", 0},
		{`bash -c 'printf "%q\n" "$S"; declare -p S; echo "${S@Q}"; export -p'`, "bash", 0},
		{`LC_ALL=C bash -c 'printf "%q\n" "$S"; declare -p S'`, "bash", 0},
		{`bash -c '"$(type -P printf)" "%q\n" "$S"'`, "printf", 0},
		{`LC_ALL=C bash -c '"$(type -P printf)" "%q\n" "$S"'`, "printf", 0},
		{`zsh -c 'printf "%q\n" "$S"; print -r -- ${(q)S} ${(qq)S} ${(qqqq)S}'`, "zsh", 0},
		{`printf %s "$S" | base64`, "base64", 2},
		{`printf %s "$S" | base64 -w0`, "base64", 2},
		{`printf %s "x$S" | base64 -w 64`, "base64", 4},
		{`printf %s "xy$S" | base64 -w 19`, "base64", 4},
		{`printf %s "user:$S" | base64 | tr '+/' '-_'`, "base64", 4},
		{`printenv | base64`, "base64", 8},
		{`printenv S | base64 | sed 's/^/        /'`, "base64", 4},
		{`printf %s "$S" | xxd -p`, "xxd", 0},
		{`printf %s "$S" | xxd -p -u`, "xxd", 0},
		{`printf %s "abc$S" | xxd -p -c 20`, "xxd", 0},
		{`printf %s "$S" | od -An -v -tx1 | tr -d ' \n'`, "od", 0},
		{`printenv S | tr '\n' ' '`, "tr", 0},
		{`printenv S | tr -d '\n'`, "tr", 0},
		{`printenv S | sed 's/$/\r/'`, "sed", 0},
		{`printenv S | sed 's/^/    /'`, "sed", 0},
		{`printenv S | sed 's/^/> /'`, "sed", 0},
		{`printenv S | sed 's/^/\t/; s/$/\r/'`, "sed", 0},
		{`printenv S > f; diff -u /dev/null f | sed 1,2d`, "diff", 0},
		{`git init -q .; git update-index --add --cacheinfo 100644,$(git hash-object -w /dev/null),"$S" 2>/dev/null; git ls-files`, "git", 0},
		{`ln -s -- "$S" link; LC_ALL=C QUOTING_STYLE=c stat -c %N link`, "stat", 0},
		{`ln -s -- "$S" link; LC_ALL=C QUOTING_STYLE=escape stat -c %N link`, "stat", 0},
		{`printf %s "$S" | cat -v`, "cat", 0},
		{`printf %s "$S" | cat -vt`, "cat", 0},
		{`printf %s "$S" | LC_ALL=C sed -n 'l 0' | sed 's/[$]$//'`, "sed", 0}, // else lines of four characters with a $ each,
		{`git init -q .; git config x.y "$S"; git config --list`, "git", 0},
		{`python3 -c 'import os,json; print(json.dumps(os.environ["S"])); print(json.dumps(os.environ["S"], ensure_ascii=False))'`, "python3", 0},
		{`python3 -c 'import os,urllib.parse as u; s=os.environ["S"]; print(u.quote(s), u.quote(s, safe=""), u.quote_plus(s), u.urlencode({"a": s}))'`, "python3", 0},
		{`python3 -c 'import os,html; from xml.sax import saxutils as x; s=os.environ["S"]; print(html.escape(s), x.escape(s), x.quoteattr(s))'`, "python3", 0},
		{`python3 -c 'import os,base64,binascii; s=os.environb[b"S"]; print(base64.urlsafe_b64encode(b"u:"+s).decode(), binascii.hexlify(s).decode())'`, "python3", 4},
		{`python3 -c 'import os,shlex; print(shlex.quote(os.environ["S"]))'`, "python3", 0},
		{`jq -n 'env.S, (env.S|@uri), (env.S|@base64)'`, "jq", 4},
		{`jq -rn '(env.S|@html), (env.S|@sh), ([env.S]|@csv)'`, "jq", 0},
		{`perl -e 'print unpack("H*", $ENV{S})'`, "perl", 0},
		{`openssl enc -base64 -in /proc/self/environ`, "openssl", 8},
	} {
		if slices.Contains(extra, command.tool) {
			if _, err := exec.LookPath(command.tool); err != nil {
				t.Logf("without %s: %s", command.tool, command.script)
				continue
			}
		}
		t.Run(command.script, func(t *testing.T) {
			need(t, command.tool)
			a, b := redactedOutput(t, command.script, secrets), redactedOutput(t, command.script, disguised(secrets))
			if d := differences(a, b); d > command.slack*len(secrets) {
				t.Errorf("%d bytes differ:\n%s\n%s", d, a, b)
			}
			for _, s := range secrets {
				if !strings.Contains(a, "{{ "+s.name+" }}") {
					t.Errorf("%s is not in the output:\n%s", s.name, a)
				}
			}
		})
	}
}

// extra are tools whose notations the rest covers too: they are asked where they
// are, and missed nowhere.
var extra = []string{"python3", "jq", "perl", "openssl"}

// need skips a test without a tool, except in CI.
func need(t *testing.T, tool string) {
	t.Helper()
	if tool == "" {
		return
	}
	if _, err := exec.LookPath(tool); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs %s: %v", tool, err)
		}
		t.Skipf("needs %s: %v", tool, err)
	}
}

// disguised is secrets of other values, of the same shape and name.
func disguised(secrets []pattern) []pattern {
	var out []pattern
	for _, s := range secrets {
		lines := strings.SplitAfter(s.text, "\n")
		for i, l := range lines {
			if !strings.HasPrefix(l, "-----") { // which a key has in common with all keys
				lines[i] = strings.Map(turned, l)
			}
		}
		out = append(out, pattern{strings.Join(lines, ""), s.name})
	}
	return out
}

func turned(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z':
		return 'a' + (r-'a'+13)%26
	case r >= 'A' && r <= 'Z':
		return 'A' + (r-'A'+13)%26
	case r >= '0' && r <= '9':
		return '0' + (r-'0'+5)%10
	}
	return r
}

// redactedOutput runs a shell command that has all the secrets in $S.
func redactedOutput(t *testing.T, script string, secrets []pattern) string {
	t.Helper()
	var all strings.Builder
	for _, s := range secrets {
		all.WriteString("--- " + s.text + "\n")
	}
	dir := filepath.Join(t.TempDir(), "..", "work") // the same for both runs
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "S=" + all.String(), "LC_ALL=C.UTF-8", "HOME=/nonexistent"}
	cmd.Dir = dir
	r := redactorOf(secrets)
	var out bytes.Buffer // os/exec writes to equal writers from one goroutine
	w := r.Writer(&out)
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	w.Close()
	return out.String()
}

// differences counts the bytes in which a and b differ.
func differences(a, b string) int {
	n := max(len(a), len(b)) - min(len(a), len(b))
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}
