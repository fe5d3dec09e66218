// Package config turns the operator's TOML file into a Config: what is where,
// how much at once, who may have which secret, and what is mirrored.
//
// Secrets are declarations here, never values that were fetched: the hook links
// this package, and must not be able to resolve one. Everything is checked when
// it is read, every fault at once, with its line; nothing else in quire
// validates settings.
package config

import (
	"time"
)

// Config is a whole configuration with defaults filled in.
type Config struct {
	// Path is the file this came from; "" when there was none.
	Path string `toml:"-"`

	// secretsWithheld says that there is a file of secrets which this user may
	// not read, so that Secrets and Identity are not all there is.
	secretsWithheld bool

	StateDir string `toml:"state_dir"`
	MaxRuns  int    `toml:"max_runs"` // runs at the same time
	// MaxRunsPerRepository is how many of them may be of one repository; 0: one less than
	// MaxRuns, but at least 1. See RunsOfOne.
	MaxRunsPerRepository int `toml:"max_runs_per_repository"`

	MaxJobs        int      `toml:"max_jobs"`          // jobs at the same time in one run
	MaxRunsPerPush int      `toml:"max_runs_per_push"` // further refs are reported and not run
	RunTimeout     Duration `toml:"run_timeout"`       // 0: none
	KillGrace      Duration `toml:"kill_grace"`        // between SIGTERM and SIGKILL
	Linger         Duration `toml:"linger"`            // how long an idle worker stays
	KeepWorkspace  string   `toml:"keep_workspace"`    // never, failed, always

	Hook       Hook              `toml:"hook"`
	Recover    Recover           `toml:"recover"`
	Env        Env               `toml:"env"`
	Log        Log               `toml:"log"`
	Eval       Eval              `toml:"eval"`
	Retention  Retention         `toml:"retention"`
	Cache      Cache             `toml:"cache"`
	Executor   Executor          `toml:"executor"`
	Limits     Limits            `toml:"limits"`
	Web        Web               `toml:"web"`
	SSH        SSH               `toml:"ssh"`
	Secrets    map[string]Secret `toml:"-"` // by name; decoded apart, see secrets.go
	Identity   string            `toml:"-"` // [secrets] identity: age identity file
	Mirrors    []Mirror          `toml:"mirror"`
	Mirroring  Mirroring         `toml:"mirroring"`
	Network    Network           `toml:"network"`
	Submodules Submodules        `toml:"submodules"`
	Notify     []Notify          `toml:"notify"`
}

// RunsOfOne is how many runs of one repository may be at work. Who may push to one
// can hold that many places for as long as a run may take; the others stay free.
func (c *Config) RunsOfOne() int {
	if c.MaxRunsPerRepository > 0 {
		return min(c.MaxRunsPerRepository, c.MaxRuns)
	}
	return max(c.MaxRuns-1, 1)
}

// Hook is what a pusher meets.
type Hook struct {
	Wait      string   `toml:"wait"`       // none, start, finish
	WaitLimit Duration `toml:"wait_limit"` // after that the report goes on without the pusher
	// PusherFrom names variables in which programs in front of git (gitolite, a web
	// server) leave the name of the person who pushes, best first. They are believed
	// of pushes that the runner itself makes.
	PusherFrom []string `toml:"pusher_from"`
	StallLimit Duration `toml:"stall_limit"` // how long the pusher's terminal may take no bytes
}

// Env is what of the server's environment a job may see.
type Env struct {
	Pass []string          `toml:"pass"` // variables passed on if set
	Set  map[string]string `toml:"set"`  // variables set for every job
}

// Log bounds what is kept of the output of commands.
type Log struct {
	MaxBytes    Size `toml:"max_bytes"`     // on disk, per sh call; the rest is counted and dropped
	MaxRunBytes Size `toml:"max_run_bytes"` // of all logs of a run together
}

// Eval bounds the pipeline's own code (not the commands it runs).
type Eval struct {
	Timeout Duration `toml:"timeout"` // evaluating ci.fnl, and each stretch of a run-fn between primitives
	Memory  Size     `toml:"memory"`  // of the supervising process
}

