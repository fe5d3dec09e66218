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
	by map[string]appToken
}

type appToken struct {
	value   string
	expires time.Time
}

// renewBefore is how long before its end a token is replaced: longer than most
// pushes take.
const renewBefore = 10 * time.Minute

// token mints a token for the repository at the API base, or gives the one that
// was minted for it before and lives long enough.
func (t *appTokens) token(ctx context.Context, a *app, base, owner, repo string, scrub func(string) string, now time.Time) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := strings.Join([]string{base, a.id, strconv.FormatInt(a.installation, 10), owner, repo}, "\n")
	if have, ok := t.by[key]; ok && have.expires.Sub(now) > renewBefore {
		return have.value, nil
	}
	proof, err := a.proof(now)
	if err != nil {
		return "", fmt.Errorf("GitHub App %s: %w", a.id, err)
	}
	at, err := newAPI(base, proof, scrub)
	if err != nil {
		return "", err
	}
	g, err := newGitHub(at, owner, repo)
	if err != nil {
		return "", err
	}
	installation := a.installation
	if installation == 0 {
		owner, repo := g.path()
		found, res, err := g.client.Apps.GetRepositoryInstallation(ctx, owner, repo)
		if err := g.told(res, err, 200); err != nil {
			return "", fmt.Errorf("GitHub App %s: find its installation for %s/%s: %w", a.id, g.owner, g.name, err)
		}
		installation = found.GetID()
	}
	// Asked for nothing in particular, it is a token with all that the
	// installation was given.
	minted, res, err := g.client.Apps.CreateInstallationToken(ctx, installation, &githubapi.InstallationTokenOptions{})
	if err := g.told(res, err, 201); err != nil {
		return "", fmt.Errorf("GitHub App %s: mint a token: %w", a.id, err)
	}
	if minted.GetToken() == "" {
		return "", fmt.Errorf("GitHub App %s: the forge answered without a token", a.id)
	}
	if t.by == nil {
		t.by = map[string]appToken{}
	}
	t.by[key] = appToken{minted.GetToken(), minted.GetExpiresAt().Time}
	return minted.GetToken(), nil
}
