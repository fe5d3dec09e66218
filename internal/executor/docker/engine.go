package docker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/docker/docker/client"
)

// connect finds the engine as the docker command does (DOCKER_HOST and its
// TLS variables, DOCKER_CONTEXT, the current context, the local socket) and
// says whether it is on this machine.
func connect(ctx context.Context) (*client.Client, bool, error) {
	options, where, err := endpoint()
	if err != nil {
		return nil, false, err
	}
	engine, err := client.NewClientWithOpts(append(options, client.WithAPIVersionNegotiation())...)
	if err != nil {
		return nil, false, fmt.Errorf("docker engine at %s: %w", where, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if _, err := engine.Ping(ctx); err != nil {
		engine.Close()
		return nil, false, absent(where, err)
	}
	return engine, strings.HasPrefix(engine.DaemonHost(), "unix://"), nil
}

// Answers says what is wrong if no engine answers this user; nil if one does.
func Answers(ctx context.Context) error {
	engine, _, err := connect(ctx)
	if err == nil {
		engine.Close()
	}
	return err
}

// errAbsent is an engine that does not answer.
var errAbsent = errors.New("no engine")

type absentError struct {
	text string
	err  error
}

func (e *absentError) Error() string        { return e.text }
func (e *absentError) Unwrap() error        { return e.err }
func (e *absentError) Is(target error) bool { return target == errAbsent }

// absent says what to do about an engine that does not answer.
func absent(where string, err error) error {
	text := ""
	path, local := strings.CutPrefix(where, "unix://")
	switch {
	case local && errors.Is(err, os.ErrPermission), strings.Contains(err.Error(), "permission denied"):
		text = fmt.Sprintf("docker engine at %s: permission denied: add the user to the group docker, or use a rootless engine", where)
	case local && missing(path):
		text = fmt.Sprintf("docker engine: no socket %s: install the engine (apt-get install docker.io) or start it (systemctl start docker)", path)
	case local:
		text = fmt.Sprintf("docker engine at %s does not answer: start it (systemctl start docker)", where)
	case errors.Is(err, context.DeadlineExceeded):
		text = fmt.Sprintf("docker engine at %s does not answer within 20 s: check DOCKER_HOST or the docker context", where)
	default:
		text = fmt.Sprintf("docker engine at %s cannot be reached (%s): check DOCKER_HOST or the docker context", where, oneLine(err))
	}
	return &absentError{text, err}
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist)
}

// oneLine is an engine's complaint without what the client says around it.
func oneLine(err error) string {
	s := strings.TrimSpace(err.Error())
	s = strings.TrimPrefix(s, "Error response from daemon: ")
	return strings.Join(strings.Fields(s), " ")
}

func endpoint() ([]client.Opt, string, error) {
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		c, err := currentContext()
		if err != nil {
			return nil, "", err
		}
		if c != nil {
			return c.options()
		}
		return nil, client.DefaultDockerHost, nil
	}
	if strings.HasPrefix(host, "ssh://") {
		return overSSH(host)
	}
	return []client.Opt{client.FromEnv}, host, nil
}

// overSSH reaches an engine as the docker command does: with the ssh command,
// and the docker command on the other side.
func overSSH(host string) ([]client.Opt, string, error) {
	dial, err := sshDialer(host)
	if err != nil {
		return nil, "", err
	}
	return []client.Opt{
		client.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: dial}}),
		client.WithHost("http://" + "docker.over.ssh"),
		client.WithDialContext(dial),
	}, host, nil
}