// Retention is what `quire gc` keeps, per repository.
type Retention struct {
	Runs int      `toml:"runs"` // this many newest finished runs; 0: all
	Age  Duration `toml:"age"`  // and none older; 0: any age

	// What finished runs and caches take on disk, in bytes: of a repository, and of
	// all. The oldest logs, artifacts and caches go first. 0: no bound.
	Disk      Size `toml:"disk"`
	DiskTotal Size `toml:"disk_total"`
}

// Cache bounds the directories that pipelines keep between runs.
type Cache struct {
	Seed Size `toml:"seed"` // the most that a new branch's first run copies of the default branch's; 0: nothing
	Keep Size `toml:"keep"` // of all other branches of a repository together, after a run; 0: no bound
}

// Executor says where commands run.
type Executor struct {
	Default string `toml:"default"` // host, bwrap, docker
	Image   string `toml:"image"`   // docker: if the pipeline names none
	Network string `toml:"network"` // docker: network name; "none" cuts it off; bwrap: "none" or "host"
	Rootfs  string `toml:"rootfs"`  // bwrap: another root than the host's
	// AllowImages: docker: patterns of the images that pipelines may name.
	AllowImages []string       `toml:"allow_images"`
	For         []ExecutorRule `toml:"for"` // the first rule that matches the repository wins
}

// ExecutorRule chooses an executor for some repositories.
type ExecutorRule struct {
	Repos   []string `toml:"repos"`
	Use     string   `toml:"use"`
	Image   string   `toml:"image"`
	Network string   `toml:"network"`
	Rootfs  string   `toml:"rootfs"`
}

// Limits bound one run's commands. Zero is no limit.
type Limits struct {
	CPU    float64  `toml:"cpu"` // cores
	Memory Size     `toml:"memory"`
	PIDs   int      `toml:"pids"`
	Wall   Duration `toml:"wall"` // per sh call
	// Artifacts bounds, in bytes on disk, all files together that a run's jobs
	// keep. There is always a bound.
	Artifacts Size `toml:"artifacts"`
	Files     int  `toml:"files"`     // that a commit's checkout may make, directories counted
	Workspace Size `toml:"workspace"` // bytes of them
	Disk      Size `toml:"disk"`      // that all its files take at one time, what its caches grow by included
	Commands  int  `toml:"commands"`  // that the jobs of a run may run, over all attempts; there is always a bound
}

// Web is where `quire serve` listens and what its pages are called from outside.
type Web struct {
	Listen  string `toml:"listen"`
	BaseURL string `toml:"base_url"`
	Access  string `toml:"access"` // link: who opened a link that quire made; anyone: who reaches the address
}

// SSH is trust in SSH servers that mirrors go to.
type SSH struct {
	KnownHosts []string `toml:"known_hosts"` // lines of OpenSSH's known_hosts format
}

// Secret declares where a secret is kept and who may have it. Exactly one of
// the sources is set.
type Secret struct {
	Name string `toml:"-"`
	file string `toml:"-"` // that declares it

	Value      string   `toml:"value"`
	File       string   `toml:"file"`
	Env        string   `toml:"env"`
	Command    []string `toml:"command"`
	Credential string   `toml:"credential"` // name in $CREDENTIALS_DIRECTORY
	Age        string   `toml:"age"`        // armored
	AgeFile    string   `toml:"age_file"`

	Repos []string `toml:"repos"` // empty: every repository
	Refs  []string `toml:"refs"`  // empty: every ref
	Jobs  []string `toml:"jobs"`  // empty: every job
	// Pushers are the people whose pushes' runs get it, as Push.Pusher has them; empty: everybody.
	Pushers []string `toml:"pushers"`

	Protect      Protection `toml:"protect"`       // only to a run that is the default branch's own: true, "tree"
	ProtectPaths []string   `toml:"protect_paths"` // with true: files that count beside the pipeline's
}

