package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	c, err := Parse("/etc/quire/config.toml", `
state_dir = "/srv/quire"
max_jobs = 8
run_timeout = "2h"
linger = 0

[hook]
wait = "start"

[log]
max_bytes = "1MiB"

[retention]
age = "7d"

[secrets]
identity = "/root/key.txt"

[secrets.token]
value = "s3cr3t-value"
repos = ["me/*"]

[[mirror]]
repos = ["*"]
url = "https://github.com/me/{repo}.git"
secret = "token"
`)
	if err != nil {
		t.Fatal(err)
	}
	if c.MaxJobs != 8 || c.RunTimeout.D() != 2*time.Hour || c.Linger != 0 || c.Log.MaxBytes != 1<<20 || c.Retention.Age.D() != 7*24*time.Hour {
		t.Errorf("numbers misread: %+v", c)
	}
	if c.MaxRuns != Defaults().MaxRuns || c.Hook.WaitLimit.D() != 10*time.Minute {
		t.Error("a key that is not given must keep its default")
	}
	if c.Identity != "/root/key.txt" || c.Secrets["token"].Value != "s3cr3t-value" || len(c.Secrets) != 1 {
		t.Errorf("secrets misread: %v", c.Secrets)
	}
	m := c.Mirrors[0]
	if m.Name != "github.com" || m.Force != "lease" || m.Delete != "owned" || m.RetryFor.D() != 24*time.Hour || len(m.Refs) != 2 {
		t.Errorf("mirror's defaults: %+v", m)
	}
}

func TestFaultsAreAllNamedWithTheirLines(t *testing.T) {
	_, err := Parse("c.toml", `max_runs = 0
stat_dir = "/x"

[hook]
wait = "sometimes"
wait_limt = "1m"

[secrets.a]

[secrets.b]
value = "DONOTSHOW"
file = "/x"

[[mirror]]
repos = ["*"]
url = "https://me:DONOTSHOW@host/r.git"
secret = "nobody"

[[mirror]]
url = "ssh://host/r.git"
refs = ["refs/[heads"]

[mystery]
one = 1
two = 2
`)
	if err == nil {
		t.Fatal("accepted")
	}
	got := err.Error()
	want := []string{
		"c.toml:1: max_runs must be at least 1, not 0",
		`c.toml:2: unknown key stat_dir; did you mean state_dir?`,
		`c.toml:5: hook.wait is "sometimes": want one of none, start, finish`,
		`c.toml:6: unknown key hook.wait_limt; did you mean hook.wait_limit?`,
		"c.toml:8: secret a has no source",
		"c.toml:10: secret b has 2 sources (file, value)",
		"c.toml:16: mirror url holds a password",
		`c.toml:17: mirror host names the secret "nobody"`,
		"c.toml:19: mirror.repos is missing",
		`c.toml:21: mirror.refs: malformed pattern "refs/[heads"`,
		"c.toml:23: unknown key mystery",
	}
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("not said: %s\nin:\n%s", w, got)
		}
	}
	if strings.Contains(got, "DONOTSHOW") {
		t.Errorf("a secret value is shown:\n%s", got)
	}
	if strings.Contains(got, "mystery.one") {
		t.Errorf("an unknown table is told once for each of its keys:\n%s", got)
	}
}

func TestSyntaxErrorNamesItsLine(t *testing.T) {
	_, err := Parse("c.toml", "max_runs = 2\nmax_jobs = = 3\n")
	if err == nil || !strings.Contains(err.Error(), "c.toml:2:") || !strings.Contains(err.Error(), "max_jobs = = 3") {
		t.Errorf("got %v", err)
	}
	// A line with a secret's value is not shown.
	_, err = Parse("c.toml", "[secrets.x]\nvalue = \"abc\" \"def\"\n")
	if err == nil || strings.Contains(err.Error(), "abc") {
		t.Errorf("got %v", err)
	}
	// Nor does the message quote it.
	for _, value := range []string{"hunter22", "\"hunter\\q\"", "hunter 22", "'hunter22", "\"hunter22", "[hunter22]", "{hunter22}", "2hunter", "truehunter", "\"\"\"hunter22"} {
		for _, name := range []string{"c.toml", "secrets.toml", "www-data.secrets.toml"} {
			_, err = Parse(name, "[secrets.x]\nvalue = "+value+"\n")
			if err == nil || strings.Contains(err.Error(), "hunter") {
				t.Errorf("%s: value = %s: got %v", name, value, err)
			}
		}
	}
}

