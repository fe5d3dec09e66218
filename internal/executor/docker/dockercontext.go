package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/docker/client"
)

// configDir is where the docker command keeps its settings.
func configDir() string {
	if d := os.Getenv("DOCKER_CONFIG"); d != "" {
		return d
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".docker")
}

// dockerConfig is the part of config.json that is read here.
type dockerConfig struct {
	CurrentContext string                `json:"currentContext"`
	Auths          map[string]storedAuth `json:"auths"`
	CredsStore     string                `json:"credsStore"`
	CredHelpers    map[string]string     `json:"credHelpers"`
}

type storedAuth struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
}

func readDockerConfig() (dockerConfig, error) {
	var c dockerConfig
	path := filepath.Join(configDir(), "config.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		return c, fmt.Errorf("the docker command's settings %s: %w", path, err)
	}
	return c, nil
}

// dockerContext is an engine's address under a name (docker context ls).
type dockerContext struct {
	name       string
	host       string
	skipVerify bool
	tls        string // directory of ca.pem, cert.pem, key.pem; "" if there is none
}

// currentContext is the context that the docker command would use; nil is the
// built-in one, the local socket.
func currentContext() (*dockerContext, error) {
	name := os.Getenv("DOCKER_CONTEXT")
	if name == "" {
		c, err := readDockerConfig()
		if err != nil {
			return nil, err
		}
		name = c.CurrentContext
	}
	if name == "" || name == "default" {
		return nil, nil
	}
	// docker/cli keeps contexts in directories named for the name's SHA-256.
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	b, err := os.ReadFile(filepath.Join(configDir(), "contexts", "meta", id, "meta.json"))
	if err != nil {
		return nil, fmt.Errorf("docker context %q: there is none of that name (docker context ls lists them)", name)
	}
	var meta struct {
		Endpoints map[string]struct {
			Host          string
			SkipTLSVerify bool
		}
	}
	if err := json.Unmarshal(b, &meta); err != nil {
		return nil, fmt.Errorf("docker context %q: %w", name, err)
	}
	e, found := meta.Endpoints["docker"]
	if !found || e.Host == "" {
		return nil, fmt.Errorf("docker context %q names no docker engine", name)
	}
	c := &dockerContext{name: name, host: e.Host, skipVerify: e.SkipTLSVerify}
	if dir := filepath.Join(configDir(), "contexts", "tls", id, "docker"); !missing(dir) {
		c.tls = dir
	}
	return c, nil
}

func (c *dockerContext) options() ([]client.Opt, string, error) {
	if strings.HasPrefix(c.host, "ssh://") {
		return overSSH(c.host)
	}
	options := []client.Opt{client.WithHost(c.host)}
	if c.tls != "" {
		tls, err := c.tlsOption()
		if err != nil {
			return nil, "", err
		}
		options = append([]client.Opt{tls}, options...)
	}
	return options, c.host, nil
}
