// Package wall reads out of the operator's configuration what stands between the
// pipelines of a repository and this machine: which executor holds their jobs,
// and so where their mirrors may push. Whoever runs a job, or retries what one
// asked for, asks here, so that all of them apply one rule.
//
// It decides nothing itself that a package below it can decide.
package wall

import (
	"fmt"

	"quire/internal/config"
	"quire/internal/event"
	"quire/mirror"
)

// Executor is the first rule of the configuration that matches the repository,
// else the default. What the rule leaves open is as by default.
func Executor(cfg *config.Config, gitDir string) (config.ExecutorRule, error) {
	for _, rule := range cfg.Executor.For {
		for _, pattern := range rule.Repos {
			ok, err := event.MatchRepo(pattern, gitDir)
			if err != nil {
				return rule, fmt.Errorf("[[executor.for]] repos: %w %q", err, pattern)
			}
			if !ok {
				continue
			}
			if rule.Image == "" {
				rule.Image = cfg.Executor.Image
			}
			if rule.Network == "" {
				rule.Network = cfg.Executor.Network
			}
			if rule.Rootfs == "" {
				rule.Rootfs = cfg.Executor.Rootfs
			}
			if rule.Use == "" {
				rule.Use = cfg.Executor.Default
			}
			return rule, nil
		}
	}
	d := cfg.Executor
	return config.ExecutorRule{Use: d.Default, Image: d.Image, Network: d.Network, Rootfs: d.Rootfs}, nil
}

// Mirrors is where the repository's pipelines may push.
func Mirrors(cfg *config.Config, gitDir string) (mirror.Wall, error) {
	rule, err := Executor(cfg, gitDir)
	if err != nil {
		return mirror.Wall{}, err
	}
	if rule.Use == "host" { // every other is a sandbox, also one that is still to come
		return mirror.HostWall(), nil
	}
	return mirror.SandboxWall(cfg.Mirroring.AllowURLs, []string{cfg.StateDir})
}
