package docker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"

	"github.com/docker/docker/api/types/registry"
)

// dockerHub is the name under which credentials of docker.io are kept.
const dockerHub = "https://index.docker.io/v1/"

// credentials are what the operator's docker command would show a registry, in
// the API's encoding; "" if it has none.
func credentials(ctx context.Context, domain string) (string, error) {
	c, err := readDockerConfig()
	if err != nil {
		return "", err
	}
	key := domain
	if domain == "docker.io" {
		key = dockerHub
	}
	program := c.CredHelpers[domain]
	if program == "" {
		program = c.CredsStore
	}
	if program != "" {
		auth, err := askHelper(ctx, program, key)
		if err != nil || auth != nil {
			return encode(auth, err)
		}
	}
	for _, k := range []string{key, "https://" + key, "http://" + key, "https://" + key + "/v1/"} {
		a, found := c.Auths[k]
		if !found {
			continue
		}
		auth, err := a.config(key)
		return encode(&auth, err)
	}
	return "", nil
}

func encode(auth *registry.AuthConfig, err error) (string, error) {
	if err != nil || auth == nil {
		return "", err
	}
	return registry.EncodeAuthConfig(*auth)
}

// askHelper asks a credential helper (github.com/docker/docker-credential-helpers:
// the server's name on the standard input, JSON back).
func askHelper(ctx context.Context, program, server string) (*registry.AuthConfig, error) {
	name := "docker-credential-" + program
	c := exec.CommandContext(ctx, name, "get")
	c.Stdin = strings.NewReader(server)
	out, err := c.Output()
	if err != nil {
		if strings.Contains(string(out), "credentials not found") {
			return nil, nil
		}
		return nil, fmt.Errorf("%s, which the docker command's settings name: %w", name, err)
	}
	var got struct{ Username, Secret string }
	if err := json.Unmarshal(out, &got); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if got.Username == "<token>" {
		return &registry.AuthConfig{IdentityToken: got.Secret, ServerAddress: server}, nil
	}
	return &registry.AuthConfig{Username: got.Username, Password: got.Secret, ServerAddress: server}, nil
}

// writtenCredentials are those that stand in the settings themselves: what a
// build may need for the images it starts from.
func writtenCredentials() (map[string]registry.AuthConfig, error) {
	c, err := readDockerConfig()
	if err != nil {
		return nil, err
	}
	all := map[string]registry.AuthConfig{}
	for server, a := range c.Auths {
		auth, err := a.config(server)
		if err != nil {
			return nil, err
		}
		if auth.Username != "" || auth.IdentityToken != "" {
			all[server] = auth
		}
	}
	return all, nil
}

func (a storedAuth) config(server string) (registry.AuthConfig, error) {
	auth := registry.AuthConfig{Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken, ServerAddress: server}
	if a.Auth == "" {
		return auth, nil
	}
	b, err := base64.StdEncoding.DecodeString(a.Auth)
	user, password, ok := strings.Cut(strings.TrimRight(string(b), "\x00"), ":")
	if err != nil || !ok {
		return auth, fmt.Errorf("the docker command's credentials for %s cannot be read: docker login again", server)
	}
	auth.Username, auth.Password = user, password
	return auth, nil
}