func TestWrongTypes(t *testing.T) {
	for _, text := range []string{
		`max_runs = "two"`, `run_timeout = 5`, `run_timeout = "soon"`, `run_timeout = "-1m"`, `state_dir = "relative"`,
		"[log]\nmax_bytes = \"lots\"", "[log]\nmax_bytes = -1", "[eval]\ntimeout = 0", "[eval]\nmemory = \"1KB\"",
		"[executor]\ndefault = \"chroot\"", "[secrets]\nidentity = 1", "[secrets]\ntoken = \"bare\"", "[[notify]]\nrepos=[\"*\"]",
		"[secrets.a]\nage = \"x\"",
	} {
		if _, err := Parse("c.toml", text); err == nil {
			t.Errorf("accepted: %s", text)
		}
	}
}

func TestReadableLiteralSecretIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	text := "state_dir = \"/srv/q\"\n[secrets.token]\nvalue = \"hunter22\"\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := LoadFile(path)
	if err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) || strings.Contains(err.Error(), "hunter22") {
		t.Errorf("got %v; want the chmod to run, without the value", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFile(path); err != nil {
		t.Error(err)
	}
	// A file that only says where secrets are may be read by anyone.
	if err := os.WriteFile(path, []byte("[secrets.token]\nfile = \"/x\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0o644)
	if _, err := LoadFile(path); err != nil {
		t.Error(err)
	}
}

func TestSecretNeverPrintsItsValue(t *testing.T) {
	s := Secret{Name: "token", Value: "hunter22"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if out := fmt.Sprintf(verb, s) + fmt.Sprintf(verb, &s) + fmt.Sprintf(verb, map[string]Secret{"a": s}); strings.Contains(out, "hunter22") || strings.Contains(out, "68756e746572") {
			t.Errorf("%s prints the value: %s", verb, out)
		}
	}
	if s.Source() != "value" {
		t.Errorf("source %q", s.Source())
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("QUIRE_CONFIG", "")
	t.Setenv("XDG_CONFIG_HOME", dir)
	path := filepath.Join(dir, "quire", "config.toml")
	os.MkdirAll(filepath.Dir(path), 0o755)
	os.WriteFile(path, nil, 0o600)
	if got := Find(); got != path {
		t.Errorf("Find() = %q, want the user's %q", got, path)
	}
	t.Setenv("QUIRE_CONFIG", filepath.Join(dir, "absent.toml"))
	if _, err := Load(); err == nil {
		t.Error("a QUIRE_CONFIG that does not exist must be an error, not the defaults")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("max_runs = 2\n[hook]\nwait = \"none\"\n")
	f.Add("[secrets.a]\nvalue = \"x\"\n[[mirror]]\nurl=\"u\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Parse("c.toml", text); err != nil && err.Error() == "" {
			t.Fatal("an error without words")
		}
	})
}

func TestProtection(t *testing.T) {
	c, err := Parse("c.toml", `
[secrets.none]
env = "A"
[secrets.no]
env = "A"
protect = false
[secrets.yes]
env = "A"
protect = true
protect_paths = ["Makefile", "scripts/**"]
[secrets.tree]
env = "A"
protect = "tree"
`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Protection{"none": Unprotected, "no": Unprotected, "yes": ProtectPipeline, "tree": ProtectTree} {
		if got := c.Secrets[name].Protect; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := c.Secrets["yes"].ProtectPaths; len(got) != 2 {
		t.Errorf("protect_paths: %v", got)
	}
	for text, says := range map[string]string{
		"protect = \"trees\"":                            `protect is true, false or "tree"`,
		"protect = 1":                                    `protect is true, false or "tree"`,
		"protect_paths = [\"a\"]":                        "protect_paths adds paths to protect = true",
		"protect = \"tree\"\nprotect_paths = [\"a\"]":    "covers every path",
		"protect = true\nprotect_paths = [\"[a\"]":       "malformed pattern",
		"protect = true\nprotect_paths = [\"/etc/x\"]":   "paths of the repository",
		"protect = true\nprotect_paths = [\"./deploy\"]": "paths of the repository",
	} {
		if _, err := Parse("c.toml", "[secrets.s]\nenv = \"A\"\n"+text+"\n"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "512": 512, "512B": 512, "4K": 4 << 10, "4M": 4 << 20, "4G": 4 << 30, "4T": 4 << 40, "4GiB": 4 << 30, "4GB": 4e9,
		"4 GiB": 4 << 30, " 4g ": 4 << 30, "4gb": 4e9, "4kib": 4096, "1.5G": 3 << 29, "2MB": 2e6, "2m": 2 << 20,
	} {
		if got, err := ParseSize(text); got != want || err != nil {
			t.Errorf("%q = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "G", "4X", "4GG", "4iB", "-1G", "4 G B", "NaN", "Inf", "1e30", "4,5G"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q is accepted as %d", text, got)
		}
	}
	c, err := Parse("c.toml", "state_dir = \"/s\"\n[limits]\nmemory = \"4G\"\nworkspace = \"4GB\"\n[eval]\nmemory = \"1g\"\n")
	if err != nil || c.Limits.Memory != 4<<30 || c.Limits.Workspace != 4e9 || c.Eval.Memory != 1<<30 {
		t.Errorf("%+v, %v", c, err)
	}
}

// Whoever repairs a file is told of everything in it, whatever kind of fault
// comes first.
func TestEveryFaultOfABrokenFileIsTold(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	put(t, path, `state_dir = "/s"
max_runs = "two"
linger = "soon"
stat_dir = "/x"
[hook]
wait = finish
wait_limit = "1m"
[limits]
memory = "4Q"
pids = [1]
fils = 3
[env]
pass = "PATH"
[log]
max_bytes = 5
[[mirror]]
repos = ["*"]
url = "https://example.org/x"
secret = "token"
[[mirror]]
repos = "all"
url = 7
colour = "red"
[retention
runs = 4
[[notify]]
repos = ["*"]
`, 0o644)
	put(t, filepath.Join(dir, "secrets.toml"), "[secrets.a]\nvalue = hunter22\n[secrets.b]\nvalue = \"hunter23\"\nfile = \"/f\"\n", 0o600)
	_, err := LoadFile(path)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"config.toml:2: max_runs: want a whole number",
		`config.toml:3: linger: "soon" is no duration`,
		"config.toml:4: unknown key stat_dir; did you mean state_dir?",
		"config.toml:6: ",
		`config.toml:9: limits.memory: "4Q" is no size`,
		"config.toml:10: limits.pids: want a whole number",
		"config.toml:11: unknown key limits.fils; did you mean limits.files?",
		"config.toml:13: env.pass: want a list of strings",
		"config.toml:15: log.max_bytes must be at least 1KiB",
		"config.toml:21: mirror.repos: want a list of strings",
		"config.toml:22: mirror.url: want a string in quotes",
		"config.toml:23: unknown key mirror.colour",
		"config.toml:25: ",
		"config.toml:26: notify without mail or webhook",
		"secrets.toml:2: ",
		"secrets.toml:3: secret b has 2 sources (file, value)",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not said: %s", want)
		}
	}
	for _, not := range []string{"hunter", `"token"`} { // which may be what could not be read
		if strings.Contains(err.Error(), not) {
			t.Errorf("%s is said", not)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
	// A file of secrets that others may read is one fault more, and no reason to be silent.
	put(t, path, "max_runs = 0\n", 0o644)
	put(t, filepath.Join(dir, "secrets.toml"), "", 0o644)
	if _, err := LoadFile(path); err == nil || !strings.Contains(err.Error(), "max_runs must be at least 1") || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("got %v", err)
	}
}
