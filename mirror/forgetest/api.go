package forgetest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// API is a forge's REST API beside the repositories: what a mirror calls of
// GitHub's, GitLab's, or Gitea's and Forgejo's, written from their
// documentation. It accepts what is documented and nothing else: an unknown
// field, a wrong type, a missing header is an error, so that a client which is
// right here is right there.
type API struct {
	forge *Forge
	kind  string // github, gitlab, gitea
	Base  string // URL to call

	mu       sync.Mutex
	tokens   map[string]bool
	user     string
	orgs     map[string]int // GitLab: namespace ids
	expires  time.Time
	statuses []Status
	apps     map[string]*rsa.PublicKey
	minted   int
}

// Status is a commit status that was reported, in the forge's own words.
type Status struct {
	Repo, OID, State, Context, Description, URL string
}

// API adds the REST API of kind ("github", "gitlab", "gitea") to the forge. user
// is whose tokens are accepted; orgs are where that user may make repositories.
func (f *Forge) API(kind, user, token string, orgs ...string) *API {
	a := &API{forge: f, kind: kind, user: user, tokens: map[string]bool{token: true}, orgs: map[string]int{user: 1}, apps: map[string]*rsa.PublicKey{}}
	for i, o := range orgs {
		a.orgs[o] = i + 2
	}
	prefix := map[string]string{"github": "/api/v3", "gitlab": "/api/v4", "gitea": "/api/v1"}[kind]
	a.Base = f.URL + prefix
	f.mu.Lock()
	defer f.mu.Unlock()
	f.api, f.apiPrefix = a, prefix
	return a
}

// Statuses are those reported so far, oldest first.
func (a *API) Statuses() []Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.statuses)
}

// Expire tells when the tokens end.
func (a *API) Expire(at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expires = at
}

// App registers a GitHub App by its id and public key, installed as number 77.
func (a *API) App(id string, key *rsa.PublicKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.apps[id] = key
}

// Revoke makes a token worthless.
func (a *API) Revoke(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.tokens, token)
}

// Minted is how many installation tokens were made.
func (a *API) Minted() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.minted
}

// Knows reports whether a token is one of the API's, those of Apps included.
func (a *API) Knows(token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tokens[token]
}

// problem is an answer that is an error.
type problem struct {
	status  int
	message string
}

