package mirror

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	githubapi "github.com/google/go-github/v93/github"
)

// app is a GitHub App's credential: an id and a private key, from which tokens
// for one installation are minted that live an hour.
//
// As a secret it is the line "github-app ID" or "github-app ID INSTALLATION"
// with the key in PEM below it, as GitHub gives it out.
type app struct {
	id           string
	installation int64 // 0: asked of the forge, by repository
	key          *rsa.PrivateKey
}

func parseApp(text string) (*app, error) {
	first, rest, _ := strings.Cut(text, "\n")
	f := strings.Fields(first)
	if len(f) < 2 || len(f) > 3 {
		return nil, errors.New("a GitHub App's secret starts with the line \"github-app ID\" or \"github-app ID INSTALLATION\"")
	}
	a := &app{id: f[1]}
	var err error
	if len(f) == 3 {
		if a.installation, err = strconv.ParseInt(f[2], 10, 64); err != nil || a.installation <= 0 {
			return nil, errors.New("a GitHub App's installation is a number")
		}
	}
	pem := strings.ReplaceAll(rest, "\r\n", "\n")
	if a.key, err = jwt.ParseRSAPrivateKeyFromPEM([]byte(pem)); errors.Is(err, jwt.ErrKeyMustBePEMEncoded) {
		return nil, errors.New("a GitHub App's secret has the App's private key, in PEM, below its first line")
	} else if err != nil {
		return nil, errors.New("the GitHub App's private key cannot be read: it is damaged, or no RSA key")
	}
	return a, nil
}

// proof is what the App proves itself with (GitHub's documentation, "Generating
// a JSON Web Token for a GitHub App"): valid for ten minutes at most, issued a
// minute ago for clocks that are behind.
func (a *app) proof(now time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer:    a.id,
		IssuedAt:  jwt.NewNumericDate(now.Add(-time.Minute)),
		ExpiresAt: jwt.NewNumericDate(now.Add(9 * time.Minute)),
	}).SignedString(a.key)
}

// appTokens are installation tokens, in memory only, by App, repository and API.
type appTokens struct {
	mu sync.Mutex
	by map[string]*appToken
}

// appToken is one of them. Its lock is held while the forge is asked, so that
// two deliveries do not mint at once, and one forge that is slow keeps no other.
type appToken struct {
	mu      sync.Mutex
	value   string
	expires time.Time
}

// renewBefore is how long before its end a token is replaced: longer than most
// pushes take.
const renewBefore = 10 * time.Minute

// token mints a token for the repository at the API base, or gives the one that
// was minted for it before and lives long enough.
func (t *appTokens) token(ctx context.Context, a *app, base, owner, repo string, way passage, scrub func(string) string, now time.Time) (string, error) {
	key := strings.Join([]string{base, a.id, strconv.FormatInt(a.installation, 10), owner, repo}, "\n")
	t.mu.Lock()
	have := t.by[key]
	if have == nil {
		if t.by == nil {
			t.by = map[string]*appToken{}
		}
		have = &appToken{}
		t.by[key] = have
	}
	t.mu.Unlock()
	have.mu.Lock()
	defer have.mu.Unlock()
	if have.value != "" && have.expires.Sub(now) > renewBefore {
		return have.value, nil
	}
	value, expires, err := a.mint(ctx, base, owner, repo, way, scrub, now)
	if err != nil {
		return "", fmt.Errorf("GitHub App %s: %w", a.id, err)
	}
	have.value, have.expires = value, expires
	return value, nil
}

// forget takes back a token that the forge does not accept any more: its
// installation was suspended, or given other rights.
func (t *appTokens) forget(value string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, have := range t.by {
		if have.mu.TryLock() { // else it is being minted anew
			if have.value == value {
				have.value = ""
			}
			have.mu.Unlock()
		}
	}
}

// mint asks for a token of the App's installation.
func (a *app) mint(ctx context.Context, base, owner, repo string, way passage, scrub func(string) string, now time.Time) (token string, expires time.Time, err error) {
	proof, err := a.proof(now)
	if err != nil {
		return "", expires, err
	}
	at, err := newAPI(base, proof, way, scrub)
	if err != nil {
		return "", expires, err
	}
	g, err := newGitHub(at, owner, repo)
	if err != nil {
		return "", expires, err
	}
	installation := a.installation
	if installation == 0 {
		if installation, err = g.installation(ctx); err != nil {
			return "", expires, fmt.Errorf("find its installation for %s/%s: %w", g.owner, g.name, err)
		}
	}
	// Asked for nothing in particular, it is a token with all that the
	// installation was given.
	minted, res, err := g.client.Apps.CreateInstallationToken(ctx, installation, &githubapi.InstallationTokenOptions{})
	if err := g.told(res, err, 201); err != nil {
		return "", expires, fmt.Errorf("mint a token: %w", err)
	}
	if minted.GetToken() == "" {
		return "", expires, errors.New("the forge answered without a token")
	}
	return minted.GetToken(), minted.GetExpiresAt().Time, nil
}

// installation is where the App is installed for the repository; for one that is
// still to be made, for its organization or user.
func (g *github) installation(ctx context.Context) (int64, error) {
	owner, repo := g.path()
	found, res, err := g.client.Apps.GetRepositoryInstallation(ctx, owner, repo)
	first := g.told(res, something(found, err), 200)
	if status(first) != 404 {
		return found.GetID(), first
	}
	found, res, err = g.client.Apps.GetOrganizationInstallation(ctx, owner)
	if err = g.told(res, something(found, err), 200); status(err) == 404 {
		found, res, err = g.client.Apps.GetUserInstallation(ctx, owner)
		err = g.told(res, something(found, err), 200)
	}
	if status(err) == 404 {
		return 0, first
	}
	return found.GetID(), err
}