// Mirror is a copy kept for every push, without a pipeline.
type Mirror struct {
	Name     string   `toml:"name"` // default: the URL's host
	Repos    []string `toml:"repos"`
	URL      string   `toml:"url"` // {repo} and {owner} stand for the repository's and its parent directory's name
	Secret   string   `toml:"secret"`
	Refs     []string `toml:"refs"`
	Exclude  []string `toml:"exclude"`
	Force    string   `toml:"force"`  // lease, never
	Delete   string   `toml:"delete"` // owned, never
	RetryFor Duration `toml:"retry_for"`
	Create   bool     `toml:"create"` // make a missing remote repository
	Status   bool     `toml:"status"` // report jobs as commit statuses
	API      string   `toml:"api"`    // base URL of the forge's API, where it cannot be told from URL
	Forge    string   `toml:"forge"`  // github, gitlab, gitea, forgejo; default: told from the host

	// As in [network], which holds where these say nothing.
	CAFile     string   `toml:"ca_file"`
	ClientCert string   `toml:"client_cert"`
	ClientKey  string   `toml:"client_key"`
	Proxy      string   `toml:"proxy"`
	NoProxy    []string `toml:"no_proxy"`
}

// Network is what the mirror itself says of how its server is reached.
func (m Mirror) Network() Network {
	return Network{m.CAFile, m.ClientCert, m.ClientKey, m.Proxy, m.NoProxy}
}

// Mirroring bounds where pipelines may push (ci.mirror, runtime.mirror) whose
// jobs run in a sandbox. The operator's own [[mirror]] tables are not bound.
type Mirroring struct {
	AllowURLs []string `toml:"allow_urls"` // patterns of URLs, see package mirror's Allow
}

// Submodules bounds which repositories of this machine are copied into workspaces
// as submodules.
type Submodules struct {
	Allow []string `toml:"allow"` // patterns of repositories; nil, not empty: on the host, those of the same directory
}

// Notify is somebody who wants to know how runs end.
type Notify struct {
	Repos   []string `toml:"repos"`
	Refs    []string `toml:"refs"`
	On      []string `toml:"on"`      // failed, fixed, succeeded, mirror; default failed and fixed
	Mail    []string `toml:"mail"`    // addresses, through sendmail
	Webhook string   `toml:"webhook"` // URL that gets a POST of JSON
	Secret  string   `toml:"secret"`  // names the secret that signs the webhook's body
}

// Defaults is the configuration of a machine without a file.
func Defaults() Config {
	return Config{
		StateDir:       defaultStateDir(),
		MaxRuns:        2,
		MaxJobs:        4,
		MaxRunsPerPush: 20,
		RunTimeout:     Duration(time.Hour),
		KillGrace:      Duration(5 * time.Second),
		Linger:         Duration(30 * time.Second),
		KeepWorkspace:  "never",
		Hook:           Hook{Wait: "finish", WaitLimit: Duration(10 * time.Minute), StallLimit: Duration(10 * time.Second)},
		Recover:        Recover{Unreported: UnreportedMirror, Interrupted: InterruptedRerun},
		Env:            Env{Pass: []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR"}},
		Log:            Log{MaxBytes: 64 << 20, MaxRunBytes: 1 << 30},
		Eval:           Eval{Timeout: Duration(10 * time.Second), Memory: 512 << 20},
		Retention:      Retention{Runs: 200, Age: Duration(90 * 24 * time.Hour), Disk: 20 << 30, DiskTotal: 100 << 30},
		Cache:          Cache{Seed: 1 << 30, Keep: 10 << 30},
		Executor:       Executor{Default: "host"},
		Mirroring:      Mirroring{AllowURLs: []string{"https://", "http://", "ssh://"}},
		Limits:         Limits{Artifacts: 1 << 30, Files: 1_000_000, Workspace: 10 << 30, Disk: 20 << 30, Commands: 10_000},
		Web:            Web{Listen: "127.0.0.1:7780", Access: "link"},
	}
}
