package forgetest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// lfsType is the media type of Git LFS's API (git-lfs, docs/api).
const lfsType = "application/vnd.git-lfs+json"

// serveLFS is a forge's Git LFS server: the batch API with basic transfers, of
// uploads only. Objects lie below lfs/objects in the repository, as git-lfs
// itself puts them there. There are no locks, which a server may lack.
func serveLFS(w http.ResponseWriter, r *http.Request, root string) {
	repo, call, _ := strings.Cut(r.URL.Path, "/info/lfs/")
	dir := filepath.Join(root, filepath.FromSlash(repo))
	fail := func(status int, message string) {
		w.Header().Set("Content-Type", lfsType)
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"message": message})
	}
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err != nil {
		fail(404, "Not found")
		return
	}
	oid, storing := strings.CutPrefix(call, "storage/")
	switch {
	case r.Method == http.MethodPost && call == "objects/batch":
		if r.Header.Get("Accept") != lfsType || !strings.HasPrefix(r.Header.Get("Content-Type"), lfsType) {
			fail(406, "Accept and Content-Type must be "+lfsType)
			return
		}
		var in struct {
			Operation string
			Objects   []struct {
				OID  string `json:"oid"`
				Size int64  `json:"size"`
			}
		}
		if json.NewDecoder(r.Body).Decode(&in) != nil || in.Operation != "upload" {
			fail(422, "only uploads are served")
			return
		}
		type object map[string]any
		out := []object{}
		for _, o := range in.Objects {
			answer := object{"oid": o.OID, "size": o.Size}
			if _, err := os.Stat(lfsPath(dir, o.OID)); err != nil {
				answer["actions"] = object{"upload": object{"href": "http://" + r.Host + repo + "/info/lfs/storage/" + o.OID}}
			}
			out = append(out, answer)
		}
		w.Header().Set("Content-Type", lfsType)
		json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": out})
	case r.Method == http.MethodPut && storing && len(oid) == 64 && strings.Trim(oid, "0123456789abcdef") == "":
		content, err := io.ReadAll(r.Body)
		sum := sha256.Sum256(content)
		if err != nil || hex.EncodeToString(sum[:]) != oid {
			fail(422, "the content is not that of "+oid)
			return
		}
		path := lfsPath(dir, oid)
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = os.WriteFile(path, content, 0o644)
		}
		if err != nil {
			fail(500, err.Error())
		}
	default:
		fail(404, "Not found")
	}
}

func lfsPath(dir, oid string) string {
	if len(oid) < 4 {
		return filepath.Join(dir, "lfs", "objects", "malformed")
	}
	return filepath.Join(dir, "lfs", "objects", oid[:2], oid[2:4], oid)
}
