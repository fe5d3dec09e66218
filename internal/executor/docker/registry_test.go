package docker_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/executor/docker"
	"quire/internal/executor/executortest"

	"github.com/docker/docker/api/types/image"
)

// registry serves one image by the distribution API (OCI distribution spec),
// to whoever shows the password, from 127.0.0.1, which engines take without
// TLS.
type registry struct {
	blobs    map[string][]byte // by digest
	manifest []byte
	password string
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

const (
	manifestType = "application/vnd.docker.distribution.manifest.v2+json"
	configType   = "application/vnd.docker.container.image.v1+json"
	layerType    = "application/vnd.docker.image.rootfs.diff.tar"
)

// serve starts a registry with an image of root, and returns its address.
func serve(t testing.TB, root, architecture, password string) string {
	t.Helper()
	var layer bytes.Buffer
	if err := tarOf(&layer, root); err != nil {
		t.Fatal(err)
	}
	config := fmt.Appendf(nil, `{"architecture":%q,"os":"linux","config":{"Env":["PATH=/bin","PULLED=yes"]},"rootfs":{"type":"layers","diff_ids":[%q]}}`,
		architecture, digest(layer.Bytes()))
	r := &registry{password: password, blobs: map[string][]byte{digest(config): config, digest(layer.Bytes()): layer.Bytes()}}
	var err error
	r.manifest, err = json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": map[string]any{"mediaType": configType, "size": len(config), "digest": digest(config)},
		"layers": []any{map[string]any{"mediaType": layerType, "size": layer.Len(), "digest": digest(layer.Bytes())}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func (r *registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if _, p, _ := q.BasicAuth(); r.password != "" && p != r.password {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
		return
	}
	var b []byte
	switch {
	case q.URL.Path == "/v2/":
		return
	case strings.HasPrefix(q.URL.Path, "/v2/image/manifests/1"), strings.HasPrefix(q.URL.Path, "/v2/image/manifests/sha256:"):
		b = r.manifest
		w.Header().Set("Content-Type", manifestType)
		w.Header().Set("Docker-Content-Digest", digest(b))
	case strings.HasPrefix(q.URL.Path, "/v2/image/blobs/"):
		b = r.blobs[strings.TrimPrefix(q.URL.Path, "/v2/image/blobs/")]
	}
	if b == nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`)
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	w.Write(b)
}

func TestPull(t *testing.T) {
	c := engine(t)
	address := serve(t, executortest.Busybox(t), "amd64", "geheim")
	name := address + "/image:1"
	t.Cleanup(func() { c.ImageRemove(context.Background(), name, image.RemoveOptions{Force: true}) })

	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	spec := executortest.NewSpec(t)
	var told []string
	spec.AllowImages = []string{address + "/*"}
	spec.Image, spec.Progress = name, func(s string) { told = append(told, s) }
	x, err := docker.New(t.Context(), spec, docker.WithHelper(built.helper))
	if x != nil || err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "docker login") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("without credentials: %v, %v", x, err)
	}

	auth := base64.StdEncoding.EncodeToString([]byte("somebody:geheim"))
	write(t, filepath.Join(dir, "config.json"), fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, address, auth))
	told = nil
	x2 := start(t, spec)
	if out, _ := sh(t, x2, "echo $PULLED"); out != "yes\n" {
		t.Error(out)
	}
	if len(told) < 2 || !strings.HasPrefix(told[0], "pulling "+name) || !strings.HasPrefix(told[len(told)-1], "pulled "+name) {
		t.Errorf("told: %q", told)
	}
	for _, s := range told {
		if strings.Contains(s, "geheim") || strings.Contains(s, auth) {
			t.Errorf("a credential was told: %s", s)
		}
	}
	told = nil
	spec2 := executortest.NewSpec(t)
	spec2.AllowImages = spec.AllowImages
	spec2.Image, spec2.Progress = name, spec.Progress
	start(t, spec2)
	if len(told) != 0 {
		t.Errorf("an image that is there was pulled: %q", told)
	}
}

func TestImagesThatCannotBeHad(t *testing.T) {
	c := engine(t)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	address := serve(t, executortest.Busybox(t), "amd64", "")
	foreign := serve(t, executortest.Busybox(t), "s390x", "")
	t.Cleanup(func() { c.ImageRemove(context.Background(), foreign+"/image:1", image.RemoveOptions{Force: true}) })
	for name, says := range map[string]string{
		address + "/image:none": "check the name",
		address + "/other:1":    "check the name",
		"127.0.0.1:1/image:1":   "network",
		"docker.io/UPPER:1":     "not an image's name",
		"a b":                   "a b",
		foreign + "/image:1":    "s390x",
	} {
		spec := executortest.NewSpec(t)
		spec.Image, spec.AllowImages = name, []string{"*"}
		x, err := docker.New(t.Context(), spec, docker.WithHelper(built.helper))
		if x != nil || err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v", name, x, err)
		}
	}
}