func (a *API) serve(w http.ResponseWriter, r *http.Request, path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	code, body, p := a.answer(r, strings.Split(strings.Trim(path, "/"), "/"))
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if p != nil {
		w.WriteHeader(p.status)
		json.NewEncoder(w).Encode(map[string]string{"message": p.message})
		return
	}
	if a.kind == "github" && !a.expires.IsZero() {
		w.Header().Set("GitHub-Authentication-Token-Expiration", a.expires.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(body)
}

func (a *API) answer(r *http.Request, path []string) (int, any, *problem) {
	for i := range path {
		var err error
		if path[i], err = url.PathUnescape(path[i]); err != nil {
			return 0, nil, &problem{400, "Bad Request"}
		}
	}
	if r.Header.Get("User-Agent") == "" {
		return 0, nil, &problem{403, "Request forbidden by administrative rules: no User-Agent"}
	}
	if a.kind == "github" {
		if p := checkHeaders(r.Header); p != nil {
			return 0, nil, p
		}
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if a.kind == "github" && (path[0] == "app" || path[len(path)-1] == "installation") {
		return a.asApp(r, path, token)
	}
	want := map[string]string{"github": "Bearer", "gitlab": "Bearer", "gitea": "token"}[a.kind]
	if scheme != want || !a.tokens[token] {
		return 0, nil, &problem{401, "Bad credentials"}
	}
	if a.kind == "gitlab" {
		return a.gitlab(r, path)
	}
	return a.github(r, path)
}

// accepted are the media types of GitHub's JSON, from "Media types" and, for the
// names that end in -preview, "API previews" (docs.github.com; what was preview
// is usual by now, and the names still stand for it).
var accepted = []string{
	"application/json",
	"application/vnd.github+json",
	"application/vnd.github.v3+json",
	"application/vnd.github.baptiste-preview+json",
	"application/vnd.github.mercy-preview+json",
	"application/vnd.github.nebula-preview+json",
	"application/vnd.github.scarlet-witch-preview+json",
}

// versions are those of "API versions" (docs.github.com). Another is answered
// with 400; none stands for the oldest.
var versions = []string{"", "2022-11-28", "2026-03-10"}

func checkHeaders(h http.Header) *problem {
	for kind := range strings.SplitSeq(h.Get("Accept"), ",") {
		if !slices.Contains(accepted, strings.TrimSpace(kind)) {
			return &problem{415, fmt.Sprintf("Accept: %s is not documented", h.Get("Accept"))}
		}
	}
	if v := h.Get("X-GitHub-Api-Version"); !slices.Contains(versions, v) {
		return &problem{400, v + " is not a supported version"}
	}
	return nil
}

// giteaCreates and giteaEdits are the fields of CreateRepoOption and, as far as
// a client sends them that sets the default branch, EditRepoOption (Gitea's
// swagger). The server reads null as a field that is not there.
var (
	giteaCreates = map[string]string{
		"name": "string!", "private": "bool!", "auto_init": "bool", "default_branch": "string", "description": "string",
		"gitignores": "string", "issue_labels": "string", "license": "string", "object_format_name": "string",
		"readme": "string", "template": "bool", "trust_model": "string",
	}
	giteaEdits = map[string]string{
		"default_branch": "string!", "allow_fast_forward_only_merge": "bool?", "projects_mode": "string?",
		"default_delete_branch_after_merge": "bool?",
	}
)

// github serves GitHub and Gitea, whose calls agree but for fields.
func (a *API) github(r *http.Request, path []string) (int, any, *problem) {
	call := r.Method + " " + shape(path)
	switch {
	case call == "GET user":
		if strings.HasPrefix(a.tokenOf(r), "ghs_") {
			return 0, nil, &problem{403, "Resource not accessible by integration"}
		}
		return 200, map[string]string{"login": a.user}, nil
	case call == "GET repos/*/*":
		return a.show(path[1], path[2])
	case call == "PATCH repos/*/*":
		fields := map[string]string{"default_branch": "string!"}
		if a.kind == "gitea" {
			fields = giteaEdits
		}
		in, p := decode(r, fields)
		if p != nil {
			return 0, nil, p
		}
		return a.setHead(path[1], path[2], in["default_branch"].(string))
	case call == "POST user/repos", call == "POST orgs/*/repos":
		fields := map[string]string{"name": "string!", "private": "bool!", "auto_init": "bool"}
		if a.kind == "gitea" {
			fields = giteaCreates
		}
		in, p := decode(r, fields)
		if p != nil {
			return 0, nil, p
		}
		owner := a.user
		if path[0] == "orgs" {
			owner = path[1]
			if a.orgs[owner] < 2 {
				return 0, nil, &problem{404, "Not Found"}
			}
		}
		if in["auto_init"] == true {
			return 0, nil, &problem{422, "a mirror makes empty repositories"}
		}
		return a.make(owner, in["name"].(string), in["private"].(bool))
	case call == "POST repos/*/*/statuses/*":
		in, p := decode(r, map[string]string{"state": "string!", "context": "string", "description": "string", "target_url": "string"})
		if p != nil {
			return 0, nil, p
		}
		states := []string{"error", "failure", "pending", "success"}
		if a.kind == "gitea" {
			states = append(states, "warning")
		}
		return a.status(path[1]+"/"+path[2], path[4], "state", "context", in, states, 140)
	}
	return 0, nil, &problem{404, "Not Found"}
}

func (a *API) gitlab(r *http.Request, path []string) (int, any, *problem) {
	call := r.Method + " " + shape(path)
	switch {
	case call == "GET personal_access_tokens/self":
		out := map[string]any{"id": 1, "expires_at": nil}
		if !a.expires.IsZero() {
			out["expires_at"] = a.expires.UTC().Format(time.DateOnly)
		}
		return 200, out, nil
	case call == "GET namespaces/*":
		id, ok := a.orgs[path[1]]
		if !ok {
			return 0, nil, &problem{404, "404 Namespace Not Found"}
		}
		return 200, map[string]any{"id": id, "full_path": path[1]}, nil
	case call == "GET projects/*":
		owner, name, _ := cutLast(path[1])
		return a.show(owner, name)
	case call == "PUT projects/*":
		in, p := decode(r, map[string]string{"default_branch": "string!"})
		if p != nil {
			return 0, nil, p
		}
		owner, name, _ := cutLast(path[1])
		return a.setHead(owner, name, in["default_branch"].(string))
	case call == "POST projects":
		in, p := decode(r, map[string]string{"name": "string!", "path": "string!", "namespace_id": "number!", "visibility": "string!", "initialize_with_readme": "bool"})
		if p != nil {
			return 0, nil, p
		}
		if in["initialize_with_readme"] == true {
			return 0, nil, &problem{400, "a mirror makes empty repositories"}
		}
		for owner, id := range a.orgs {
			if float64(id) == in["namespace_id"].(float64) {
				return a.make(owner, in["path"].(string), in["visibility"] == "private")
			}
		}
		return 0, nil, &problem{400, "namespace is not valid"}
	case call == "POST projects/*/statuses/*":
		in, p := decode(r, map[string]string{"state": "string!", "name": "string", "description": "string", "target_url": "string"})
		if p != nil {
			return 0, nil, p
		}
		return a.status(path[1], path[3], "state", "name", in, []string{"pending", "running", "success", "failed", "canceled", "skipped"}, 255)
	}
	return 0, nil, &problem{404, "404 Not Found"}
}

// asApp serves the calls that a GitHub App makes as itself.
func (a *API) asApp(r *http.Request, path []string, jwt string) (int, any, *problem) {
	if why := a.checkJWT(jwt); why != "" {
		return 0, nil, &problem{401, why}
	}
	switch r.Method + " " + shape(path) {
	case "GET repos/*/*/installation":
		if _, _, p := a.show(path[1], path[2]); p != nil {
			return 0, nil, p
		}
		return 200, map[string]any{"id": 77}, nil
	case "GET orgs/*/installation", "GET users/*/installation":
		if _, known := a.orgs[path[1]]; !known || (path[0] == "users") != (path[1] == a.user) {
			return 0, nil, &problem{404, "Not Found"}
		}
		return 200, map[string]any{"id": 77}, nil
	case "POST app/installations/*/access_tokens":
		if r.ContentLength != 0 {
			// Which repositories and permissions; all if nothing is said.
			if _, p := decode(r, map[string]string{"repositories": "list", "repository_ids": "list", "permissions": "object"}); p != nil {
				return 0, nil, p
			}
		}
		if path[2] != "77" {
			return 0, nil, &problem{404, "Not Found"}
		}
		a.minted++
		token := fmt.Sprintf("ghs_installation%d", a.minted)
		a.tokens[token] = true
		return 201, map[string]any{"token": token, "expires_at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}, nil
	}
	return 0, nil, &problem{404, "Not Found"}
}

// checkJWT is what GitHub demands of an App's token.
func (a *API) checkJWT(jwt string) string {
	part := strings.Split(jwt, ".")
	if len(part) != 3 {
		return "A JSON web token could not be decoded"
	}
	var head struct{ Alg, Typ string }
	var claims struct {
		Iat, Exp int64
		Iss      string
	}
	for i, into := range []any{&head, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(part[i])
		if err != nil || json.Unmarshal(b, into) != nil {
			return "A JSON web token could not be decoded"
		}
	}
	sig, err := base64.RawURLEncoding.DecodeString(part[2])
	key := a.apps[claims.Iss]
	sum := sha256.Sum256([]byte(part[0] + "." + part[1]))
	now := time.Now().Unix()
	switch {
	case key == nil:
		return "Integration not found"
	case err != nil || head.Alg != "RS256" || rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig) != nil:
		return "A JSON web token could not be decoded"
	case claims.Iat > now:
		return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
	case claims.Exp <= now || claims.Exp > now+600:
		return "'Expiration time' claim ('exp') is too far in the future"
	}
	return ""
}

func (a *API) tokenOf(r *http.Request) string {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token
}

func (a *API) dir(owner, name string) string {
	return filepath.Join(a.forge.Root, owner, name+".git")
}

func (a *API) show(owner, name string) (int, any, *problem) {
	head, err := os.ReadFile(filepath.Join(a.dir(owner, name), "HEAD"))
	if err != nil {
		return 0, nil, &problem{404, "Not Found"}
	}
	branch := strings.TrimPrefix(strings.TrimSpace(string(head)), "ref: refs/heads/")
	return 200, map[string]any{"id": 5, "name": name, "default_branch": branch}, nil
}

func (a *API) make(owner, name string, private bool) (int, any, *problem) {
	if !private {
		return 0, nil, &problem{422, "a mirror makes private repositories"}
	}
	if _, err := os.Stat(a.dir(owner, name)); err == nil {
		return 0, nil, &problem{422, "name already exists on this account"}
	}
	InitBare(a.forge.t, a.dir(owner, name))
	return 201, map[string]any{"name": name, "private": true}, nil
}

// setHead: a default branch must exist.
func (a *API) setHead(owner, name, branch string) (int, any, *problem) {
	dir := a.dir(owner, name)
	if exec.Command("git", "-C", dir, "show-ref", "--verify", "--quiet", "refs/heads/"+branch).Run() != nil {
		return 0, nil, &problem{422, "The branch " + branch + " was not found."}
	}
	if err := exec.Command("git", "-C", dir, "symbolic-ref", "HEAD", "refs/heads/"+branch).Run(); err != nil {
		return 0, nil, &problem{500, err.Error()}
	}
	return a.show(owner, name)
}

func (a *API) status(repo, oid, state, context string, in map[string]any, states []string, limit int) (int, any, *problem) {
	get := func(name string) string { s, _ := in[name].(string); return s }
	owner, name, _ := cutLast(repo)
	switch {
	case exec.Command("git", "-C", a.dir(owner, name), "cat-file", "-e", oid+"^{commit}").Run() != nil:
		return 0, nil, &problem{422, "No commit found for SHA: " + oid}
	case !slices.Contains(states, get(state)):
		return 0, nil, &problem{422, fmt.Sprintf("state %q is not included in the list", get(state))}
	case len([]rune(get("description"))) > limit:
		return 0, nil, &problem{422, "description is too long"}
	}
	a.statuses = append(a.statuses, Status{repo, oid, get(state), get(context), get("description"), get("target_url")})
	return 201, map[string]any{"id": len(a.statuses)}, nil
}

// shape is a path with every variable part a star.
func shape(path []string) string {
	words := []string{"user", "users", "repos", "orgs", "statuses", "projects", "namespaces", "personal_access_tokens", "self", "app", "installations", "access_tokens", "installation"}
	out := make([]string, len(path))
	for i, p := range path {
		out[i] = "*"
		if slices.Contains(words, p) {
			out[i] = p
		}
	}
	return strings.Join(out, "/")
}

// decode reads a JSON object that has just these fields; "!" marks one that
// must be there, "?" one that may be null.
func decode(r *http.Request, fields map[string]string) (map[string]any, *problem) {
	if r.Header.Get("Content-Type") != "application/json" {
		return nil, &problem{415, "Content-Type must be application/json"}
	}
	var in map[string]any
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, &problem{400, "Problems parsing JSON"}
	}
	for name, v := range in {
		ok := false
		switch strings.TrimRight(fields[name], "!?") {
		case "string":
			_, ok = v.(string)
		case "bool":
			_, ok = v.(bool)
		case "number":
			_, ok = v.(float64)
		case "list":
			_, ok = v.([]any)
		case "object":
			_, ok = v.(map[string]any)
		}
		ok = ok || v == nil && strings.HasSuffix(fields[name], "?")
		if !ok {
			return nil, &problem{422, fmt.Sprintf("field %s: %v is not accepted", name, v)}
		}
	}
	for name, kind := range fields {
		if _, ok := in[name]; !ok && strings.HasSuffix(kind, "!") {
			return nil, &problem{422, "field " + name + " is missing"}
		}
	}
	return in, nil
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}
